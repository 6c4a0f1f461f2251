"""How the page words things: numbers with their units, lists, ranges, and the names of models."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from harness.contracts.figures import Format
from harness.contracts.settings import Setting
from harness.worker.trial import SETTINGS

MISSING = "–"
NARROW = "\u202f"
"""A narrow no-break space, between a number and its unit."""

SEPARATOR = "\u00a0· "
"""Between the parts of a model's name; a line may break after the dot."""

PREPROCESSING = {"d2l": "letters only", "raw": "raw text"}
"""What was done to a text, by its `--text`."""
UNITS = {"char": "characters", "word": "words"}
"""What a text is read by, by its `--tokens`."""


# --- numbers ----------------------------------------------------------------------------------------------


def perplexity(value: float) -> str:
    """Word a perplexity with three digits after the point."""
    if not _is_known(value):
        return MISSING
    if math.isinf(value):
        return "∞"
    return f"{value:.3f}" if value < 1e5 else f"{value:.2e}"


def ratio(value: float) -> str:
    """Word an accuracy or bits per character with three digits after the point."""
    return f"{value:.3f}" if _is_finite(value) else MISSING


def rate(value: float) -> str:
    """Word tokens per second: 25.1 k."""
    return _scaled(value, ((1e9, "G"), (1e6, "M"), (1e3, "k")))


def flops_rate(value: float) -> str:
    """Word floating-point operations per second: 137 GFLOP/s."""
    return f"{_scaled(value, ((1e12, 'T'), (1e9, 'G'), (1e6, 'M')))}FLOP/s" if _is_finite(value) else MISSING


def count(value: float) -> str:
    """Word a whole number with its thousands set apart."""
    return f"{int(value):,}".replace(",", NARROW) if _is_finite(value) else MISSING


def seconds(value: float) -> str:
    """Word a time in seconds, finer the shorter it is."""
    if not _is_finite(value):
        return MISSING
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}".replace(",", NARROW)


def megabytes(value: float) -> str:
    """Word a size in units of 10⁶ bytes."""
    return count(round(value / 1e6)) if _is_finite(value) else MISSING


def gigabytes(value: float) -> str:
    """Word a size in units of 10⁹ bytes."""
    return f"{value / 1e9:.1f}{NARROW}GB" if _is_finite(value) else MISSING


def signed(value: float) -> str:
    """Word a difference of figures with three digits after the point."""
    return f"{value:+.3f}" if _is_finite(value) else MISSING


def small(value: float) -> str:
    """Word what is near zero: 3.1e-07."""
    return f"{value:.1e}" if _is_finite(value) else MISSING


FORMATS: Mapping[Format, Callable[[float], str]] = {
    "perplexity": perplexity,
    "ratio": ratio,
    "signed": signed,
    "small": small,
    "rate": rate,
    "count": count,
    "seconds": seconds,
    "megabytes": megabytes,
}
"""How a measure's value is worded, by the format in its row."""


def column(values: Iterable[float], beside: Iterable[float] = ()) -> list[str]:
    """Word the figures of one column alike: four digits of the largest, powers of ten for what would read zero.

    Whole numbers stay whole where all are. Columns ``beside`` it, its intervals' ends, are to have as many digits.
    """
    listed = list(values)
    known = [float(value) for value in [*listed, *beside] if _is_finite(value)]
    if all(value.is_integer() and abs(value) < 1e15 for value in known):
        return [_minus(count(value)) for value in listed]
    largest = max(abs(value) for value in known)
    digits = min(max(3 - math.floor(math.log10(largest)), 0), 4)
    return [_figure(value, digits) for value in listed]


def _figure(value: float, digits: int) -> str:
    if not _is_finite(value):
        return MISSING
    if value == 0:
        return "0"  # exactly: what is only near it is a power of ten
    if abs(value) < 10.0**-digits or abs(value) >= 1e6:
        fraction, power = f"{value:.1e}".split("e")
        raised = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        return _minus(f"{fraction}{NARROW}×{NARROW}10{raised}")
    return _minus(f"{value:,.{digits}f}".replace(",", NARROW))


def _minus(worded: str) -> str:
    return worded.replace("-", "\u2212")


def bracket(low: float, high: float, word: Callable[[float], str]) -> str:
    """Word an interval, or nothing where there is none."""
    return f"{word(low)} to {word(high)}" if _is_finite(low) and _is_finite(high) else ""


def _scaled(value: float, units: Sequence[tuple[float, str]]) -> str:
    if not _is_finite(value):
        return MISSING
    for size, unit in units:
        # 999.95 k would be worded 1000.0 k: the next unit takes over where the rounding does.
        if abs(value) >= size * 0.99995:
            return f"{value / size:.1f}{NARROW}{unit}"
    return f"{value:.1f}"


def _is_known(value: Any) -> bool:
    return value is not None and value is not pd.NA and not math.isnan(value)


def _is_finite(value: Any) -> bool:
    return _is_known(value) and math.isfinite(value)


# --- lists ------------------------------------------------------------------------------------------------


def enumerate_names(names: Iterable[str], most: int = 6) -> str:
    """Word a list: 'a', 'a and b', 'a, b and c', or the first few 'and 4 others'."""
    listed = list(names)
    if len(listed) > most:
        rest = len(listed) - most + 1
        listed = [*listed[: most - 1], f"{rest} others"]
    if len(listed) < 2:
        return "".join(listed)
    return f"{', '.join(listed[:-1])} and {listed[-1]}"


def enumerate_numbers(numbers: Iterable[int]) -> str:
    """Word whole numbers, runs of three or more as ranges: '1–4', '1, 2 and 8'."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    parts: list[str] = []
    for run in runs:
        parts += [f"{run[0]}–{run[-1]}"] if len(run) > 2 else [str(number) for number in run]
    return enumerate_names(parts)


def plural(number: int, noun: str) -> str:
    """Word a number of things: '1 trial', '8 trials'."""
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


# --- models -----------------------------------------------------------------------------------------------

_FIRST = ("cell", "num_layers", "backend", "implementation", "num_hiddens", "train_tokens", "mix")
_ORDER = dict.fromkeys((*_FIRST, *(name for name in SETTINGS if name != "seed"), "seed"))
FACTORS: Mapping[str, Setting] = {name: SETTINGS[name] for name in _ORDER if SETTINGS[name].words}
"""What can tell two trials on one text apart, in the order of a label."""

_FORMAT = re.compile(r"\{:[^}]*\}")
_SINGULAR = {"1 layers": "1 layer", "1 epochs": "1 epoch", "1 steps": "1 step", "1 hiddens": "1 hidden"}


def label(frame: pd.DataFrame, factors: Sequence[str]) -> pd.Series:
    """Name each row by these factors: 'lstm · 2 layers · torch'; a line may break after a dot.

    A setting that is not there was tuned.
    """
    parts = [_phrases(frame[name], FACTORS[name]) for name in FACTORS if name in factors]
    if not parts:
        return pd.Series("", index=frame.index, dtype=object)
    return pd.Series([SEPARATOR.join(row) for row in zip(*parts, strict=True)], index=frame.index, dtype=object)


def _phrases(column: pd.Series, row: Setting) -> list[str]:
    phrase = row.words
    # Few values, many rows: each value is worded once.
    words = {value: _phrase(value, phrase) for value in column.dropna().unique()}
    if len(set(words.values())) < len(words):  # different figures that read alike are given with all their digits
        words = {value: _phrase(value, _FORMAT.sub("{}", phrase)) for value in words}
    tuned = f"{row.heading.lower()} tuned" if row.search is not None else MISSING
    return [words.get(value, tuned) for value in column]


def _phrase(value: Any, phrase: str) -> str:
    worded = phrase.format(value)
    if not isinstance(value, str):
        worded = worded.replace(",", NARROW)
    return _SINGULAR.get(worded, worded)
