"""Probing jobs: a trained model in float64 by the cell's own equations, or a baseline fitted again, is asked."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.contracts.baselines import TrainingText
from harness.contracts.weights import Weights
from harness.worker.checkpoints import Checkpoint
from harness.worker.connection import Connection
from harness.worker.events import Probed
from harness.worker.job import ProbeBaselineJob, ProbeJob
from harness.worker.models import build, mapped, open_backend, read_symbols, trial_weights
from harness.worker.probes import PROBES, Subject
from harness.worker.targets import resolve


def probe_network(job: ProbeJob, connection: Connection) -> None:
    """Load a checkpoint and report each probe of its model."""
    architecture = replace(job.trial.architecture, dtype="float64", dropout=0.0)
    model = build(job.network, open_backend(job.network.backend_target, job.place), architecture, job.trial.training)
    trained = Checkpoint.read_own(Path(job.checkpoint_path), job.trial.trial_id, job.checkpoint_digests).weights
    model.load(trained)
    _probe(job, model, {"init": trial_weights(job.trial, job.network), "trained": trained}, connection)


def probe_baseline(job: ProbeBaselineJob, connection: Connection) -> None:
    """Fit a baseline and report each probe of it."""
    symbols = read_symbols(job.text.vocabulary_path)
    text = TrainingText(ids=mapped(job.text.train_path), symbols=symbols, tokens=job.trial.tokens)
    _probe(job, resolve(job.target)(text, lambda _: None), {}, connection)


def _probe(job: ProbeJob | ProbeBaselineJob, model: Any, stages: Mapping[str, Weights], connection: Connection) -> None:
    subject = Subject(
        trial=job.trial,
        model=model,
        train=mapped(job.text.train_path),
        valid=mapped(job.text.valid_path),
        symbols=read_symbols(job.text.vocabulary_path),
        stages=stages,
        held_out={(part.author, part.part): mapped(part.path)[part.start : part.stop] for part in job.text.held_out},
    )
    for name in job.probes:
        connection.send(Probed(probe=name, rows=tuple(PROBES[name](subject))))
