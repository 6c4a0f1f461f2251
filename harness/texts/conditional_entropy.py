"""How predictable a text is from its last few characters: empirical conditional entropies."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.integer[Any]]


@dataclass(frozen=True, kw_only=True)
class ConditionalEntropy:
    """The entropy of a character given the ``order`` characters before it."""

    order: int
    bits_per_char: float
    """Of the frequencies in the text itself; too low where contexts are rare."""
    bias: float
    """About how many bits per character too low: the Miller–Madow correction."""


def entropies(texts: Sequence[str], highest_order: int) -> list[ConditionalEntropy]:
    """Return the empirical entropy of each order from 0, over windows that lie within one text.

    H(order) = H(blocks of order + 1) − H(their first ``order`` characters), both over the same windows.

    Source: Shannon 1951 (F_N); Miller 1955 for the bias, (distinct blocks − distinct contexts) / 2N nats.
    """
    characters = _numbered([np.frombuffer(text.encode("utf-32-le"), np.dtype("<u4")) for text in texts])
    contexts: list[Codes] = [np.zeros(len(part), np.int64) for part in characters]
    by_order = []
    for order in range(highest_order + 1):
        # contexts[i] numbers the `order` characters before position i + order of each text.
        followers = [part[order:] for part in characters]
        blocks = _numbered(list(_extended(contexts, followers)))
        num_windows = sum(map(len, blocks))
        if not num_windows:
            break
        counts, context_counts = _counts(blocks), _counts(contexts)
        nats = _block_entropy(counts) - _block_entropy(context_counts)
        bias = (len(counts) - len(context_counts)) / (2 * num_windows)
        by_order.append(
            ConditionalEntropy(order=order, bits_per_char=max(0.0, nats) / math.log(2), bias=bias / math.log(2))
        )
        # The block that ends a text is the context of nothing.
        contexts = [part[:-1] for part in blocks]
    return by_order


def _extended(contexts: Sequence[Codes], followers: Sequence[Codes]) -> Iterator[Codes]:
    base = 1 + max((int(part.max()) for part in followers if len(part)), default=0)
    for context, follower in zip(contexts, followers, strict=True):
        yield context.astype(np.int64) * base + follower


def _numbered(parts: Sequence[Codes]) -> list[Codes]:
    """Replace codes by their ranks, so that the next product stays small."""
    _, ranks = np.unique(np.concatenate(parts), return_inverse=True)
    return np.split(ranks, np.cumsum([len(part) for part in parts])[:-1])


def _counts(parts: Sequence[Codes]) -> NDArray[np.integer[Any]]:
    counts = np.bincount(np.concatenate(parts))
    return counts[counts > 0]


def _block_entropy(counts: NDArray[np.integer[Any]]) -> float:
    """Return the entropy of the frequencies in nats."""
    shares = counts / counts.sum()
    return -float(shares @ np.log(shares))
