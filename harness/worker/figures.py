"""How well a model predicts a text: its minibatches' figures, each weighing as many tokens as it has."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.contracts.backends import COLUMNS, GRAD_NORM, LOSS, Handle, Model, Tokens
from harness.contracts.training import Partition
from harness.worker.minibatches import evaluation_minibatches
from harness.worker.text_blocks import BlockLosses

Floats = NDArray[np.float64]

_EVALUATED_AT_ONCE = 64
"""Minibatches between two looks at the device while a text is evaluated."""


@dataclass(frozen=True, kw_only=True)
class TextFigures:
    """A model's figures on a text."""

    means: dict[str, float]
    """By the names of `COLUMNS`; over tokens."""
    minibatch_loss: float
    """The mean of the minibatches' mean losses: another one where the last minibatch has fewer rows."""
    blocks: tuple[tuple[int, float], ...]
    """Tokens predicted and their mean loss, by block of the text."""


def mean_over_tokens(figures: Floats, num_tokens: Sequence[int]) -> Floats:
    """Return the means of minibatches' figures, each weighing as many tokens as it has; of gradient norms, of steps.

    Shapes: figures (minibatches, columns), num_tokens (minibatches,).
    """
    plain: Floats = figures.mean(axis=0)
    if np.ptp(num_tokens) == 0:
        return plain  # equal weights would round otherwise
    weighted: Floats = np.average(figures, axis=0, weights=num_tokens)
    weighted[GRAD_NORM] = plain[GRAD_NORM]
    return weighted


def named(figures: Floats) -> dict[str, float]:
    """Return a row of what `Model.read` returned by the names of its columns.

    Raises: ValueError where the model gives another number of figures.
    """
    if len(figures) != len(COLUMNS):
        raise ValueError(f"the model gives {len(figures)} figures a step, not these: {', '.join(COLUMNS)}")
    return dict(zip(COLUMNS, figures.tolist(), strict=True))


def evaluate(
    model: Model,
    tokens: Tokens,
    batch_size: int,
    num_steps: int,
    partition: Partition = "sequential",
    alive: Callable[[], None] = lambda: None,
) -> TextFigures:
    """Return a model's figures on ``tokens``, read sequentially with the state carried.

    Tokens after the last whole window of each row are left out. A trial on windows of stride 1 is evaluated on
    such windows too, each from the zero state. ``alive`` is called now and then on a long text.
    """
    minibatches = evaluation_minibatches(tokens, batch_size, num_steps, partition)
    state = model.initial_state(batch_size)
    gathered = _Gathered(model, BlockLosses(len(tokens)), num_steps)
    for index, (X, Y) in enumerate(minibatches):
        # Handles may hold memory of the device, so those of a long text are read before its end.
        if gathered.is_full:
            gathered.read()
            alive()
        if not minibatches.carries_state:
            state = model.initial_state(X.shape[1])
        handle, state = model.evaluate_step(X, Y, state)
        gathered.add(handle, minibatches.positions(index))
    gathered.read()
    return gathered.figures()


class _Gathered:
    """The minibatches of a text that were evaluated so far."""

    def __init__(self, model: Model, blocks: BlockLosses, num_steps: int) -> None:
        self._model = model
        self._blocks = blocks
        self._num_steps = num_steps
        self._handles: list[Handle] = []
        self._positions: list[NDArray[np.int64]] = []
        self._means: list[Floats] = []
        self._num_rows: list[int] = []

    @property
    def is_full(self) -> bool:
        return len(self._handles) == _EVALUATED_AT_ONCE

    def add(self, handle: Handle, positions: NDArray[np.int64]) -> None:
        if self._positions and len(positions) != len(self._positions[-1]):
            self.read()  # what is read together is of one shape
        self._handles.append(handle)
        self._positions.append(positions)

    def read(self) -> None:
        if not self._handles:
            return
        figures = self._model.read(self._handles)
        num_rows = len(self._positions[0])
        means, losses = _parted(figures, num_rows)
        # A minibatch's first target is the token behind its first input.
        self._blocks.add(np.concatenate(self._positions) + 1, self._num_steps, losses.reshape(-1))
        self._means.append(means)
        self._num_rows += [num_rows] * len(self._handles)
        self._handles, self._positions = [], []

    def figures(self) -> TextFigures:
        if not self._means:
            raise ValueError("the text is shorter than a minibatch")
        means = np.concatenate(self._means)
        return TextFigures(
            means=named(mean_over_tokens(means, self._num_rows)),
            minibatch_loss=float(means[:, LOSS].mean()),
            blocks=self._blocks.blocks(),
        )


def _parted(figures: Floats, num_rows: int) -> tuple[Floats, Floats]:
    """Part what was read of minibatches into their figures and their rows' losses."""
    if figures.shape[1] != len(COLUMNS) + num_rows:
        raise ValueError(
            f"the model gives {figures.shape[1]} figures of a minibatch it evaluates, not {len(COLUMNS)} and a loss "
            f"for each of its {num_rows} rows"
        )
    return figures[:, : len(COLUMNS)], figures[:, len(COLUMNS) :]
