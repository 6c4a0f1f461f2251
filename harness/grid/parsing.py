"""Reads what a user types for an axis of the grid: '1-4', '10k,100k,all', '0.1,1', '3'."""

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from harness.contracts import numerals
from harness.contracts.initialisation import parse_init
from harness.contracts.settings import Searched, Setting
from harness.errors import UsageError, did_you_mean
from harness.texts.decoding import check_encoding
from harness.texts.split import Budget, LogRange

Value = TypeVar("Value")
MAX_VALUES = 10_000
"""Of one option; a slip such as 1-1000000000 would fill the memory."""
LARGEST_COUNT = 10**9
LARGEST_SEED = 2**53 - 1
"""The largest whole number that tables and JSON readers carry exactly."""
_SETTING = re.compile(r"[A-Za-z_]\w*=")
_COMMA = re.compile(r"(?<!\\),")
_ESCAPED = "\\,"
"""A comma that parts nothing, as in a file's name."""


def counts(text: str, option: str, *, low: int = 1) -> tuple[int, ...]:
    """Read whole numbers and ranges, ``low`` the smallest: '1-4' or '1,3,5-7'. Raises: UsageError."""
    advice = "cannot be read: give whole numbers or ranges, as in 2 or 1-4 or 1,2,4-6"
    return _within(_spans(text, option, advice), text, option, low, LARGEST_COUNT)


def count(text: str, option: str, *, low: int = 0, high: int = LARGEST_COUNT) -> int:
    """Read one whole number within bounds, both included. Raises: UsageError."""
    try:
        value = numerals.whole(text)
    except ValueError:
        raise UsageError(f"{option} {text!r} cannot be read: give one whole number.") from None
    _require_within(value, value, text, option, low, high)
    return value


def _spans(text: str, option: str, advice: str) -> list[tuple[int, int]]:
    """Read whole numbers and ranges as the first and the last of each. Raises: UsageError with the advice."""
    try:
        return [numerals.span(part) for part in _parts(text, option)]
    except ValueError:
        raise UsageError(f"{option} {text!r} {advice}.") from None


def _within(spans: Sequence[tuple[int, int]], text: str, option: str, low: int, high: int) -> tuple[int, ...]:
    """Return the whole numbers of ranges within bounds, each once. Raises: UsageError."""
    values: list[int] = []
    for begin, end in spans:
        _require_within(begin, end, text, option, low, high)
        _require_few(len(values) + end - begin + 1, text, option)
        values.extend(range(begin, end + 1))
    return _unique(values)


def _require_within(begin: int, end: int, text: str, option: str, low: int, high: int) -> None:
    if end > high:
        raise UsageError(f"{option} {text!r} is out of reach: the largest value is {high:,}.")
    if begin < low:
        raise UsageError(f"{option} {text!r} begins below {low}: the smallest value is {low}.")
    if end < begin:
        raise UsageError(f"{option} {text!r} runs backwards: write {end}-{begin}.")


def token_budgets(text: str, option: str) -> tuple[Budget, ...]:
    """Read numbers of tokens; 'all' is None, '10k' is 10,000 and '1M' a million.

    '10k..all:5' is five numbers at equal ratios from 10,000 to all. Raises: UsageError.
    """

    def read(part: str) -> Budget:
        low, dots, rest = part.partition("..")
        if not dots:
            return _token_budget(part)
        high, _, count = rest.partition(":")
        ends = _token_budget(low), _token_budget(high)
        number = numerals.whole(count)
        if ends[0] is None or (ends[1] is not None and ends[1] <= ends[0]) or not 2 <= number <= MAX_VALUES:
            raise ValueError(part)
        return LogRange(ends[0], ends[1], number)

    return _each(
        text,
        option,
        read,
        "numbers of tokens, as in 10k,100k,all, or two or more from a smaller to a larger one, as in 10k..all:5",
    )


def _token_budget(text: str) -> int | None:
    if text == "all":
        return None
    budget = numerals.whole(text)
    if not 1 <= budget <= LARGEST_COUNT:
        raise ValueError(text)
    return budget


def numbers(text: str, option: str, *, low: float, high: float = float("inf"), open_low: bool) -> tuple[float, ...]:
    """Read decimal numbers within bounds; ``open_low`` leaves ``low`` itself out. Raises: UsageError."""

    def read(part: str) -> float:
        value = numerals.number(part)
        if not (low < value if open_low else low <= value) or not value < high:
            raise ValueError(part)
        return value

    above = f"above {low:g}" if open_low else f"from {low:g}"
    bounds = above if high == float("inf") else f"{above} and below {high:g}"
    return _each(text, option, read, f"numbers {bounds}, as in 0.003 or 1e-4")


def number(text: str, option: str, *, low: float, high: float = float("inf"), open_low: bool) -> float:
    """Read one decimal number within bounds. Raises: UsageError."""
    return _single(numbers(text, option, low=low, high=high, open_low=open_low), text, option)


def searched(text: str, option: str, *, known: Sequence[str]) -> tuple[Searched, ...]:
    """Read names of which these are known, each with other bounds where it is to have them: 'lr=0.0001:1,dropout'.

    Raises: UsageError.
    """
    parts = [part.partition("=") for part in _parts(text, option)]
    choices(",".join(name for name, _, _ in parts), option, known=known)
    if len({name for name, _, _ in parts}) < len(parts):
        raise UsageError(f"{option} {text!r} names a setting twice: give each once.")
    return tuple(Searched(name, _bounds(bounds, text, option) if equals else None) for name, equals, bounds in parts)


def _bounds(typed: str, text: str, option: str) -> tuple[float, float]:
    try:
        low, high = map(numerals.number, typed.split(":"))
        if low >= high:
            raise ValueError(typed)
    except ValueError:
        raise UsageError(
            f"{option} {text!r} cannot be used: give a range as its lowest and highest value, as in lr=0.0001:1."
        ) from None
    return low, high


def percentage(text: str, option: str) -> float:
    """Read a share in per cent, '5%' as 0.05. Raises: UsageError."""
    digits, sign, rest = text.partition("%")
    try:
        if not sign or rest.strip():
            raise ValueError(text)
        return numerals.number(digits) / 100
    except ValueError:
        raise UsageError(f"{option} {text!r} cannot be read: give per cent, as in 5% or 0.5%.") from None


def seeds(text: str, option: str, *, are_listed: bool = False) -> tuple[int, ...]:
    """Read seeds: one number N is the N seeds 0 … N-1, unless ``are_listed``; a list or a range is those seeds.

    Raises: UsageError.
    """
    advice = "cannot be used: give how many seeds, as in 3, or which ones, as in 3,7 or 3-5"
    spans = _spans(text, option, advice)
    if not are_listed and "," not in text and "-" not in text:
        ((number, _),) = spans
        if not number:
            raise UsageError(f"{option} 0 is no seed at all: give how many seeds, as in 3, or use --seed 0 for seed 0.")
        spans = [(0, number - 1)]
    return _within(spans, text, option, 0, LARGEST_SEED)


def names(text: str, option: str) -> tuple[str, ...]:
    """Read names separated by commas. Raises: UsageError.

    What follows a name with a colon and is itself 'key=value' belongs to that name: 'markov:order=2,seed=1' is one.
    A comma behind a backslash is the name's own.
    """
    listed: list[str] = []
    for part in _parts(text, option):
        if listed and ":" in listed[-1] and _SETTING.match(part):
            listed[-1] += f",{part}"
        else:
            listed.append(part)
    return _unique([name.replace(_ESCAPED, ",") for name in listed])


def typed(value: Any) -> str:
    """Return a value, or a list of them, as it would be typed."""
    if isinstance(value, (list, tuple)):
        return ",".join(str(item).replace(",", _ESCAPED) for item in value)
    return str(value)


def choices(text: str, option: str, *, known: Sequence[str]) -> tuple[str, ...]:
    """Read names of which these are known, separated by commas. Raises: UsageError."""
    chosen = _unique(_parts(text, option))
    for name in chosen:
        if name not in known:
            raise UsageError(f"There is no {option.removeprefix('--')} {name!r}.{did_you_mean(name, known)}")
    return chosen


def choice(text: str, option: str, *, known: Sequence[str]) -> str:
    """Read one name of which these are known. Raises: UsageError."""
    return _single(choices(text, option, known=known), text, option)


def inits(text: str, option: str) -> tuple[str, ...]:
    """Read ways for weights to begin. Raises: UsageError."""

    def read(part: str) -> str:
        kind, width = parse_init(part)
        return f"{kind}:{width:.15g}" if width else kind

    return _each(text, option, read, "uniform, uniform:0.08 (its bound) or normal:0.01 (its deviation)")


def encoding(text: str, option: str) -> str:
    """Read the name of a text's encoding. Raises: UsageError."""
    try:
        return check_encoding(text.strip())
    except (LookupError, ValueError):
        raise UsageError(
            f"{option} {text!r} is no encoding known here: give one as in utf-8, windows-1252, shift_jis or utf-16."
        ) from None


def word(text: str, option: str) -> str:
    """Read what is not taken apart here. Raises: UsageError."""
    return _single(_unique(_parts(text, option)), text, option)


def value(row: Setting, text: str, option: str = "") -> Any:
    """Read what is typed for a setting; ``option`` is what a message calls it. Raises: UsageError."""
    return reader(row)(text, option or row.option)


def reader(row: Setting) -> Callable[[str, str], Any]:
    """Return the function of this module that a setting's row names, with its bounds."""
    assert row.values is not None  # every row with an option says how it is read
    return partial(globals()[row.values.reader], **row.values.bounds)


def folder(text: str, option: str) -> Path:
    """Read a folder's path. Raises: UsageError."""
    if not text.strip():
        raise UsageError(f"{option} {text!r} names no folder: give its path.")
    return Path(text)


def file(text: str, option: str) -> Path:
    """Read the path of a file that will be written. Raises: UsageError."""
    path = Path(text)
    if not text.strip() or path.is_dir() or not path.parent.is_dir():
        raise UsageError(f"{option} {text!r} names no file that can be written: give one in a folder that exists.")
    return path


def _parts(text: str, option: str) -> list[str]:
    parts = [part.strip() for part in _COMMA.split(text)]
    if not any(parts):
        raise UsageError(f"{option} {text!r} is empty: give at least one value, or leave the option out.")
    if not all(parts):
        raise UsageError(f"{option} {text!r} has an empty part: separate values by single commas.")
    return parts


def _require_few(number: int, text: str, option: str) -> None:
    if number > MAX_VALUES:
        raise UsageError(f"{option} {text!r} is {number:,} values: give at most {MAX_VALUES:,}.")


def _each(text: str, option: str, read: Callable[[str], Value], expected: str) -> tuple[Value, ...]:
    try:
        return _unique([read(part) for part in _parts(text, option)])
    except ValueError:
        raise UsageError(f"{option} {text!r} cannot be used: give {expected}.") from None


def _single(values: tuple[Value, ...], text: str, option: str) -> Value:
    if len(values) > 1:
        raise UsageError(f"{option} {text!r} is several values: give one.")
    return values[0]


def _unique(values: list[Value]) -> tuple[Value, ...]:
    return tuple(dict.fromkeys(values))
