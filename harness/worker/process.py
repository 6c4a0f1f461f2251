"""What the worker says of itself: memory, versions, and the variables that change speed or results."""

import os
import platform
import resource
import sys
from pathlib import Path

import numpy as np

_TELLING = (
    "OMP_",
    "MKL_",
    "OPENBLAS_",
    "KMP_",
    "CUDA_",
    "XLA_",
    "TF_",
    "MXNET_",
    "CUBLAS_",
    "PYTORCH_",
    "NPROC",
    "MALLOC_",
)


def peak_rss_bytes() -> int:
    """Return this process's largest resident memory so far."""
    status = Path("/proc/self/status")
    if status.exists():
        # ru_maxrss would do, but on Linux it survives exec and so may be the parent's figure.
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def interpreter_versions() -> dict[str, str]:
    """Return the versions every worker has."""
    return {"python": platform.python_version(), "numpy": np.__version__}


def telling_environment() -> dict[str, str]:
    """Return the environment variables that change speed or results."""
    return {name: value for name, value in sorted(os.environ.items()) if name.startswith(_TELLING)}
