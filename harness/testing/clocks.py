"""A model that notes when its steps begin and when their figures have been read: the clock trap, laid open.

A framework that works asynchronously returns from a step long before it is done; a clock read there is
wrong by up to 70 times.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.contracts.backends import Handle, Ids, Model, State
from harness.testing.models import BATCH_SIZE, NUM_STEPS, SMALL
from harness.testing.trials import small_trial
from harness.worker.events import EpochEnded, Event
from harness.worker.training import Course, Parts, train

NUM_MINIBATCHES = 6


@dataclass(frozen=True)
class Block:
    """The clock at one block's first step, after its figures were read, and after they were read once more."""

    begun: float
    read: float
    read_again: float


class Watched:
    """A `harness.contracts.backends.Model` with its clocks in `blocks`, evaluation's left out."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._begun: float | None = None
        self.blocks: list[Block] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def train_step(self, X: Ids, Y: Ids, state: State) -> tuple[Handle, State]:
        """Note the first step's start."""
        self._begun = self._begun or time.perf_counter()
        return self._model.train_step(X, Y, state)

    def read(self, handles: Sequence[Handle]) -> NDArray[np.float64]:
        """Note when the figures are there; reading them again tells whether work was left."""
        figures = self._model.read(handles)
        read = time.perf_counter()
        if self._begun is not None:
            self._model.read(handles)
            self.blocks.append(Block(self._begun, read, time.perf_counter()))
            self._begun = None
        return figures


def train_an_epoch(model: Watched) -> EpochEnded:
    """Train a small model for one epoch in the real training loop and return its record."""
    tokens = np.random.default_rng(0).integers(0, SMALL.vocab_size, BATCH_SIZE * NUM_STEPS * NUM_MINIBATCHES)
    trial = small_trial(train_tokens=len(tokens))
    events: list[Event] = []
    parts = Parts(train=tokens.astype(np.uint8), valid=tokens.astype(np.uint8), valid_chars_per_token=1.0)
    train(model, trial, parts, events.append, Course(report_seconds=60.0))
    (epoch,) = (event for event in events if isinstance(event, EpochEnded))
    return epoch
