"""How a number is typed, in every option, experiment's file and parameter: one grammar."""

import re
from fractions import Fraction

GRAMMAR = "Numbers are typed as in 300, 0.003, 1e-4, 10k or 1.5M; several are parted by commas, and 1-4 is 1,2,3,4."
"""For the help."""
_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3}|(?P<factor>[kKmM]))?")
"""Of ASCII digits alone: what Python reads beside, such as 1_28, +3 and the digits of other scripts, is a slip."""
_FACTORS = {"k": 1_000, "m": 1_000_000}


def number(text: str) -> float:
    """Read a number, never below 0. Raises: ValueError, also for one beyond what a float holds."""
    try:
        return float(_exact(text))
    except OverflowError:
        raise ValueError(text) from None


def whole(text: str) -> int:
    """Read a whole number. Raises: ValueError."""
    value = _exact(text)
    if value.denominator != 1:
        raise ValueError(text)
    return value.numerator


def span(text: str) -> tuple[int, int]:
    """Read a whole number or a range of them, '3' as 3 to 3 and '1-4' as 1 to 4. Raises: ValueError."""
    first, dash, last = text.partition("-")
    return whole(first), whole(last if dash else first)


def _exact(text: str) -> Fraction:
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    factor = match["factor"]
    digits = match[0].removesuffix(factor or "")
    return Fraction(digits) * (_FACTORS[factor.lower()] if factor else 1)
