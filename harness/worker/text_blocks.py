"""Losses of a held-out text by blocks of it: contiguous tokens, the same ones for every model and backend."""

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

MOST_BLOCKS = 100
SHORTEST_BLOCK = 50
"""Tokens: several minibatches' steps, so that few windows lie in two blocks."""


def block_edges(num_tokens: int) -> NDArray[np.int64]:
    """Return where the blocks of a text of so many tokens begin, and where the last ends: its length alone decides."""
    count = max(1, min(MOST_BLOCKS, num_tokens // SHORTEST_BLOCK))
    return np.arange(count + 1) * num_tokens // count


class BlockLosses:
    """Gathers the losses of stretches of a text by its blocks; one that lies in several counts in each by its share."""

    def __init__(self, num_tokens: int) -> None:
        self._edges = block_edges(num_tokens)
        self._tokens = np.zeros(len(self._edges) - 1)
        self._sums = np.zeros(len(self._edges) - 1)

    def add(self, starts: npt.ArrayLike, length: int, losses: npt.ArrayLike) -> None:
        """Add the mean losses of stretches of ``length`` tokens, given by their first tokens' positions."""
        first, mean = np.asarray(starts, np.int64), np.asarray(losses, np.float64)
        block = np.searchsorted(self._edges, first, side="right") - 1
        while first.size:
            inside = np.minimum(self._edges[block + 1], first + length) - np.maximum(self._edges[block], first)
            np.add.at(self._tokens, block, inside)
            np.add.at(self._sums, block, inside * mean)
            goes_on = self._edges[block + 1] < first + length
            first, mean, block = first[goes_on], mean[goes_on], block[goes_on] + 1

    def blocks(self) -> tuple[tuple[int, float], ...]:
        """Return each block's tokens that were predicted and their mean loss, 0 where there is none.

        Nothing where a loss is no number.
        """
        if not np.isfinite(self._sums).all():
            return ()
        means = self._sums / np.maximum(self._tokens, 1)
        return tuple(zip(self._tokens.astype(int).tolist(), means.tolist(), strict=True))
