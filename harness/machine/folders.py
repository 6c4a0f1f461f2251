"""The folders of this user: what can be made again is kept in one, what cannot in the other."""

import os
from collections.abc import Callable
from pathlib import Path

import platformdirs

from harness.contracts.files import sweep
from harness.errors import mend_storage, storage_problem

CACHE_VARIABLE = "HARNESS_CACHE_DIR"


def default_cache_dir() -> Path:
    """Return the folder HARNESS_CACHE_DIR names, else this user's cache folder on this system."""
    return _named() or platformdirs.user_cache_path("rnn-harness")


def config_dir() -> Path:
    """Return the folder HARNESS_CACHE_DIR names, so that all lies in one place, else this user's settings folder."""
    return _named() or platformdirs.user_config_path("rnn-harness")


def sweep_cache() -> None:
    """Remove from the cache what processes that are gone had begun to write."""
    cache = default_cache_dir()
    for pattern in ("*", "tokens/*", "environments/packages-*", "downloads/generated"):
        for folder in cache.glob(pattern):
            sweep(folder)


def _named() -> Path | None:
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named).expanduser().absolute() if named else None


def keep_in_cache(write: Callable[[], None], folder: Path, remark: Callable[[str], None]) -> None:
    """Write to the cache what only saves time; where it does not take it, say so and go on."""
    try:
        write()
    except OSError as error:
        remark(
            f"The cache folder {storage_problem(folder, error)}: {mend_storage(error)}, or name another in "
            f"{CACHE_VARIABLE}; what would lie there is made anew each time."
        )
