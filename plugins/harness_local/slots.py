"""The slots of this machine: its GPUs, and as many places on its CPU as threads fit the cores."""

from collections.abc import Sequence

from harness.contracts import numerals
from harness.contracts.executors import Gpu, Slot, SlotRequest
from harness.errors import UsageError

_MOST_GPUS = 1000
"""In a range; more is a slip."""


def find_slots(request: SlotRequest) -> list[Slot]:
    """Return the slots for ``--devices`` auto, cpu, or GPU numbers; CPU slots are there in every case.

    Backends that don't use GPUs run on the CPU slots beside them. ``per_device`` workers share each GPU.
    Raises: UsageError.
    """
    chosen = _chosen(request.devices, request.gpus)
    gpu = [_gpu_slot(gpu, part, request) for gpu in chosen for part in range(request.per_device)]
    return [*gpu, *_cpu_slots(request, beside_gpus=bool(chosen))]


def _chosen(devices: str, gpus: Sequence[Gpu]) -> Sequence[Gpu]:
    if devices == "cpu":
        return []
    if devices == "auto":
        return gpus
    numbers = _numbers(devices)
    by_index = {gpu.index: gpu for gpu in gpus}
    missing = [number for number in numbers if number not in by_index]
    if missing:
        there = f"there is: {', '.join(map(str, by_index))}" if by_index else "no GPU was found here"
        raise UsageError(
            f"--devices {devices} names GPU {', '.join(map(str, missing))}, but {there}; --devices cpu uses the CPU."
        )
    return [by_index[number] for number in numbers]


def _numbers(devices: str) -> list[int]:
    """Read GPU numbers and ranges of them."""
    try:
        spans = [numerals.span(part) for part in devices.split(",")]
    except ValueError:
        spans = []
    if not spans or any(not 0 <= last - first <= _MOST_GPUS for first, last in spans):
        raise UsageError(f"--devices {devices!r} cannot be read: give auto, cpu, or GPU numbers as in 0,1 or 0-3.")
    return list(dict.fromkeys(number for first, last in spans for number in range(first, last + 1)))


def _gpu_slot(gpu: Gpu, part: int, request: SlotRequest) -> Slot:
    return Slot(
        name=f"gpu:{gpu.index}" if request.per_device == 1 else f"gpu:{gpu.index}/{part}",
        kind="gpu",
        num_threads=request.num_threads,
        environment={"CUDA_VISIBLE_DEVICES": str(gpu.index), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"},
        per_device=request.per_device,
    )


def _cpu_slots(request: SlotRequest, *, beside_gpus: bool) -> list[Slot]:
    cores, num_threads = request.cores, request.num_threads
    count = request.jobs or max(1, int(min(len(cores), request.cpu_quota)) // num_threads)
    # Workers that fill the cores exactly are kept apart, one to each; others the system places better.
    pinned = not beside_gpus and count > 1 and count * num_threads == len(cores)
    return [
        Slot(
            name=f"cpu:{number}",
            kind="cpu",
            num_threads=num_threads,
            # An empty list of devices keeps a framework from opening a GPU its trial doesn't use.
            environment={"CUDA_VISIBLE_DEVICES": ""},
            cores=cores[number * num_threads : (number + 1) * num_threads] if pinned else (),
        )
        for number in range(count)
    ]
