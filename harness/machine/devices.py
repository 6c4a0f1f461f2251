"""Finds this machine's GPUs and cores, without importing a framework."""

import itertools
import os
from collections.abc import Sequence
from functools import cache
from typing import Any

from harness.contracts.executors import Gpu


def find_gpus() -> list[Gpu]:
    """Return the NVIDIA GPUs the driver reports and CUDA_VISIBLE_DEVICES admits; none where there is no driver."""
    return visible(driver_gpus(), os.environ.get("CUDA_VISIBLE_DEVICES"))


@cache
def driver_gpus() -> tuple[Gpu, ...]:
    """Return every NVIDIA GPU the driver reports; none where there is no driver."""
    try:
        import pynvml
    except ImportError:
        return ()
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        return tuple(_gpu(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount()))
    except pynvml.NVMLError:
        return ()
    finally:
        pynvml.nvmlShutdown()


def _gpu(pynvml: Any, index: int) -> Gpu:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    name = pynvml.nvmlDeviceGetName(handle)
    return Gpu(
        index=index,
        name=name.decode() if isinstance(name, bytes) else name,
        memory_bytes=int(pynvml.nvmlDeviceGetMemoryInfo(handle).total),
    )


def visible(gpus: Sequence[Gpu], variable: str | None) -> list[Gpu]:
    """Return the GPUs that this value of CUDA_VISIBLE_DEVICES admits; None admits all, '' and '-1' none.

    As CUDA reads it: what follows an entry that names no GPU does not count.
    """
    if variable is None:
        return list(gpus)
    known = {str(gpu.index): gpu for gpu in gpus}
    named = [part.strip() for part in variable.split(",")]
    if any(part.startswith(("GPU-", "MIG-")) for part in named):
        # UUIDs can't be compared with indices here; then the driver's own count stands.
        return list(gpus)
    admitted = list(itertools.takewhile(known.__contains__, named))
    return [gpu for index, gpu in known.items() if index in admitted]


def core_numbers() -> tuple[int, ...]:
    """Return the cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(core_numbers())
