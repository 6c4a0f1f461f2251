import os
from pathlib import Path

import pytest

from harness.contracts.executors import Gpu
from harness.machine.devices import available_cores, find_gpus, visible

GPUS = [Gpu(index=index, name="Pretended", memory_bytes=1 << 34) for index in range(3)]


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
