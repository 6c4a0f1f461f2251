"""The training loop: epochs of minibatches, honest clocks, one event an epoch."""

import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from harness.contracts.backends import LOSS, Handle, Model, Tokens
from harness.contracts.figures import perplexity
from harness.contracts.measures import measured
from harness.worker.events import EpochEnded, Event, Progress
from harness.worker.figures import TextFigures, evaluate, mean_over_tokens, named
from harness.worker.first_steps import steps_of_figures
from harness.worker.minibatches import training_minibatches
from harness.worker.trial import Trial

Report = Callable[[Event], None]


class AfterEpoch(Protocol):
    """Called once an epoch's record is out."""

    def __call__(self, epoch: int, valid_loss: float, first_step_seconds: float) -> None:
        """Take the epoch, its validation loss, and the seconds of the trial's first step."""
        ...


_LARGEST_LOSS = math.log(sys.float_info.max)
"""Beyond it the perplexity, exp(loss), is not finite any more, and so the trial has diverged."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts of a text that a trial trains on and is validated by."""

    train: Tokens
    valid: Tokens
    valid_chars_per_token: float


@dataclass(frozen=True, kw_only=True)
class Course:
    """Where training goes on, and when it says how it stands."""

    report_seconds: float
    """At most this long between two reports."""
    first_epoch: int = 1
    first_step_seconds: float = 0.0
    """Of a trial that is resumed."""
    parity_steps: int = 0
    """First minibatches whose figures are reported for the certificate."""
    after_epoch: AfterEpoch | None = None


class DivergedError(Exception):
    """The loss, or its perplexity, is not finite any more."""

    def __init__(self, epoch: int, loss: float) -> None:
        self.epoch = epoch
        super().__init__(
            f"the loss became {loss:.3g} in epoch {epoch}: try a smaller --lr, or --clip 1 where nothing is clipped"
        )


@dataclass
class Stopwatch:
    """Counts training time in blocks; a block ends when its losses have been read, so the device is done."""

    model: Model
    report_seconds: float
    pending: list[Handle] = field(default_factory=list)
    pending_tokens: int = 0
    step_tokens: list[int] = field(default_factory=list)
    """Of each step, also of those that are still pending."""
    figures: list[NDArray[np.float64]] = field(default_factory=list)
    blocks: list[tuple[int, float]] = field(default_factory=list)
    _since: float = 0.0

    def add(self, handle: Handle, num_tokens: int) -> None:
        """Add a step to the block."""
        self.pending.append(handle)
        self.pending_tokens += num_tokens
        self.step_tokens.append(num_tokens)

    def start(self) -> None:
        """Start a block."""
        self._since = time.perf_counter()

    def due(self) -> bool:
        """Return whether the block has lasted long enough to be reported."""
        return time.perf_counter() - self._since >= self.report_seconds

    def end_block(self) -> None:
        """Wait for the pending steps, read their figures, and only then the clock."""
        if not self.pending:
            return
        figures = self.model.read(self.pending)
        self.blocks.append((self.pending_tokens, time.perf_counter() - self._since))
        self.figures.append(figures)
        self.pending.clear()
        self.pending_tokens = 0

    def mean(self) -> NDArray[np.float64]:
        """Return the mean figures of all steps, which have been read."""
        return mean_over_tokens(np.concatenate(self.figures), self.step_tokens)

    def latest_loss(self) -> float:
        """Return the mean loss of the last block."""
        return float(self.figures[-1][:, LOSS].mean())

    def latest_rate(self) -> float:
        """Return the last block's tokens per second."""
        tokens, seconds = self.blocks[-1]
        return tokens / seconds


def train(model: Model, trial: Trial, parts: Parts, report: Report, course: Course) -> float:
    """Train from the course's first epoch to the trial's last, report each, and return the first step's seconds.

    Raises: DivergedError when a loss is not finite.
    """
    first_step_seconds = course.first_step_seconds
    for epoch in range(course.first_epoch, trial.num_epochs + 1):
        minibatches = training_minibatches(
            parts.train, trial.batch_size, trial.num_steps, trial.partition, trial.seed, epoch
        )
        model.begin_epoch(epoch)
        state = model.initial_state(trial.batch_size)
        watch = Stopwatch(model, course.report_seconds)
        watch.start()
        for index, (X, Y) in enumerate(minibatches):
            if not minibatches.carries_state:
                state = model.initial_state(X.shape[1])
            handle, state = model.train_step(X, Y, state)
            watch.add(handle, X.size)
            first_step = epoch == course.first_epoch and index == 0
            if first_step or watch.due():
                watch.end_block()
                if first_step:
                    first_step_seconds = first_step_seconds or watch.blocks[0][1]
                _require_finite(watch.latest_loss(), epoch)
                done = (epoch - 1 + (index + 1) / len(minibatches)) / trial.num_epochs
                _report_progress(report, watch, epoch, done)
                watch.start()
        watch.end_block()
        if epoch == 1 and course.parity_steps:
            # Without dropout these are the certificate's steps, so it costs nothing and is the trial's own.
            report(steps_of_figures(np.concatenate(watch.figures)[: course.parity_steps]))
        alive = partial(_report_progress, report, watch, epoch, epoch / trial.num_epochs)
        ended = _epoch_ended(model, trial, epoch, watch, parts, alive)
        report(ended)
        if course.after_epoch is not None:
            course.after_epoch(epoch, ended.measures["valid_loss"], first_step_seconds)
    return first_step_seconds


def _report_progress(report: Report, watch: Stopwatch, epoch: int, fraction: float) -> None:
    report(Progress(epoch=epoch, fraction=fraction, loss=watch.latest_loss(), tokens_per_s=watch.latest_rate()))


def _epoch_ended(
    model: Model, trial: Trial, epoch: int, watch: Stopwatch, parts: Parts, alive: Callable[[], None]
) -> EpochEnded:
    train = named(watch.mean())
    _require_finite(train["loss"], epoch)
    since = time.perf_counter()
    valid = evaluate(model, parts.valid, trial.batch_size, trial.num_steps, trial.partition, alive)
    valid_seconds = time.perf_counter() - since
    _require_finite(valid.means["loss"], epoch)
    return EpochEnded(
        epoch=epoch,
        measures={
            **measured("train", train),
            **measured("valid", valid.means, parts.valid_chars_per_token),
            **_of_short_minibatches(trial, valid),
            "train_tokens": sum(tokens for tokens, _ in watch.blocks),
            "train_seconds": sum(seconds for _, seconds in watch.blocks),
            "valid_seconds": valid_seconds,
        },
        blocks=tuple(watch.blocks),
    )


def _of_short_minibatches(trial: Trial, valid: TextFigures) -> dict[str, float]:
    """Return what is stored beside where the last minibatch has fewer rows: the figure that D2L reports."""
    if trial.partition != "windows":
        return {}
    return {"valid_minibatch_perplexity": float(perplexity(valid.minibatch_loss))}


def _require_finite(loss: float, epoch: int) -> None:
    if not loss <= _LARGEST_LOSS:
        raise DivergedError(epoch, loss)
