"""How a text is divided: a training and a validation part of each document, and a budget among authors."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import CorpusError

HELD_OUT = "held-out"
_SHARES = re.compile(r"(\d+)/(\d+)/(\d+)")
_WINDOWS = re.compile(r"windows:(\d+)\+(\d+)x(\d+)")


@dataclass(frozen=True)
class Split:
    """Which of a document's tokens train and which validate."""

    words: str = HELD_OUT
    """'held-out': the last part of a document validates. '80/10/10': per cent that train, validate and test, in
    this order. 'windows:10000+5000x32': the first 10,000 windows of 32 inputs and a target at stride 1 train, the next
    5,000 validate; the text of neighbouring windows overlaps, as D2L 1.0 has it."""
    valid_fraction: float = 0.1
    """Of 'held-out'."""

    def parts(self, num_tokens: int) -> tuple[slice, slice]:
        """Return where the training and the validation part lie. Raises: CorpusError where the text is too short."""
        if windows := _WINDOWS.fullmatch(self.words):
            train, valid, num_steps = map(int, windows.groups())
            if num_tokens < train + valid + num_steps:
                raise CorpusError(
                    f"--split {self.words} needs {train + valid + num_steps:,} tokens, and a text has {num_tokens:,}: "
                    "take fewer windows, or a longer text."
                )
            return slice(0, train + num_steps), slice(train, train + valid + num_steps)
        if shares := _SHARES.fullmatch(self.words):
            first, second, _ = (int(share) for share in shares.groups())
            train, valid = num_tokens * first // 100, num_tokens * (first + second) // 100
            return slice(0, train), slice(train, valid)
        boundary = count_training_tokens(num_tokens, self.valid_fraction)
        return slice(0, boundary), slice(boundary, num_tokens)

    def check(self) -> None:
        """Raise a CorpusError for words that mean nothing."""
        shares = _SHARES.fullmatch(self.words)
        windows = _WINDOWS.fullmatch(self.words)
        sound = self.words == HELD_OUT or (windows is not None and "0" not in windows.groups())
        if shares is not None:
            percent = [int(share) for share in shares.groups()]
            sound = sum(percent) == 100 and min(percent[:2]) > 0
        if not sound:
            raise CorpusError(
                f"--split {self.words!r} is none: give held-out, per cent as in 80/10/10, or windows as in "
                "windows:10000+5000x32 (how many train, how many validate, of how many steps)."
            )


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
