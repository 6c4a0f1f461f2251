"""A text's block losses as the bytes that the ledger stores: a row a block would be a hundred a trial and part."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_DTYPE = np.dtype("<f8")


def pack_blocks(blocks: Sequence[tuple[int, float]]) -> bytes | None:
    """Return (tokens, mean loss) of each block as bytes; None where there is none."""
    return np.array(blocks, _DTYPE).tobytes() if blocks else None


def unpack_blocks(packed: bytes) -> NDArray[np.float64]:
    """Return what `pack_blocks` packed: (blocks, 2)."""
    return np.frombuffer(packed, _DTYPE).reshape(-1, 2).astype(np.float64)
