import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.machine.devices import Gpu, available_cores, core_numbers, find_gpus, slots, visible
from harness.running import run

GPUS = [Gpu(index=index, name="Pretended", memory_bytes=1 << 34) for index in range(3)]


def names(devices: str, jobs: int | None = 2) -> list[str]:
    return [slot.name for slot in slots(devices, jobs, 1, GPUS)]


def test_auto_takes_every_gpu_and_the_cpu_slots_beside_them() -> None:
    assert names("auto") == ["gpu:0", "gpu:1", "gpu:2", "cpu:0", "cpu:1"]


def test_cpu_takes_no_gpu() -> None:
    assert names("cpu") == ["cpu:0", "cpu:1"]


def test_numbers_take_these_gpus_once_each() -> None:
    assert names("2,0,2", jobs=1) == ["gpu:2", "gpu:0", "cpu:0"]


@pytest.mark.parametrize("devices", ["7", "0,7"])
def test_an_unknown_gpu_number_is_told_with_those_there_are(devices: str) -> None:
    with pytest.raises(UsageError, match=rf"--devices {devices} names GPU 7, but there is: 0, 1, 2; --devices cpu"):
        names(devices)


def test_a_gpu_number_without_any_gpu_is_told() -> None:
    with pytest.raises(UsageError, match="no GPU was found here; --devices cpu uses the CPU"):
        slots("0", 1, 1, [])


@pytest.mark.parametrize("devices", ["", "gpu", "0,", "0-1", "-1", "cpu,0"])
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


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot bind a process to cores")
def test_only_the_cores_this_process_may_use_count() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert available_cores() == 1
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        (None, [0, 1, 2]),
        ("", []),
        ("-1", []),
        ("1", [1]),
        ("2, 0", [0, 2]),
        ("0,-1,2", [0]),
        ("NoDevFiles", []),
        ("9", []),
        ("GPU-8932f937-d72c-4106-c12f-20bd9faed9f6", [0, 1, 2]),
    ],
)
def test_gpus_hidden_from_this_process_do_not_count(variable: str | None, expected: list[int]) -> None:
    assert [gpu.index for gpu in visible(GPUS, variable)] == expected


def test_a_machine_without_a_driver_has_no_gpus() -> None:
    if Path("/dev/nvidia0").exists():
        pytest.skip("this machine has an NVIDIA GPU")
    assert find_gpus() == []


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


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system keeps no process on a core")
@pytest.mark.skipif(available_cores() < 2, reason="one core alone leaves nothing to keep apart")
def test_a_worker_stays_on_its_core(prepare: Callable[..., Any], execute: Callable[..., Any]) -> None:
    trained = execute(prepare("rnn,where", "where", jobs=available_cores(), seeds=(0, 1)))
    seen = [tuple(json.loads(row["versions"]["cores"])) for row in trained.trials]
    assert all(len(cores) == 1 for cores in seen)


@pytest.fixture
def three_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "find_gpus", lambda: GPUS)


@pytest.mark.slow
@pytest.mark.usefixtures("three_gpus")
def test_each_gpu_takes_one_worker_and_cpu_backends_run_beside_them(
    prepare: Callable[..., Any], execute: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prepare("rnn,telling-gpu,numpy", "telling", devices="0,2", jobs=1, seeds=(0, 1, 2), epochs=3)
    trained = execute(prepared)
    assert set(trained.outcome.statuses.values()) == {"ok"}
    by_slot: dict[str, list[dict[str, Any]]] = {}
    for row in trained.trials:
        by_slot.setdefault(row["slot"], []).append(row)
    assert by_slot.keys() == {"gpu:0", "gpu:2", "cpu:0"}
    assert {row["backend"] for row in by_slot["cpu:0"]} == {"numpy"}
    for number in ("0", "2"):
        for row in by_slot[f"gpu:{number}"]:
            assert row["backend"] == "telling-gpu"
            assert row["device"] == "cuda:0"
            assert row["versions"]["CUDA_VISIBLE_DEVICES"] == number
    assert {row["concurrency"] for row in trained.trials} == {3}
    assert len(json.loads((trained.folder / "manifest.json").read_text())["hardware"]["gpus"]) == 3


@pytest.mark.slow
@pytest.mark.usefixtures("three_gpus")
def test_the_next_trial_s_reference_is_made_while_the_gpu_trains_this_one(
    prepare: Callable[..., Any], execute: Callable[..., Any]
) -> None:
    trained = execute(
        prepare("rnn,patient", "patient", devices="0", jobs=1, seeds=(0, 1), epochs=1),
        parity_steps=2,
        stall_timeout=60.0,
    )
    assert [(row["status"], row["reason"], row["slot"]) for row in trained.trials] == [("ok", "", "gpu:0")] * 2
    assert all(row["parity_certified"] for row in trained.trials)


@pytest.mark.slow
@pytest.mark.usefixtures("three_gpus")
def test_a_backend_that_uses_gpus_runs_on_the_cpu_where_asked(train: Callable[..., Any]) -> None:
    trained = train("rnn,telling-gpu", "telling", devices="cpu", jobs=1)
    (row,) = trained.trials
    assert (row["status"], row["slot"], row["device"]) == ("ok", "cpu:0", "cpu")
    assert row["versions"]["CUDA_VISIBLE_DEVICES"] == ""
