"""How a text is divided: a training and a validation part of each document, and a budget among authors."""

from collections.abc import Sequence


def count_training_tokens(num_tokens: int, valid_fraction: float) -> int:
    """Return how many of a document's first tokens train; the rest, at least one, validates."""
    return num_tokens - min(num_tokens, max(1, round(num_tokens * valid_fraction)))


def share_budget(budget: int, sizes: Sequence[int]) -> list[int]:
    """Divide a budget in proportion to sizes, by largest remainder, so that the sum is exact.

    A budget larger than all sizes together is the sizes.
    """
    total = sum(sizes)
    if budget >= total:
        return list(sizes)
    shares = [budget * size // total for size in sizes]
    by_remainder = sorted(range(len(sizes)), key=lambda i: -(budget * sizes[i] % total))
    for i in by_remainder[: budget - sum(shares)]:
        shares[i] += 1
    return shares
