"""The executor of this machine: its slots, and the contract any executor must pass."""

from collections.abc import Sequence

import pytest

from harness.contracts.executors import Gpu, Slot, SlotRequest
from harness.errors import UsageError
from harness.machine.devices import available_cores, core_numbers
from harness.testing import ExecutorContract
from harness_local.slots import find_slots


@pytest.mark.slow
class TestLocal(ExecutorContract):
    target = "harness_local.executor:LocalExecutor"


GPUS = [Gpu(index=index, name="Pretended", memory_bytes=1 << 34) for index in range(3)]


def slots(devices: str, jobs: int | None, num_threads: int, gpus: Sequence[Gpu], per_device: int = 1) -> list[Slot]:
    cores = core_numbers()
    return find_slots(
        SlotRequest(devices=devices, jobs=jobs, num_threads=num_threads, per_device=per_device, gpus=gpus, cores=cores)
    )


def names(devices: str, jobs: int | None = 2) -> list[str]:
    return [slot.name for slot in slots(devices, jobs, 1, GPUS)]


def test_auto_takes_every_gpu_and_the_cpu_slots_beside_them() -> None:
    assert names("auto") == ["gpu:0", "gpu:1", "gpu:2", "cpu:0", "cpu:1"]


def test_cpu_takes_no_gpu() -> None:
    assert names("cpu") == ["cpu:0", "cpu:1"]


def test_numbers_take_these_gpus_once_each() -> None:
    assert names("2,0,2", jobs=1) == ["gpu:2", "gpu:0", "cpu:0"]
    assert names("0-1", jobs=1) == ["gpu:0", "gpu:1", "cpu:0"]


@pytest.mark.parametrize("devices", ["7", "0,7"])
def test_an_unknown_gpu_number_is_told_with_those_there_are(devices: str) -> None:
    with pytest.raises(UsageError, match=rf"--devices {devices} names GPU 7, but there is: 0, 1, 2; --devices cpu"):
        names(devices)


def test_a_gpu_number_without_any_gpu_is_told() -> None:
    with pytest.raises(UsageError, match="no GPU was found here; --devices cpu uses the CPU"):
        slots("0", 1, 1, [])


@pytest.mark.parametrize("devices", ["", "gpu", "0,", "1-0", "-1", "cpu,0", "0_1"])
def test_devices_that_cannot_be_read_are_told(devices: str) -> None:
    with pytest.raises(UsageError, match=f"--devices '{devices}' cannot be read"):
        names(devices)


def test_a_worker_sees_its_one_gpu_as_the_first_and_a_cpu_worker_sees_none() -> None:
    gpu, cpu = slots("1", 1, 1, GPUS)
    assert (gpu.device, gpu.environment) == ("cuda:0", {"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"})
    assert (cpu.device, cpu.environment) == ("cpu", {"CUDA_VISIBLE_DEVICES": ""})


def test_there_are_as_many_cpu_slots_as_threads_fit_the_cores() -> None:
    cores = available_cores()
    assert len(slots("cpu", None, 1, [])) == cores
    assert len(slots("cpu", None, cores, [])) == 1
    assert len(slots("cpu", None, 10 * cores, [])) == 1


def test_several_workers_share_a_gpu_only_when_asked() -> None:
    shared = slots("0,1", 1, 1, GPUS, per_device=2)
    assert [slot.name for slot in shared] == ["gpu:0/0", "gpu:0/1", "gpu:1/0", "gpu:1/1", "cpu:0"]
    assert [slot.per_device for slot in shared] == [2, 2, 2, 2, 1]
    assert shared[0].environment == shared[1].environment


@pytest.mark.skipif(available_cores() < 2, reason="one core alone leaves nothing to keep apart")
def test_workers_that_fill_the_cores_are_kept_apart_and_fewer_are_not() -> None:
    kept = [slot.cores for slot in slots("cpu", None, 1, [])]
    assert sorted(core for cores in kept for core in cores) == list(core_numbers())
    assert all(len(cores) == 1 for cores in kept)
    assert slots("cpu", 1, 1, [])[0].cores == ()
    assert all(slot.cores == () for slot in slots("auto", None, 1, GPUS))
