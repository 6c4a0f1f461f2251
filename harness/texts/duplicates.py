"""Finds passages that are held out and yet stand in the text that trains, word for word.

Of every held-out part, the disjoint passages of a fixed length are looked up among all passages of the training
parts, by hashes; two that differ in a letter differ. Source: Lee et al. 2022, "Deduplicating Training Data Makes
Language Models Better" (exact substrings of 50 tokens).
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from harness.texts.pieces import Pieces
from harness.texts.vocabulary import Ids

PASSAGE_TOKENS = {"char": 50, "word": 10}
"""How long a passage is; ten words are about fifty letters."""

MAX_PASSAGES = 1 << 16
"""Of a longer text so many at most, evenly spaced: one in a hundred that is there twice is still told to a tenth."""

_Hashes = npt.NDArray[np.uint64]
_BASE = 0x9E3779B97F4A7C15
"""Odd, so that it has an inverse modulo 2**64."""
_BLOCK = 1 << 16  # tokens; keeps the hashes inside the processor's cache
_FILTER_BITS = 22


def duplicate_share(train: Sequence[Pieces], held_out: Sequence[Pieces], length: int) -> float:
    """Return the share of the held-out parts' passages that stand in a training part too; 0 where there are none."""
    hasher = _Hasher(length)
    # A copy of every so many, lest the view keep all of a block's hashes.
    wanted = [hashes[::length].copy() for part in held_out for hashes in hasher.blocks(part, aligned=True)]
    looked_for = np.concatenate(wanted) if wanted else np.empty(0, np.uint64)
    looked_for = looked_for[:: max(1, -(-len(looked_for) // MAX_PASSAGES))]
    if not looked_for.size:
        return 0.0
    distinct = np.unique(looked_for)
    present = _present(distinct, (hashes for part in train for hashes in hasher.blocks(part)))
    return float(present[np.searchsorted(distinct, looked_for)].mean())


def _present(distinct: _Hashes, streams: Iterable[_Hashes]) -> npt.NDArray[np.bool_]:
    """Say of each of the sorted hashes whether the streams have it."""
    present = np.zeros(len(distinct), bool)
    # Most hashes are not looked for; one look into a small table tells, where a search would take twenty.
    shift = np.uint64(64 - _FILTER_BITS)
    may_be = np.zeros(1 << _FILTER_BITS, bool)
    may_be[(distinct >> shift).astype(np.intp)] = True
    for hashes in streams:
        candidates = hashes[may_be[(hashes >> shift).astype(np.intp)]]
        places = np.searchsorted(distinct, candidates).clip(max=len(distinct) - 1)
        present[places[distinct[places] == candidates]] = True
    return present


class _Hasher:
    """Polynomial hashes modulo 2**64 of all windows of a block, from one running sum."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._values = np.random.default_rng(0).integers(0, 2**64, 1 << 16, np.uint64)
        self._powers = np.ones(1, np.uint64)
        self._inverses = np.ones(1, np.uint64)

    def blocks(self, part: Pieces, *, aligned: bool = False) -> Iterator[_Hashes]:
        """Yield the hashes of all windows, block by block; ``aligned`` blocks begin at a multiple of the length."""
        rest: list[Ids] = []
        held = 0
        for array in part.arrays:
            for start in range(0, len(array), _BLOCK):
                rest.append(array[start : start + _BLOCK])
                held += len(rest[-1])
                if held >= _BLOCK:
                    tokens = np.concatenate(rest)
                    used = held - self._length + 1
                    used -= used % self._length if aligned else 0
                    yield self._hash(tokens[: used + self._length - 1])
                    rest, held = [tokens[used:]], held - used
        if held >= self._length:
            yield self._hash(np.concatenate(rest))

    def _hash(self, tokens: Ids) -> _Hashes:
        self._reach(len(tokens))
        # 65,536 values are enough: two words that share one still differ in their neighbours.
        sums = self._values[tokens & 0xFFFF if tokens.dtype.itemsize > 2 else tokens]
        sums *= self._powers[: len(tokens)]
        np.cumsum(sums, out=sums)
        windows = sums[self._length - 1 :].copy()
        windows[1:] -= sums[: -self._length]
        windows *= self._inverses[: len(windows)]
        return windows

    def _reach(self, count: int) -> None:
        if len(self._powers) < count:
            self._powers = _geometric(_BASE, count)
            self._inverses = _geometric(pow(_BASE, -1, 2**64), count)


def _geometric(base: int, count: int) -> _Hashes:
    factors = np.full(count, base, np.uint64)
    factors[0] = 1
    return np.cumprod(factors, dtype=np.uint64)
