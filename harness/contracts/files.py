"""Files that are there whole or not at all; what the dead left of them is swept up."""

import contextlib
import hashlib
import json
import os
import platform
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_STAGING = re.compile(r"\..+\.(?P<machine>[\w-]*)-(?P<process>\d+)\.part")
_ABANDONED_SECONDS = 86_400
"""After so long a file that another machine's process was writing is left by the dead."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the path to write to instead; what stands there at the end of the block takes the file's place at once.

    A reader sees the former file or the new one; a kill leaves the former, an exception too. Raises: OSError.
    """
    staging = staging_of(path)
    staging.unlink(missing_ok=True)
    try:
        yield staging
        staging.replace(path)
    finally:
        # An unwritable folder is what the caller hears of, and not of what can't be swept up in it.
        with contextlib.suppress(OSError):
            staging.unlink(missing_ok=True)


def staging_of(path: Path) -> Path:
    """Return the name under which this process writes a file until it is whole; `sweep` knows it for what it is."""
    return path.with_name(f".{path.name}.{_machine()}-{os.getpid()}.part")


def sweep(folder: Path) -> None:
    """Remove what processes that are gone had begun to write in a folder; what can't be removed stays."""
    with contextlib.suppress(OSError):
        for path in folder.glob(".*.part"):
            if _is_left(path):
                with contextlib.suppress(OSError):
                    path.unlink()


def _is_left(path: Path) -> bool:
    begun = _STAGING.fullmatch(path.name)
    if begun is None:
        return False
    if begun["machine"] != _machine():
        return time.time() - path.lstat().st_mtime > _ABANDONED_SECONDS
    try:
        os.kill(int(begun["process"]), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:
        return False  # another user's
    return False


def _machine() -> str:
    return re.sub(r"[^\w-]", "_", platform.node(), flags=re.ASCII)


def write_sealed(path: Path, content: Any) -> None:
    """Write what JSON can hold, with its hash, for `read_sealed`. Raises: OSError."""
    write_whole(path, json.dumps({"sha256": _seal(content), "content": content}))


def read_sealed(path: Path) -> Any:
    """Return what `write_sealed` wrote there; None where it is not there, or not what was written."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return values["content"] if values["sha256"] == _seal(values["content"]) else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _seal(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def new_file_mode() -> int:
    """Return the permissions of any new file, for what would be given others."""
    mask = os.umask(0o077)  # it can only be read by setting it
    os.umask(mask)
    return 0o666 & ~mask


def write_whole(path: Path, text: str) -> None:
    """Write a text file, and the folders it lies in where they are not there. Raises: OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as staging:
        # A name that is not UTF-8 stands in JSON as \udce9, which is how JSON itself writes it.
        staging.write_text(text, encoding="utf-8", errors="backslashreplace")
