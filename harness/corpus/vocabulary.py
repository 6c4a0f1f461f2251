"""The vocabulary: symbols by falling frequency, and the way from tokens to ids and back."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from harness.corpus.text import Tokens

UNKNOWN = "<unk>"
"""Whatever the texts the vocabulary was made of have never shown."""

ORDERS = ("train", "frequency", "alphabetical")
"""Of whose tokens and in which order: the training part's by falling frequency, or all the text's, either way."""

Ids: TypeAlias = npt.NDArray[np.unsignedinteger[Any]]

_NUM_CODE_POINTS = 0x110000
_BLOCK = 1 << 20  # characters; keeps the integer copies NumPy makes inside the processor's cache


@dataclass(frozen=True)
class Vocabulary:
    """Symbols in the order of their ids; '<unk>' is one of them."""

    symbols: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.symbols)

    def encode(self, tokens: Tokens) -> Ids:
        """Return the ids of tokens, in the smallest unsigned type that holds every id."""
        if isinstance(tokens, str):
            blocks = [self._character_ids[_code_points(block)] for block in _blocks(tokens)]
            return np.concatenate(blocks) if blocks else np.empty(0, self.dtype)
        return np.fromiter(map(self._word_ids.get, tokens, repeat(self._unknown)), self.dtype, count=len(tokens))

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Return the symbols of ids."""
        return [self.symbols[i] for i in ids]

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger[Any]]:
        """The smallest unsigned type that holds every id."""
        return np.min_scalar_type(len(self.symbols) - 1)

    @cached_property
    def _unknown(self) -> int:
        return self.symbols.index(UNKNOWN)

    @cached_property
    def _word_ids(self) -> dict[str, int]:
        return {symbol: i for i, symbol in enumerate(self.symbols)}

    @cached_property
    def _character_ids(self) -> Ids:
        table = np.full(_NUM_CODE_POINTS, self._unknown, self.dtype)
        for i, symbol in enumerate(self.symbols):
            if symbol != UNKNOWN:
                table[ord(symbol)] = i
        return table


def build_vocabulary(parts: Iterable[Tokens], *, alphabetical: bool = False) -> Vocabulary:
    """Return '<unk>' and then the parts' tokens by falling frequency, ties in order of first appearance.

    Or all of them, '<unk>' too, in the order of their code points.

    Source: Dive into Deep Learning, `Vocab` of 0.17 (sec_text_preprocessing) and of 1.0 (sec_text-sequence).
    """
    counts: Counter[str] = Counter()
    for part in parts:
        if isinstance(part, str):
            _count_characters(part, counts)
        else:
            counts.update(part)
    counts.pop(UNKNOWN, None)  # some published texts spell it out
    if alphabetical:
        return Vocabulary(tuple(sorted([UNKNOWN, *counts])))
    # A Counter remembers the order of first appearance, and sorting is stable.
    by_frequency = sorted(counts.items(), key=lambda item: -item[1])
    return Vocabulary((UNKNOWN, *(symbol for symbol, _ in by_frequency)))


def _count_characters(text: str, counts: Counter[str]) -> None:
    for block in _blocks(text):
        added = np.bincount(_code_points(block))
        present = {chr(code): int(added[code]) for code in np.flatnonzero(added)}
        if not present.keys() <= counts.keys():
            counts.update(dict.fromkeys(block, 0))  # in order of first appearance
        counts.update(present)


def _blocks(text: str) -> Iterator[str]:
    return (text[start : start + _BLOCK] for start in range(0, len(text), _BLOCK))


def _code_points(text: str) -> npt.NDArray[np.unsignedinteger[Any]]:
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), np.uint8)
    return np.frombuffer(text.encode("utf-32-le"), np.dtype("<u4"))
