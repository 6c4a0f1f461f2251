"""The folders of this user: what can be made again is kept in one, what cannot in the other."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import platformdirs

from harness.contracts.files import sweep
from harness.errors import UsageError, mend_storage, storage_problem

CACHE_VARIABLE = "HARNESS_CACHE_DIR"


def default_cache_dir() -> Path:
    """Return the folder HARNESS_CACHE_DIR names, else this user's cache folder on this system. Raises: UsageError.

    Whoever makes it first, it is for its owner alone: private texts come to lie in it.
    """
    named = _named()
    folder = named or _of_user(platformdirs.user_cache_path)
    # A folder that can't be made is the error of who has something to put there.
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if named is None and folder.stat().st_uid == os.getuid():
            folder.chmod(0o700)
    return folder


def config_dir() -> Path:
    """Return the folder HARNESS_CACHE_DIR names, so that all lies in one place, else this user's settings folder."""
    return _named() or _of_user(platformdirs.user_config_path)


def sweep_cache() -> None:
    """Remove from the cache what processes that are gone had begun to write."""
    cache = default_cache_dir()
    for pattern in ("*", "tokens/*", "environments/packages-*", "downloads/generated"):
        for folder in cache.glob(pattern):
            sweep(folder)


def _named() -> Path | None:
    named = os.environ.get(CACHE_VARIABLE)
    return _with_home(lambda: Path(named).expanduser().absolute()) if named else None


def _of_user(path_of: Callable[[str], Path]) -> Path:
    return _with_home(lambda: path_of("rnn-harness"))


def _with_home(path: Callable[[], Path]) -> Path:
    try:
        return path()
    except RuntimeError:  # neither HOME nor the user's name leads to a folder
        raise UsageError(
            f"There is no home folder here to keep the cache in: name a whole path in {CACHE_VARIABLE}, or set HOME."
        ) from None


def keep_in_cache(write: Callable[[], None], folder: Path, remark: Callable[[str], None]) -> None:
    """Write to the cache what only saves time; where it does not take it, say so and go on."""
    try:
        write()
    except OSError as error:
        remark(
            f"The cache folder {storage_problem(folder, error)}: {mend_storage(error)}, or name another in "
            f"{CACHE_VARIABLE}; what would lie there is made anew each time."
        )
