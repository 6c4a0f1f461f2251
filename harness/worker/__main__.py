"""`python -m harness.worker JOB.json`: train one trial, or generate text from its checkpoint."""

import json
import os
import sys
import time
import traceback
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.contracts.backends import Backend, Model, Tokens
from harness.contracts.cells import Equations
from harness.contracts.network import Architecture, canonical_shapes
from harness.contracts.weights import Weights, initial_weights, num_params
from harness.worker import process
from harness.worker.checkpoints import Checkpoint
from harness.worker.connection import Connection
from harness.worker.evaluation import evaluate_held_out
from harness.worker.events import Diverged, Failed, Finished, Probed, Sampled, Started
from harness.worker.first_steps import first_steps
from harness.worker.job import Job
from harness.worker.sampling import generate
from harness.worker.targets import resolve
from harness.worker.training import DivergedError, train
from harness.worker.trial import Trial


def main(job_path: str) -> int:
    """Do the job; return 0 when it is done, 1 when it failed, the reason sent as an event and logged."""
    connection = Connection.from_environment()
    job = Job.read(Path(job_path))
    sys.path.extend(job.module_paths)
    if job.cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, job.cores)  # before any framework counts the cores it may use
    try:
        _WORK[job.kind](job, connection)
        return 0
    except DivergedError as error:
        connection.send(Diverged(epoch=error.epoch, reason=str(error)))
        return 0
    except Exception as error:
        traceback.print_exc()
        connection.send(Failed(reason=f"{type(error).__name__}: {error}"))
        return 1


def _build(job: Job, backend: Backend, equations: Equations, architecture: Architecture) -> Model:
    if job.implementation_target is None:
        return backend.scratch(equations, architecture, job.trial.training)
    model: Model = resolve(job.implementation_target)(backend, equations, architecture, job.trial.training)
    return model


def _train(job: Job, connection: Connection) -> None:
    trial = job.trial
    backend: Backend = resolve(job.backend_target)(job.device, job.num_threads)
    equations: Equations = resolve(job.equations)
    model = _build(job, backend, equations, trial.architecture)
    begun = _begin(job, model, equations)
    connection.send(
        Started(
            versions=process.interpreter_versions() | backend.versions(),
            device=backend.device_name,
            num_threads=job.num_threads,
            num_params=begun.num_params,
            environment=process.telling_environment(),
            resumed_epochs=begun.epochs,
        )
    )
    if trial.dropout > 0 and not begun.epochs and job.parity_steps:
        without = _build(job, backend, equations, replace(trial.architecture, dropout=0.0))
        without.load(_initial_weights(trial, equations))
        connection.send(first_steps(without, trial, _mapped(job.train_path), job.parity_steps))
        del without
    saver = _Saver(job, model)
    first_step_seconds = train(
        model,
        trial,
        _mapped(job.train_path),
        _mapped(job.valid_path),
        job.valid_chars_per_token,
        connection.send,
        report_seconds=job.report_seconds,
        first_epoch=begun.epochs + 1,
        first_step_seconds=begun.first_step_seconds,
        parity_steps=0 if trial.dropout > 0 else job.parity_steps,
        after_epoch=saver.after_epoch,
    )
    saver.save_final(first_step_seconds)
    evaluate_held_out(model, trial, job.held_out, connection.send)
    connection.send(
        Finished(
            first_step_seconds=first_step_seconds,
            peak_rss_bytes=process.peak_rss_bytes(),
            peak_device_bytes=backend.peak_device_bytes(),
            sample=generate(model, saver.vocabulary, trial.tokens, job.sample),
        )
    )


@dataclass(frozen=True)
class _Begun:
    """Where training goes on."""

    num_params: int
    epochs: int
    """Done already."""
    first_step_seconds: float


def _begin(job: Job, model: Model, equations: Equations) -> _Begun:
    """Load the last checkpoint or else the initial weights; neither stays in memory beside the model's own."""
    resumed = _resumable(job)
    if resumed is None:
        weights = _initial_weights(job.trial, equations)
        model.load(weights)
        return _Begun(num_params(weights), epochs=0, first_step_seconds=0.0)
    model.load(resumed.weights)
    model.load_optimizer_state(resumed.optimizer_state)
    return _Begun(num_params(resumed.weights), resumed.epoch, resumed.first_step_seconds)


def _sample(job: Job, connection: Connection) -> None:
    checkpoint = Checkpoint.read(Path(job.checkpoint_path))
    backend: Backend = resolve(job.backend_target)(job.device, job.num_threads)
    model = _build(job, backend, resolve(job.equations), job.trial.architecture)
    model.load(checkpoint.weights)
    connection.send(Sampled(text=generate(model, checkpoint.vocabulary, job.trial.tokens, job.sample)))


def _refer(job: Job, connection: Connection) -> None:
    """Make the reference: the cell's equations in float64, dropout off."""
    equations: Equations = resolve(job.equations)
    architecture = replace(job.trial.architecture, dtype="float64", dropout=0.0)
    model = resolve(job.backend_target)(job.device, job.num_threads).scratch(
        equations, architecture, job.trial.training
    )
    model.load(_initial_weights(job.trial, equations))
    connection.send(first_steps(model, job.trial, _mapped(job.train_path), job.parity_steps))


def _fit(job: Job, connection: Connection) -> None:
    from harness.worker.fitting import fit_and_evaluate

    fit_and_evaluate(job, connection)


def _time(job: Job, connection: Connection) -> None:
    from harness.worker.timing import time_training

    backend: Backend = resolve(job.backend_target)(job.device, job.num_threads)
    equations: Equations = resolve(job.equations)
    model = _build(job, backend, equations, job.trial.architecture)
    model.load(_initial_weights(job.trial, equations))
    tokens = _mapped(job.train_path)
    time_training(backend, model, job.trial, tokens, job.block_seconds, sys.stdin, connection.send)


def _watch(job: Job, connection: Connection) -> None:
    from harness.worker.timing import watch_device

    watch_device(resolve(job.backend_target)(job.device, job.num_threads), sys.stdin, connection.send)


def _probe(job: Job, connection: Connection) -> None:
    """Make the probes on a trained model, in float64 by the cell's own equations, or on a baseline fitted again."""
    from harness.contracts.baselines import TrainingText
    from harness.worker.probes import PROBES, Subject

    symbols: list[str] = json.loads(Path(job.vocabulary_path).read_text(encoding="utf-8"))["symbols"]
    train = _mapped(job.train_path)
    stages: dict[str, Weights] = {}
    if job.trial.is_baseline:
        text = TrainingText(ids=train, symbols=symbols, tokens=job.trial.tokens)
        model = resolve(job.backend_target)(text, lambda _: None)
    else:
        equations: Equations = resolve(job.equations)
        architecture = replace(job.trial.architecture, dtype="float64", dropout=0.0)
        model = resolve(job.backend_target)(job.device, job.num_threads).scratch(
            equations, architecture, job.trial.training
        )
        trained = Checkpoint.read(Path(job.checkpoint_path)).weights
        model.load(trained)
        stages = {"init": _initial_weights(job.trial, equations), "trained": trained}
    subject = Subject(
        trial=job.trial, model=model, train=train, valid=_mapped(job.valid_path), symbols=symbols, stages=stages
    )
    for name in job.probes:
        connection.send(Probed(probe=name, rows=tuple(PROBES[name](subject))))


# Each work imports what it alone needs: a worker's start-up is a part of every trial.
_WORK = {
    "train": _train,
    "sample": _sample,
    "reference": _refer,
    "baseline": _fit,
    "time": _time,
    "watch": _watch,
    "probe": _probe,
}


def _initial_weights(trial: Trial, equations: Equations) -> Weights:
    return initial_weights(canonical_shapes(equations, trial.architecture), trial.num_hiddens, trial.seed, trial.init)


class _Saver:
    """Writes the trial's checkpoint: now and then while it trains, and the weights alone at its end."""

    def __init__(self, job: Job, model: Model) -> None:
        self._job = job
        self._model = model
        self.vocabulary: list[str] = json.loads(Path(job.vocabulary_path).read_text(encoding="utf-8"))["symbols"]
        self._last = time.monotonic()

    def after_epoch(self, epoch: int, first_step_seconds: float) -> None:
        if epoch < self._job.trial.num_epochs and time.monotonic() - self._last >= self._job.checkpoint_seconds:
            self._save(epoch, first_step_seconds, self._model.optimizer_state())
            self._last = time.monotonic()

    def save_final(self, first_step_seconds: float) -> None:
        self._save(self._job.trial.num_epochs, first_step_seconds, {})

    def _save(self, epoch: int, first_step_seconds: float, optimizer_state: Weights) -> None:
        Checkpoint(
            trial_id=self._job.trial.trial_id,
            epoch=epoch,
            weights=self._model.weights(),
            optimizer_state=optimizer_state,
            vocabulary=self.vocabulary,
            first_step_seconds=first_step_seconds,
        ).write(Path(self._job.checkpoint_path))


def _resumable(job: Job) -> Checkpoint | None:
    """Return the trial's last checkpoint, or None where there is none that is whole, its own and in the ledger."""
    try:
        checkpoint = Checkpoint.read(Path(job.checkpoint_path))
    except FileNotFoundError:
        return None
    except ValueError as error:
        print(f"starting over: {error}")
        return None
    usable = checkpoint.trial_id == job.trial.trial_id and checkpoint.epoch <= job.recorded_epochs
    return checkpoint if usable else None


def _mapped(path: str) -> Tokens:
    tokens: Tokens = np.load(path, mmap_mode="r", allow_pickle=False)
    return tokens


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
