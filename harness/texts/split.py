"""How a text is divided: what trains, what is held out, and what each author gives to a budget."""

import math
import re
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Literal, TypeAlias

from harness.contracts import numerals
from harness.errors import CorpusError

Mix = Literal["equal", "proportional"]
MIXES: tuple[Mix, ...] = ("equal", "proportional")
AuthorBudget = Literal["equal", "full"]
AUTHOR_BUDGETS: tuple[AuthorBudget, ...] = ("equal", "full")

HELD_OUT = "held-out"
_SHARES = re.compile(r"([^/]+)/([^/]+)/([^/]+)")
_WINDOWS = re.compile(r"windows:([^+]+)\+([^x]+)x(.+)")


@dataclass(frozen=True, kw_only=True)
class Division:
    """Where the parts of one document begin and end."""

    train: slice
    valid: slice
    test: slice


@dataclass(frozen=True)
class Split:
    """Which of a document's tokens train, which validate, and which test a trained model."""

    words: str = HELD_OUT
    """'held-out': training, gap, validation, gap, test. '80/10/10': per cent that train, validate and test, in this
    order. 'windows:10000+5000x32': the first 10,000 windows of 32 inputs and a target at stride 1 train, the next
    5,000 validate; the text of neighbouring windows overlaps, as D2L 1.0 has it."""
    _: KW_ONLY
    valid: float = 0.1
    """Of 'held-out': the share of a document's tokens that validates."""
    test: float = 0.1
    """Of 'held-out': the share that is read once, after training; it stands last."""
    gap: int = 256
    """Of 'held-out': tokens left out before each held-out part, so that neither begins with what the part before it
    has just said; at most a hundredth of the document."""

    def parts(self, num_tokens: int) -> Division:
        """Divide a document of so many tokens. Raises: CorpusError where it is too short for the windows."""
        if windows := _numbers(_WINDOWS, self.words):
            train, valid, num_steps = windows
            stop = train + valid + num_steps
            if num_tokens < stop:
                raise CorpusError(
                    f"--split {self.words} needs {stop:,} tokens, and a text has {num_tokens:,}: "
                    "take fewer windows, or a longer text."
                )
            return Division(train=slice(0, train + num_steps), valid=slice(train, stop), test=slice(stop, stop))
        if shares := _numbers(_SHARES, self.words):
            train, valid, _ = shares
            first, second = num_tokens * train // 100, num_tokens * (train + valid) // 100
            return Division(train=slice(0, first), valid=slice(first, second), test=slice(second, num_tokens))
        return self._held_out(num_tokens)

    def check(self) -> None:
        """Raise a CorpusError for words that mean nothing and shares that are none."""
        for part, share, is_one in (("validates", self.valid, self.valid > 0), ("tests", self.test, self.test >= 0)):
            if not is_one or share >= 1:
                raise CorpusError(f"The part that {part} must lie between 0 and 1; it is {share}.")
        shares, windows = _numbers(_SHARES, self.words), _numbers(_WINDOWS, self.words)
        sound = self.words == HELD_OUT or bool(windows and all(windows))
        if shares:
            sound = sum(shares) == 100 and min(shares[:2]) > 0
        if not sound:
            raise CorpusError(
                f"--split {self.words!r} is none: give held-out, per cent as in 80/10/10, or windows as in "
                "windows:10000+5000x32 (how many train, how many validate, of how many steps)."
            )

    def _held_out(self, num_tokens: int) -> Division:
        """Cut the gaps from the held-out parts, each of which keeps at least one token where there are any."""
        num_valid = min(num_tokens, max(1, round(num_tokens * self.valid)))
        num_test = min(num_tokens - num_valid, max(1, round(num_tokens * self.test))) if self.test else 0
        first, second = num_tokens - num_test - num_valid, num_tokens - num_test
        gap = min(self.gap, num_tokens // 100)
        return Division(
            train=slice(0, first),
            valid=slice(min(first + gap, max(first, second - 1)), second),
            test=slice(min(second + gap, max(second, num_tokens - 1)), num_tokens),
        )


def _numbers(pattern: re.Pattern[str], words: str) -> tuple[int, ...]:
    """Return the whole numbers in words; none where they are not of the pattern."""
    match = pattern.fullmatch(words)
    try:
        return tuple(map(numerals.whole, match.groups())) if match else ()
    except ValueError:
        return ()


# --- budgets ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LogRange:
    """Budgets at equal ratios, both ends included."""

    low: int
    high: int | None
    """None is all there is."""
    count: int

    def __str__(self) -> str:
        """Return the range as it is typed."""
        return f"{self.low}..{'all' if self.high is None else self.high}:{self.count}"


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


def largest_budgets(available: Sequence[int], author_budget: AuthorBudget) -> list[int]:
    """Return the largest budget of each selection compared, of which this much is available.

    'equal': what the smallest can give, for all of them. 'full': what each has.
    """
    return [min(available)] * len(available) if author_budget == "equal" else list(available)


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
