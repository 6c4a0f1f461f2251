"""Finds the places trials can run on, GPUs and CPU slots, without importing a framework."""

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from harness.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One GPU as the driver sees it."""

    index: int
    name: str
    memory_bytes: int


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A place for one worker at a time."""

    name: str
    """'cpu:0', 'gpu:1'; shown to the user and recorded."""
    kind: str
    """'cpu' or 'gpu'."""
    num_threads: int
    environment: dict[str, str]
    """What makes the worker see just this place."""
    cores: tuple[int, ...] = ()
    """The CPU cores its worker is kept on; none is any."""
    per_device: int = 1
    """How many workers share its GPU."""

    @property
    def device(self) -> str:
        """Return the device as the worker names it: the one GPU it sees is its first."""
        return "cuda:0" if self.kind == "gpu" else "cpu"


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


def slots(devices: str, jobs: int | None, num_threads: int, gpus: Sequence[Gpu], per_device: int = 1) -> list[Slot]:
    """Return the slots for ``--devices`` auto, cpu, or GPU numbers; CPU slots are there in every case.

    Backends that don't use GPUs run on the CPU slots beside them. ``per_device`` workers share each GPU.
    Raises: UsageError.
    """
    cores = core_numbers()
    num_cpu = jobs or max(1, len(cores) // num_threads)
    chosen = _chosen(devices, gpus)
    # Workers that fill the cores exactly are kept apart, one to each; others the system places better.
    pinned = not chosen and num_cpu > 1 and num_cpu * num_threads == len(cores)
    cpu = [
        _cpu_slot(number, num_threads, cores[number * num_threads : (number + 1) * num_threads] if pinned else ())
        for number in range(num_cpu)
    ]
    return [*(_gpu_slot(gpu, num_threads, part, per_device) for gpu in chosen for part in range(per_device)), *cpu]


def _chosen(devices: str, gpus: Sequence[Gpu]) -> Sequence[Gpu]:
    if devices == "cpu":
        return []
    if devices == "auto":
        return gpus
    parts = [part.strip() for part in devices.split(",")]
    if not all(part.isdigit() for part in parts):
        raise UsageError(f"--devices {devices!r} cannot be read: give auto, cpu, or GPU numbers as in 0,1.")
    by_index = {str(gpu.index): gpu for gpu in gpus}
    missing = [part for part in parts if part not in by_index]
    if missing:
        there = f"there is: {', '.join(by_index)}" if by_index else "no GPU was found here"
        raise UsageError(
            f"--devices {devices} names GPU {', '.join(missing)}, but {there}; --devices cpu uses the CPU."
        )
    return [by_index[part] for part in dict.fromkeys(parts)]


def _gpu_slot(gpu: Gpu, num_threads: int, part: int, per_device: int) -> Slot:
    return Slot(
        name=f"gpu:{gpu.index}" if per_device == 1 else f"gpu:{gpu.index}/{part}",
        kind="gpu",
        num_threads=num_threads,
        environment={"CUDA_VISIBLE_DEVICES": str(gpu.index), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"},
        per_device=per_device,
    )


def _cpu_slot(number: int, num_threads: int, cores: tuple[int, ...]) -> Slot:
    # An empty list of devices keeps a framework from opening a GPU its trial doesn't use.
    return Slot(
        name=f"cpu:{number}",
        kind="cpu",
        num_threads=num_threads,
        environment={"CUDA_VISIBLE_DEVICES": ""},
        cores=cores,
    )
