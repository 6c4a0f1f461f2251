"""What a control group allows, as the files of either version say it."""

import math
from pathlib import Path

import pytest

from harness.contracts.executors import SlotRequest
from harness.machine.quota import cpu_quota
from harness_local.slots import find_slots

V2, V1 = "0::/user/job\n", "5:devices:/\n4:cpu,cpuacct:/docker/job\n"


@pytest.mark.parametrize(
    ("memberships", "files", "expected"),
    [
        (V2, {}, math.inf),
        (V2, {"user/job/cpu.max": "max 100000"}, math.inf),
        (V2, {"user/job/cpu.max": "50000 100000"}, 0.5),
        (V2, {"user/job/cpu.max": "max 100000", "user/cpu.max": "200000 100000"}, 2.0),
        (V2, {"user/job/cpu.max": "150000 100000", "user/cpu.max": "200000 100000"}, 1.5),
        ("0::/../elsewhere\n", {"cpu.max": "250000 100000"}, 2.5),
        (V1, {"cpu/docker/job/cpu.cfs_quota_us": "-1", "cpu/docker/job/cpu.cfs_period_us": "100000"}, math.inf),
        (V1, {"cpu/docker/job/cpu.cfs_quota_us": "300000", "cpu/docker/job/cpu.cfs_period_us": "100000"}, 3.0),
        (V1, {"cpu,cpuacct/cpu.cfs_quota_us": "50000", "cpu,cpuacct/cpu.cfs_period_us": "100000"}, 0.5),
        (V2, {"user/job/cpu.max": "no number"}, math.inf),
    ],
)
def test_the_strictest_group_counts(tmp_path: Path, memberships: str, files: dict[str, str], expected: float) -> None:
    root = tmp_path / "cgroup"
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content + "\n")
    (tmp_path / "self").write_text(memberships)
    assert cpu_quota(tmp_path / "self", root) == expected


def test_a_system_without_control_groups_has_no_quota(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path / "none", tmp_path) == math.inf


@pytest.mark.parametrize(
    ("cores", "quota", "num_threads", "expected"),
    [(2, 0.5, 1, 1), (64, 2.0, 1, 2), (64, 2.9, 2, 1), (64, math.inf, 1, 64), (4, 16.0, 1, 4)],
)
def test_there_are_as_many_slots_as_the_quota_has_room_for(
    cores: int, quota: float, num_threads: int, expected: int
) -> None:
    request = SlotRequest(
        devices="cpu",
        jobs=None,
        num_threads=num_threads,
        per_device=1,
        gpus=(),
        cores=tuple(range(cores)),
        cpu_quota=quota,
    )
    slots = find_slots(request)
    assert len(slots) == expected
    # A worker kept on some cores by every container of a node would share them with the others' workers.
    assert all(slot.cores == () for slot in slots) == (expected * num_threads != cores or expected == 1)
