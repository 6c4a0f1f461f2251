"""Minibatches of token ids in the one order every backend sees.

Source: D2L `sec_language_model` (0.17: `seq_data_iter_sequential`, `seq_data_iter_random`).
"""

import mmap
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.contracts.backends import Tokens

Minibatch = tuple[NDArray[np.int64], NDArray[np.int64]]

_STREAM = 2
_SHUFFLED_AT_ONCE = 1 << 20
"""Windows whose order is drawn and kept; that of more is computed where it is looked at."""
_LOOKED_UP_AT_ONCE = 1 << 12
_MAPPED_BYTES = 1 << 26
"""A longer file is read window by window: each look at its mapping would bring up to 2 MB of it into memory."""


def epoch_generator(seed: int, epoch: int) -> np.random.Generator:
    """Return the generator of one epoch's offsets and order; a resumed trial draws the same."""
    return np.random.default_rng([seed, _STREAM, epoch])


class Sequential:
    """Neighbouring minibatches hold neighbouring text, so that the state may be carried from one to the next."""

    carries_state = True

    def __init__(self, tokens: Tokens, batch_size: int, num_steps: int, offset: int = 0) -> None:
        num_tokens = (len(tokens) - offset - 1) // batch_size * batch_size
        self._tokens = tokens
        self._row_tokens = num_tokens // batch_size
        self._rows = offset + np.arange(batch_size) * self._row_tokens
        self._num_steps = num_steps

    def __len__(self) -> int:
        return int(self._row_tokens // self._num_steps)

    def __iter__(self) -> Iterator[Minibatch]:
        return _windows(self._tokens, map(self.positions, range(len(self))), self._num_steps)

    def positions(self, index: int) -> NDArray[np.int64]:
        """Return where in the text the rows of one of its minibatches begin."""
        return self._rows + index * self._num_steps

    @property
    def num_predicted(self) -> int:
        """Tokens predicted in all minibatches."""
        return len(self) * len(self._rows) * self._num_steps


class Random:
    """Windows of text in random order; the state starts at zero in each minibatch."""

    carries_state = False

    def __init__(self, tokens: Tokens, batch_size: int, num_steps: int, generator: np.random.Generator) -> None:
        self._tokens = tokens[int(generator.integers(0, num_steps)) :]
        self._num_windows = (len(self._tokens) - 1) // num_steps
        self._order = _shuffled(self._num_windows, generator)
        self._batch_size = batch_size
        self._num_steps = num_steps

    def __len__(self) -> int:
        return self._num_windows // self._batch_size

    def __iter__(self) -> Iterator[Minibatch]:
        return _windows(self._tokens, self._starts(), self._num_steps)

    def _starts(self) -> Iterator[NDArray[np.int64]]:
        numbers = _batches(self._order, len(self) * self._batch_size, self._batch_size)
        return (each * self._num_steps for each in numbers)


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
        self._num_windows = max(0, len(tokens) - num_steps)
        self._order = range(self._num_windows) if generator is None else _shuffled(self._num_windows, generator)
        self._batch_size = batch_size
        self._num_steps = num_steps

    def __len__(self) -> int:
        return -(-self._num_windows // self._batch_size)

    def __iter__(self) -> Iterator[Minibatch]:
        starts = _batches(self._order, self._num_windows, self._batch_size)
        return _windows(self._tokens, starts, self._num_steps)

    def positions(self, index: int) -> NDArray[np.int64]:
        """Return where in the text the rows of one of its minibatches begin."""
        first = index * self._batch_size
        return np.asarray(self._order[first : min(first + self._batch_size, self._num_windows)])

    @property
    def num_predicted(self) -> int:
        """Tokens predicted in all minibatches; most of the text's several times."""
        return self._num_windows * self._num_steps


Minibatches = Sequential | Random | Windows


class Shuffled:
    """The numbers below ``count`` in a pseudo-random order, each computed from its place and none of them kept.

    A Feistel network permutes the next even power of two; a number that falls outside is permuted again.
    Source: Black and Rogaway 2002, "Ciphers with Arbitrary Finite Domains" (cycle walking).
    """

    _ROUNDS = 6

    def __init__(self, count: int, generator: np.random.Generator) -> None:
        self._count = count
        half = max(1, -(-(count - 1).bit_length() // 2))
        self._half, self._mask = np.uint64(half), np.uint64((1 << half) - 1)
        self._keys = generator.integers(0, 1 << 63, self._ROUNDS, dtype=np.uint64)

    def __getitem__(self, places: slice) -> NDArray[np.int64]:
        """Return the numbers at these places."""
        numbers = self._permuted(np.arange(*places.indices(self._count), dtype=np.uint64))
        outside = np.flatnonzero(numbers >= self._count)
        while outside.size:
            numbers[outside] = self._permuted(numbers[outside])
            outside = outside[numbers[outside] >= self._count]
        return numbers.astype(np.int64)

    def _permuted(self, numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
        left, right = numbers >> self._half, numbers & self._mask
        for key in self._keys:
            left, right = right, left ^ (_scattered(right + key) & self._mask)
        return (left << self._half) | right


def _scattered(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return a hash of each number. Source: Steele et al. 2014, "Fast Splittable Pseudorandom Number Generators"."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


Order = NDArray[np.int64] | Shuffled | range
"""Numbers of windows by the places at which they are read."""


def _shuffled(count: int, generator: np.random.Generator) -> Order:
    """Return the numbers below ``count`` in random order."""
    return generator.permutation(count) if count <= _SHUFFLED_AT_ONCE else Shuffled(count, generator)


def _batches(order: Order, count: int, batch_size: int) -> Iterator[NDArray[np.int64]]:
    """Yield the first ``count`` numbers of an order, a minibatch's at a time; the last may have fewer."""
    # Several minibatches at a time: an order that is computed takes hardly longer for many places than for few.
    at_once = max(1, _LOOKED_UP_AT_ONCE // batch_size) * batch_size
    for first in range(0, count, at_once):
        numbers = np.asarray(order[first : min(first + at_once, count)])
        yield from (numbers[start : start + batch_size] for start in range(0, len(numbers), batch_size))


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


def evaluation_minibatches(tokens: Tokens, batch_size: int, num_steps: int, partition: str) -> Sequential | Windows:
    """Return the minibatches a trial of this partition is evaluated on, in the text's order."""
    if partition == "windows":
        return Windows(tokens, batch_size, num_steps)
    return Sequential(tokens, batch_size, num_steps)


def _windows(tokens: Tokens, starts: Iterator[NDArray[np.int64]], num_steps: int) -> Iterator[Minibatch]:
    """Yield the windows that begin at these positions, a minibatch for each array of them."""
    with _rows_of(tokens, num_steps + 1) as rows:
        for positions in starts:
            window = rows(positions).T  # (num_steps + 1, batch_size)
            yield np.ascontiguousarray(window[:-1], np.int64), np.ascontiguousarray(window[1:], np.int64)


@contextmanager
def _rows_of(tokens: Tokens, length: int) -> Iterator[Callable[[NDArray[np.int64]], Tokens]]:
    """Give a function from positions to the ``length`` tokens from each on: (positions, length)."""
    mapped = _mapped(tokens)
    if mapped is None or mapped.filename is None or tokens.nbytes <= _MAPPED_BYTES:
        # A text shorter than a window has no minibatch.
        yield np.lib.stride_tricks.sliding_window_view(np.asarray(tokens), min(length, len(tokens))).__getitem__
        return
    with Path(mapped.filename).open("rb", buffering=0) as file:
        begin, size = mapped.offset + _address(tokens) - _address(mapped), tokens.itemsize

        def read(positions: NDArray[np.int64]) -> Tokens:
            parts = [os.pread(file.fileno(), length * size, begin + place * size) for place in positions.tolist()]
            return np.frombuffer(b"".join(parts), tokens.dtype).reshape(len(positions), length)

        yield read


def _mapped(tokens: Tokens) -> "np.memmap[Any, np.dtype[np.unsignedinteger[Any]]] | None":
    """Return the whole mapped file that an array is a part of, or None where it is in memory."""
    whole: Any = tokens
    while isinstance(whole, np.ndarray) and not isinstance(whole.base, mmap.mmap):
        whole = whole.base
    return whole if isinstance(whole, np.memmap) else None


def _address(tokens: Tokens) -> int:
    return int(tokens.__array_interface__["data"][0])
