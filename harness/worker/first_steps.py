"""A trial's first steps, dropout off: what its parity certificate compares with the float64 reference."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from harness.contracts.backends import GRAD_NORM, LOSS, Model, Tokens
from harness.worker.connection import Connection
from harness.worker.events import FirstSteps
from harness.worker.job import ReferenceJob
from harness.worker.minibatches import training_minibatches
from harness.worker.models import build, mapped, open_backend, trial_weights
from harness.worker.trial import Trial


def make_reference(job: ReferenceJob, connection: Connection) -> None:
    """Report the reference: the first steps by the cell's equations in float64, dropout off."""
    architecture = replace(job.trial.architecture, dtype="float64", dropout=0.0)
    model = build(job.network, open_backend(job.network.backend_target, job.place), architecture, job.trial.training)
    model.load(trial_weights(job.trial, job.network))
    connection.send(first_steps(model, job.trial, mapped(job.train_path), job.parity_steps))


def first_steps(model: Model, trial: Trial, train_tokens: Tokens, num_steps: int) -> FirstSteps:
    """Train ``model`` on the trial's first minibatches and return their figures."""
    minibatches = training_minibatches(
        train_tokens, trial.batch_size, trial.num_steps, trial.partition, trial.seed, epoch=1
    )
    model.begin_epoch(1)
    state = model.initial_state(trial.batch_size)
    handles = []
    for X, Y in islice(minibatches, num_steps):
        if not minibatches.carries_state:
            state = model.initial_state(X.shape[1])
        handle, state = model.train_step(X, Y, state)
        handles.append(handle)
    return steps_of_figures(model.read(handles))


def steps_of_figures(figures: NDArray[np.float64]) -> FirstSteps:
    """Return the event for what `Model.read` returned."""
    return FirstSteps(losses=_floats(figures[:, LOSS]), grad_norms=_floats(figures[:, GRAD_NORM]))


def _floats(column: Iterable[np.float64]) -> tuple[float, ...]:
    return tuple(float(value) for value in column)
