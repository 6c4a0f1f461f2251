"""Writes the report's files: whole or not at all, and with no cell that a spreadsheet would run."""

import contextlib
import os
from pathlib import Path

import pandas as pd

from harness.errors import RunFolderError

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What makes a spreadsheet take a text for a formula."""


def write_text(path: Path, text: str) -> None:
    """Write the file beside its place, then put it there: a reader never sees half of it.

    Raises: RunFolderError where the folder cannot be written.
    """
    staging = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        # A lone surrogate from a worker's output has no UTF-8; it stays readable as \udc80.
        staging.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")
        staging.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            staging.unlink()
        raise RunFolderError(
            f"The report cannot be written to {path} ({error.strerror}): make the folder writable and free some space."
        ) from None


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write the frame with its text cells defused; what is not known is an empty cell."""
    text = frame.assign(**{str(name): _defused(frame[name]) for name in frame.columns if _holds_text(frame[name])})
    # With this line end, RFC 4180's, cells that hold a lone CR or LF are quoted and cannot begin a row.
    write_text(path, text.to_csv(index=False, lineterminator="\r\n"))


def _holds_text(column: pd.Series) -> bool:
    return bool(pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column))


def _defused(column: pd.Series) -> pd.Series:
    """Put an apostrophe before texts that a spreadsheet would run as a formula."""
    # Few values, many rows: each value is looked at once.
    texts = {value: str(value) for value in column.dropna().unique()}
    return column.map(
        {value: f"'{text}" if text.startswith(_FORMULA_STARTS) else text for value, text in texts.items()}
    )
