"""Minibatches of token ids in the one order every backend sees.

Source: D2L `sec_language_model` (0.17: `seq_data_iter_sequential`, `seq_data_iter_random`).
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[np.unsignedinteger]
Minibatch = tuple[NDArray[np.int64], NDArray[np.int64]]

_STREAM = 2


def epoch_generator(seed: int, epoch: int) -> np.random.Generator:
    """Return the generator of one epoch's offsets and order; a resumed trial draws the same."""
    return np.random.default_rng([seed, _STREAM, epoch])


class Sequential:
    """Neighbouring minibatches hold neighbouring text, so that the state may be carried from one to the next."""

    carries_state = True

    def __init__(self, tokens: Tokens, batch_size: int, num_steps: int, offset: int = 0) -> None:
        num_tokens = (len(tokens) - offset - 1) // batch_size * batch_size
        self._X = tokens[offset : offset + num_tokens].reshape(batch_size, -1)
        self._Y = tokens[offset + 1 : offset + 1 + num_tokens].reshape(batch_size, -1)
        self._num_steps = num_steps

    def __len__(self) -> int:
        return int(self._X.shape[1]) // self._num_steps

    def __iter__(self) -> Iterator[Minibatch]:
        for index in range(len(self)):
            window = slice(index * self._num_steps, (index + 1) * self._num_steps)
            yield _time_first(self._X[:, window]), _time_first(self._Y[:, window])


class Random:
    """Windows of text in random order; the state starts at zero in each minibatch."""

    carries_state = False

    def __init__(self, tokens: Tokens, batch_size: int, num_steps: int, generator: np.random.Generator) -> None:
        self._tokens = tokens[int(generator.integers(0, num_steps)) :]
        num_windows = (len(self._tokens) - 1) // num_steps
        self._starts = generator.permutation(num_windows) * num_steps
        self._batch_size = batch_size
        self._num_steps = num_steps

    def __len__(self) -> int:
        return len(self._starts) // self._batch_size

    def __iter__(self) -> Iterator[Minibatch]:
        whole = self._starts[: len(self) * self._batch_size]
        return _windows(self._tokens, whole, self._batch_size, self._num_steps)


class Windows:
    """Every window of text, each one token on from the last; the state starts at zero in each minibatch.

    The last minibatch may have fewer rows.

    Source: D2L 1.0 `sec_language-model`, `TimeMachine.get_dataloader`.
    """

    carries_state = False

    def __init__(
        self, tokens: Tokens, batch_size: int, num_steps: int, generator: np.random.Generator | None = None
    ) -> None:
        self._tokens = tokens
        starts = np.arange(len(tokens) - num_steps)
        self._starts = starts if generator is None else generator.permutation(starts)
        self._batch_size = batch_size
        self._num_steps = num_steps

    def __len__(self) -> int:
        return -(-len(self._starts) // self._batch_size)

    def __iter__(self) -> Iterator[Minibatch]:
        return _windows(self._tokens, self._starts, self._batch_size, self._num_steps)


Minibatches = Sequential | Random | Windows


def training_minibatches(
    tokens: Tokens, batch_size: int, num_steps: int, partition: str, seed: int, epoch: int
) -> Minibatches:
    """Return one epoch's minibatches of (inputs, targets), each (num_steps, batch_size) and int64."""
    generator = epoch_generator(seed, epoch)
    if partition == "random":
        return Random(tokens, batch_size, num_steps, generator)
    if partition == "windows":
        return Windows(tokens, batch_size, num_steps, generator)
    return Sequential(tokens, batch_size, num_steps, offset=int(generator.integers(0, num_steps, endpoint=True)))


def evaluation_minibatches(tokens: Tokens, batch_size: int, num_steps: int, partition: str) -> Minibatches:
    """Return the minibatches a trial of this partition is evaluated on, in the text's order."""
    if partition == "windows":
        return Windows(tokens, batch_size, num_steps)
    return Sequential(tokens, batch_size, num_steps)


def _windows(tokens: Tokens, starts: NDArray[np.int64], batch_size: int, num_steps: int) -> Iterator[Minibatch]:
    steps = np.arange(num_steps)
    for first in range(0, len(starts), batch_size):
        positions = steps[:, None] + starts[None, first : first + batch_size]  # (num_steps, batch_size)
        yield tokens[positions].astype(np.int64), tokens[positions + 1].astype(np.int64)


def _time_first(window: Tokens) -> NDArray[np.int64]:
    return np.ascontiguousarray(window.T, dtype=np.int64)
