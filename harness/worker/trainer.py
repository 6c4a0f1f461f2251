"""A training job: the model begins where its last checkpoint ends, trains, is evaluated, and writes a sample."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

from harness.contracts.backends import Backend, Model
from harness.contracts.weights import Weights, num_params
from harness.worker import process
from harness.worker.best_epoch import BestEpoch
from harness.worker.checkpoints import Checkpoint
from harness.worker.connection import Connection
from harness.worker.evaluation import evaluate_best_epoch, evaluate_held_out
from harness.worker.events import Finished, Saving, Started
from harness.worker.first_steps import first_steps
from harness.worker.job import TrainJob
from harness.worker.models import build, mapped, open_backend, read_symbols, trial_weights
from harness.worker.sampling import generate
from harness.worker.training import Course, Parts, train


def train_trial(job: TrainJob, connection: Connection) -> None:
    """Train the trial to its last epoch, evaluate it and report all of it. Raises: DivergedError."""
    trial, text = job.trial, job.text
    backend = open_backend(job.network.backend_target, job.place)
    model = build(job.network, backend, trial.architecture, trial.training)
    begun = _begin(job, model)
    _report_start(job, backend, begun, connection)
    if trial.dropout > 0 and not begun.epochs and job.parity_steps:
        _report_steps_without_dropout(job, backend, connection)
    saver = _Saver(job, model, connection, begun.best)
    first_step_seconds = train(
        model,
        trial,
        Parts(
            train=mapped(text.train_path),
            valid=mapped(text.valid_path),
            valid_chars_per_token=text.valid_chars_per_token,
        ),
        connection.send,
        Course(
            report_seconds=job.report_seconds,
            first_epoch=begun.epochs + 1,
            first_step_seconds=begun.first_step_seconds,
            parity_steps=0 if trial.dropout > 0 else job.parity_steps,
            after_epoch=saver.after_epoch,
        ),
    )
    saver.save_final(first_step_seconds)
    evaluate_held_out(model, trial, text.held_out, connection.send, last_is_best=saver.best.epoch == trial.num_epochs)
    sample = generate(model, saver.vocabulary, trial.tokens, job.sample)
    if saver.best.epoch < trial.num_epochs and saver.best.weights:
        last = model.weights()
        model.load(saver.best.weights)
        evaluate_best_epoch(model, trial, text.held_out, connection.send)
        model.load(last)
        saver.drop_best(first_step_seconds)
    connection.send(
        Finished(
            first_step_seconds=first_step_seconds,
            peak_rss_bytes=process.peak_rss_bytes(),
            peak_device_bytes=backend.peak_device_bytes(),
            sample=sample,
        )
    )


@dataclass(frozen=True)
class _Begun:
    """Where training goes on."""

    num_params: int
    epochs: int
    """Done already."""
    first_step_seconds: float
    best: BestEpoch


def _begin(job: TrainJob, model: Model) -> _Begun:
    """Load the last checkpoint or else the initial weights; neither stays in memory beside the model's own."""
    resumed = _resumable(job)
    if resumed is None:
        weights = trial_weights(job.trial, job.network)
        model.load(weights)
        return _Begun(num_params(weights), epochs=0, first_step_seconds=0.0, best=BestEpoch())
    model.load(resumed.weights)
    model.load_optimizer_state(resumed.optimizer_state)
    return _Begun(num_params(resumed.weights), resumed.epoch, resumed.first_step_seconds, resumed.best)


def _resumable(job: TrainJob) -> Checkpoint | None:
    """Return the trial's last checkpoint, or None where there is none that is whole, its own and in the ledger."""
    try:
        checkpoint = Checkpoint.read_own(Path(job.checkpoint_path), job.trial.trial_id, job.checkpoint_digests)
    except FileNotFoundError:
        return None
    except ValueError as error:
        print(f"starting over: {error}")
        return None
    return checkpoint if checkpoint.epoch <= job.recorded_epochs else None


def _report_start(job: TrainJob, backend: Backend, begun: _Begun, connection: Connection) -> None:
    connection.send(
        Started(
            versions=process.interpreter_versions() | backend.versions(),
            device=backend.device_name,
            num_threads=job.place.num_threads,
            num_params=begun.num_params,
            environment=process.telling_environment(),
            resumed_epochs=begun.epochs,
        )
    )


def _report_steps_without_dropout(job: TrainJob, backend: Backend, connection: Connection) -> None:
    """Make the certificate's steps with a model of their own: masks differ from backend to backend."""
    without = build(job.network, backend, replace(job.trial.architecture, dropout=0.0), job.trial.training)
    without.load(trial_weights(job.trial, job.network))
    connection.send(first_steps(without, job.trial, mapped(job.text.train_path), job.parity_steps))


class _Saver:
    """Writes the trial's checkpoint: now and then while it trains, and the weights alone at its end."""

    def __init__(self, job: TrainJob, model: Model, connection: Connection, best: BestEpoch) -> None:
        self._job = job
        self._model = model
        self._connection = connection
        self.best = best
        self.vocabulary = read_symbols(job.text.vocabulary_path)
        self._last = time.monotonic()

    def after_epoch(self, epoch: int, valid_loss: float, first_step_seconds: float) -> None:
        self.best.consider(self._model, epoch, valid_loss)
        if epoch < self._job.trial.num_epochs and time.monotonic() - self._last >= self._job.checkpoint_seconds:
            self._save(epoch, first_step_seconds, self._model.optimizer_state())
            self._last = time.monotonic()

    def save_final(self, first_step_seconds: float) -> None:
        self._save(self._job.trial.num_epochs, first_step_seconds, {})

    def drop_best(self, first_step_seconds: float) -> None:
        """Write the final checkpoint without the best epoch's weights, which have been evaluated."""
        self.best = BestEpoch(self.best.epoch, self.best.valid_loss)
        self.save_final(first_step_seconds)

    def _save(self, epoch: int, first_step_seconds: float, optimizer_state: Weights) -> None:
        checkpoint = Checkpoint(
            trial_id=self._job.trial.trial_id,
            epoch=epoch,
            weights=self._model.weights(),
            optimizer_state=optimizer_state,
            vocabulary=self.vocabulary,
            first_step_seconds=first_step_seconds,
            best=self.best,
        )
        # Before it is there: of what a kill leaves the ledger then knows the former one or this.
        self._connection.send(Saving(digest=checkpoint.digest))
        checkpoint.write(Path(self._job.checkpoint_path))
