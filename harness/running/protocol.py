"""Reads what a worker sends: each line is held to its event's types, down to the last number in it."""

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from harness.worker.events import KINDS, UNBOUNDED, Event

_LARGEST_WHOLE = 2**63 - 1
"""What the ledger's whole numbers hold."""
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class ProtocolError(Exception):
    """A worker sent what it should not have; the words continue 'it sent'."""


def read_event(line: bytes) -> Event:
    """Read one line. Raises: ProtocolError for anything that is not an event."""
    try:
        values = json.loads(line.decode("utf-8", "replace"))
        kind = KINDS[values.pop("event")]
        event: Event = kind(**_read_fields(kind, values))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ProtocolError(f"a line that is not an event: {line[:80]!r}") from None
    return event


def _read_fields(kind: type, values: dict[str, Any]) -> dict[str, Any]:
    hints = _hints(kind)
    return {name: _read(value, hints[name]) for name, value in values.items()}


@cache
def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _read(value: Any, hint: Any) -> Any:
    """Return the value as its type has it. Raises: ValueError or TypeError where it is of another."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (UnionType, Union):
        return None if value is None and type(None) in parts else _read(value, parts[0])
    if origin is Literal:
        return _require(value, isinstance(value, str) and value in parts)
    if origin is tuple:
        return _read_tuple(value, parts)
    if origin in (dict, Mapping):
        _require(value, isinstance(value, dict))
        return {_read_text(name): _read(item, parts[1]) for name, item in value.items()}
    if origin is Annotated:
        return _read_number(value, is_bounded=UNBOUNDED not in parts)
    return _READERS[hint](value)


def _read_tuple(value: Any, parts: tuple[Any, ...]) -> tuple[Any, ...]:
    _require(value, isinstance(value, list))
    kinds = parts[:1] * len(value) if parts[-1] is Ellipsis else parts
    return tuple(_read(item, kind) for item, kind in zip(value, kinds, strict=True))


def _read_text(value: Any) -> str:
    # An exception's words may have a lone surrogate in them, which no file and no ledger holds.
    return _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", _require(value, isinstance(value, str)))


def _read_whole(value: Any) -> int:
    return int(_require(value, type(value) is int and 0 <= value <= _LARGEST_WHOLE))


def _read_number(value: Any, *, is_bounded: bool = True) -> float:
    _require(value, type(value) is float or (type(value) is int and abs(value) <= _LARGEST_WHOLE))
    return float(_require(value, not is_bounded or (math.isfinite(value) and value >= 0)))


_READERS = {str: _read_text, int: _read_whole, float: _read_number}


def _require(value: Any, is_right: bool) -> Any:
    if not is_right:
        raise ValueError(value)
    return value
