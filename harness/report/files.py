"""Writes the report's files: whole or not at all, and with no cell that a spreadsheet would run."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import pandas as pd

from harness.contracts.files import replacing
from harness.contracts.visible import visible
from harness.errors import RunFolderError, lacks_space

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\n")
"""What makes a spreadsheet take a text for a formula."""
_CHUNK_ROWS = 5_000
"""Rows of a table that are turned into text at a time: a large one is never in memory twice."""
_NUMBER = "%.12g"
"""Of a figure twelve digits are written, which is quicker by far than all seventeen; the ledger has them all."""
_QUOTED = re.compile(r'[,"\r\n]')
_PLAIN = re.compile(r'[^,"\r\n=+\-@\t][^,"\r\n]*')
"""A text that is neither defused nor quoted, as nearly all are."""


def write_text(path: Path, text: str) -> None:
    """Write the file beside its place, then put it there: a reader never sees half of it.

    Raises: RunFolderError where the folder cannot be written.
    """
    with _staged(path) as file:
        file.write(text)


@contextlib.contextmanager
def _staged(path: Path) -> Iterator[TextIO]:
    try:
        # A lone surrogate from a worker's output has no UTF-8; it stays readable as \udc80.
        with (
            replacing(path) as staging,
            staging.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
        ):
            yield file
    except OSError as error:
        raise _unwritable(path, error) from None


def make_folder(path: Path) -> None:
    """Make a folder for a report, if need be. Raises: RunFolderError where it can't be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> RunFolderError:
    advice = "free some space" if lacks_space(error) else "make the folder writable"
    return RunFolderError(
        f"The report cannot be written to {path} ({error.strerror}): {advice}, or name another one with "
        "'harness report RUN --out'."
    )


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write the frame with its text cells defused; what is not known is an empty cell.

    Rows end as RFC 4180 has it, and cells that hold a lone CR or LF are quoted, so that none begins a row. A row is
    formatted by one call: pandas and csv take five times as long for a figure.
    """
    with _staged(path) as file:
        file.write(",".join(_quoted(str(name)) for name in frame.columns) + "\r\n")
        for start in range(0, len(frame), _CHUNK_ROWS):
            chunk = frame.iloc[start : start + _CHUNK_ROWS]
            columns = [_cells(chunk[name]) for name in chunk.columns]
            row = ",".join(form for form, _ in columns) + "\r\n"
            file.write("".join([row % cells for cells in zip(*(cells for _, cells in columns), strict=True)]))


def _cells(column: pd.Series) -> tuple[str, list[Any]]:
    """Return how the column's cells are formatted, and what is."""
    values = column.tolist()
    if _holds_text(column):
        # Few values, many rows: each value is looked at once.
        texts = {each: _text(each) for each in dict.fromkeys(values)}
        return "%s", list(map(texts.__getitem__, values))
    form = _NUMBER if pd.api.types.is_float_dtype(column) else "%s"
    unknown = column.isna()
    if unknown.any():
        return "%s", ["" if lost else form % value for value, lost in zip(values, unknown.tolist(), strict=True)]
    return form, values


def _text(value: Any) -> str:
    if isinstance(value, str):
        value = visible(value)
        return value if _PLAIN.fullmatch(value) else _quoted(_defused(value))
    return "" if pd.isna(value) else _quoted(_defused(visible(str(value))))


def _holds_text(column: pd.Series) -> bool:
    return bool(pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column))


def _defused(text: str) -> str:
    """Put an apostrophe before a text that a spreadsheet would run as a formula."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text
