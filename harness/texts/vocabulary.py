"""The vocabulary: symbols by falling frequency, and the way from tokens to ids and back.

A text is read once, block by block, into provisional ids: 1, 2, … in order of first appearance. When all of it is
read and the parts that train are known, the symbols are ranked and the ids recoded. So a text is never held as a
list of words, nor copied as a whole.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count, repeat
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from harness.texts.preprocessing import Tokens

UNKNOWN = "<unk>"
"""Whatever the texts the vocabulary was made of have never shown."""

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


class _Numbers(dict[str, int]):
    """Numbers symbols as they are first asked for, from 1."""

    def __init__(self) -> None:
        self._next: Callable[[], int] = count(1).__next__

    def __missing__(self, symbol: str) -> int:
        number = self[symbol] = self._next()
        return number


@dataclass
class Coder:
    """Turns tokens into provisional ids, which number the symbols in order of first appearance from 1."""

    _numbers: _Numbers = field(default_factory=_Numbers)
    _characters: Ids = field(default_factory=lambda: np.zeros(_NUM_CODE_POINTS, np.uint8))
    """The number of each code point; 0 where it has not been seen."""

    @property
    def size(self) -> int:
        """One more than the largest provisional id."""
        return len(self._numbers) + 1

    def encode(self, tokens: Tokens) -> list[Ids]:
        """Return the provisional ids, block by block."""
        if isinstance(tokens, str):
            return [self._encode_characters(block) for block in _blocks(tokens)]
        return [np.fromiter(map(self._numbers.__getitem__, tokens), np.uint32, count=len(tokens))]

    def rank(self, blocks: Iterable[Ids], *, alphabetical: bool = False) -> Vocabulary:
        """Return '<unk>' and then the blocks' symbols by falling frequency, ties in order of first appearance.

        Or all of them, '<unk>' too, in the order of their code points.

        Source: Dive into Deep Learning, `Vocab` of 0.17 (sec_text_preprocessing) and of 1.0 (sec_text-sequence).
        """
        counts = np.zeros(self.size, np.int64)
        order: list[int] = []
        for block in blocks:
            added = np.bincount(block, minlength=self.size)
            fresh = (added > 0) & (counts == 0)
            if fresh.any():
                present, first = np.unique(block[fresh[block]], return_index=True)
                order += present[np.argsort(first)].tolist()
            counts += added
        order.sort(key=lambda i: -counts[i])  # stable: ties stay in order of first appearance
        symbols = self.symbols
        if alphabetical:
            return Vocabulary(tuple(sorted({UNKNOWN, *(symbols[i] for i in order)})))
        # Some published texts spell the unknown symbol out.
        return Vocabulary((UNKNOWN, *(symbols[i] for i in order if symbols[i] != UNKNOWN)))

    def recoding(self, vocabulary: Vocabulary) -> Ids:
        """Return the table from provisional ids to the vocabulary's; what it lacks is unknown."""
        final = {symbol: i for i, symbol in enumerate(vocabulary.symbols)}
        return np.array([final.get(symbol, final[UNKNOWN]) for symbol in self.symbols], vocabulary.dtype)

    @property
    def symbols(self) -> list[str]:
        """The symbols by their provisional ids."""
        return [UNKNOWN, *self._numbers]

    def _encode_characters(self, block: str) -> Ids:
        codes = _code_points(block)
        ids: Ids = self._characters[codes]
        if not ids.all():
            self._learn(block)
            ids = self._characters[codes]
        return ids

    def _learn(self, block: str) -> None:
        unseen = [symbol for symbol in dict.fromkeys(block) if symbol not in self._numbers]
        self._characters = self._characters.astype(np.min_scalar_type(len(self._numbers) + len(unseen)), copy=False)
        for symbol in unseen:
            self._characters[ord(symbol)] = self._numbers[symbol]


def _blocks(text: str) -> Iterator[str]:
    return (text[start : start + _BLOCK] for start in range(0, len(text), _BLOCK))


def _code_points(text: str) -> npt.NDArray[np.unsignedinteger[Any]]:
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), np.uint8)
    return np.frombuffer(text.encode("utf-32-le"), np.dtype("<u4"))
