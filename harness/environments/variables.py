"""The environment variables a worker sees: an allow-list, so that none changes its speed or results unasked."""

from collections.abc import Mapping, Sequence

_PASSED = frozenset((
    "PATH", "HOME", "USER", "LANG", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "CUDA_HOME",
    "LC_ALL", "LC_COLLATE", "LC_CTYPE", "LC_MESSAGES", "LC_MONETARY", "LC_NUMERIC", "LC_TIME",
    "XDG_CACHE_HOME", "XDG_CONFIG_DIRS", "XDG_CONFIG_HOME", "XDG_DATA_DIRS", "XDG_DATA_HOME", "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME", "NVIDIA_DRIVER_CAPABILITIES", "NVIDIA_VISIBLE_DEVICES",
))  # fmt: skip
"""Whole names: by a prefix, whatever secret begins like one would come through."""
_THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
_KEPT_BYTES = 1 << 30
"""Freed memory glibc keeps rather than gives back: a minibatch's arrays come again with the next one."""


def worker_environment(
    num_threads: int, own: Mapping[str, str], passed: Sequence[str], inherited: Mapping[str, str]
) -> dict[str, str]:
    """Return the variables a worker sees: an allow-list, its threads, its slot's, and what its backend lets through.

    A variable such as OPENBLAS_CORETYPE halves a current NumPy's speed, so none comes through unasked.
    """
    environment = {name: value for name, value in inherited.items() if name in _PASSED or name in passed}
    environment |= {name: str(num_threads) for name in _THREADS}
    # Otherwise a seventh of a NumPy worker's time goes into page faults (measured: 1.2 times as fast with it).
    environment |= {name: str(_KEPT_BYTES) for name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")}
    # Without the working directory on the path, a folder named like a framework can't shadow it.
    environment |= {"PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    # A crash in compiled code leaves the Python stack in the log.
    environment["PYTHONFAULTHANDLER"] = "1"
    return environment | dict(own)
