"""Token ids in consecutive arrays, so that a long text is never copied into one."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.texts.vocabulary import Ids


@dataclass(frozen=True)
class Pieces:
    """One sequence of ids, held as several arrays."""

    arrays: tuple[Ids, ...] = ()

    @classmethod
    def join(cls, parts: "Iterable[Pieces]") -> "Pieces":
        """Return the parts one after the other."""
        return cls(tuple(array for part in parts for array in part.arrays))

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, part: slice) -> "Pieces":
        """Return the part between two positions, as views."""
        start, stop, _ = part.indices(len(self))
        arrays, position = [], 0
        for array in self.arrays:
            inside = array[max(0, start - position) : max(0, stop - position)]
            if inside.size:
                arrays.append(inside)
            position += len(array)
        return Pieces(tuple(arrays))

    def counts(self, size: int) -> npt.NDArray[np.int64]:
        """Return how often each id below ``size`` occurs."""
        counts = np.zeros(size, np.int64)
        for array in self.arrays:
            counts += np.bincount(array, minlength=size)
        return counts

    @cached_property
    def _length(self) -> int:
        return sum(map(len, self.arrays))


@dataclass(frozen=True)
class Recoded:
    """Pieces whose ids are looked up in a table when they are read."""

    pieces: Pieces
    table: Ids

    def __len__(self) -> int:
        return len(self.pieces)

    def __iter__(self) -> Iterator[Ids]:
        return (self.table[array] for array in self.pieces.arrays)

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger[Any]]:
        """The type of the ids."""
        return self.table.dtype
