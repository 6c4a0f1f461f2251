"""How much of the machine's cores a control group lets this process take: in a container often less than it sees."""

import math
from collections.abc import Iterator
from pathlib import Path

_MOUNTS = ("", "unified", "cpu", "cpu,cpuacct")
"""Where under /sys/fs/cgroup the hierarchies that may limit the processor lie, of either version."""


def cpu_quota(memberships: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> float:
    """Return the cores' worth of time the strictest group above this process allows; infinity where none limits it."""
    try:
        lines = memberships.read_text(encoding="utf-8").splitlines()
    except OSError:
        return math.inf
    groups = {line.split(":", 2)[2].strip("/") for line in lines if line.count(":") >= 2}
    folders = (root / mount / above for mount in _MOUNTS for group in groups for above in _upwards(group))
    return min((quota for folder in folders for quota in _quotas(folder)), default=math.inf)


def _upwards(group: str) -> Iterator[Path]:
    """Yield a group and all groups it is in: each may set a limit, and in a container the root itself is the group."""
    path = Path(group)
    yield from (path, *path.parents)


def _quotas(folder: Path) -> Iterator[float]:
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            words = [word for name in names for word in (folder / name).read_text(encoding="utf-8").split()]
            quota, period = map(float, words)
        except (OSError, ValueError):
            continue  # no such file here; 'max' is no limit
        if quota > 0 and period > 0:
            yield quota / period
