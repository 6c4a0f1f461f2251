"""How a text is divided: what trains, what is held out, and what each author gives to a budget."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Mix = Literal["equal", "proportional"]
MIXES: tuple[Mix, ...] = ("equal", "proportional")


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """What the end of every document is kept for."""

    valid: float = 0.1
    """Share of a document's tokens that validates."""
    test: float = 0.1
    """Share that is read once, after training; it stands last."""
    gap: int = 256
    """Tokens left out before each held-out part, so that neither begins with what the part before it has just
    said; at most a hundredth of the document."""


@dataclass(frozen=True, kw_only=True)
class Division:
    """Where the parts of one document begin and end."""

    train: slice
    valid: slice
    test: slice


def divide(num_tokens: int, held_out: HeldOut) -> Division:
    """Divide a document: training, gap, validation, gap, test.

    The gaps are cut from the held-out parts, each of which keeps at least one token where there are any.
    """
    num_valid = min(num_tokens, max(1, round(num_tokens * held_out.valid)))
    num_test = min(num_tokens - num_valid, max(1, round(num_tokens * held_out.test))) if held_out.test else 0
    first, second = num_tokens - num_test - num_valid, num_tokens - num_test
    gap = min(held_out.gap, num_tokens // 100)
    return Division(
        train=slice(0, first),
        valid=slice(min(first + gap, max(first, second - 1)), second),
        test=slice(min(second + gap, max(second, num_tokens - 1)), num_tokens),
    )


# --- budgets ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LogRange:
    """Budgets at equal ratios, both ends included."""

    low: int
    high: int | None
    """None is all there is."""
    count: int


Budget: TypeAlias = int | LogRange | None
"""Training tokens: so many, all there are, or a range of such numbers."""


def resolve(budgets: Sequence[Budget], available: int) -> list[int]:
    """Return the budgets as numbers of tokens; one larger than what is available is cut to it."""
    return [size for budget in budgets for size in _resolve(budget, available)]


def _resolve(budget: Budget, available: int) -> list[int]:
    if not isinstance(budget, LogRange):
        return [available if budget is None else min(budget, available)]
    high = available if budget.high is None else min(budget.high, available)
    low = min(budget.low, high)
    inner = [round(low * math.exp(math.log(high / low) * i / (budget.count - 1))) for i in range(1, budget.count - 1)]
    return list(dict.fromkeys([low, *inner, high]))


def available_tokens(sizes: Sequence[int], mix: Mix) -> int:
    """Return how many tokens authors of these sizes can give together."""
    return len(sizes) * min(sizes) if mix == "equal" else sum(sizes)


def share(budget: int, sizes: Sequence[int], mix: Mix) -> list[int]:
    """Divide a budget among authors of these sizes, so that the sum is exact.

    'equal': the same number of tokens from each, the first ones giving one more where it does not come out even.
    'proportional': as the sizes are. A budget larger than what is available is that.
    """
    budget = min(budget, available_tokens(sizes, mix))
    if mix == "equal":
        each, left = divmod(budget, len(sizes))
        return [each + (i < left) for i in range(len(sizes))]
    return share_budget(budget, sizes)


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
