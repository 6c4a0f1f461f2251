"""Files that are there whole or not at all."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the path to write to instead; what stands there at the end of the block takes the file's place at once.

    A reader sees the former file or the new one; a kill leaves the former, an exception too. Raises: OSError.
    """
    staging = path.with_name(f".{path.name}.{os.getpid()}.part")
    staging.unlink(missing_ok=True)
    try:
        yield staging
        staging.replace(path)
    finally:
        # An unwritable folder is what the caller hears of, and not of what can't be swept up in it.
        with contextlib.suppress(OSError):
            staging.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Write a text file, and the folders it lies in where they are not there. Raises: OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as staging:
        staging.write_text(text, encoding="utf-8")
