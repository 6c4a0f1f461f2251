"""The contract of an executor: which slots there are, and how a worker is started in one, heard, told and ended.

An executor moves bytes and ends processes. What the bytes mean, how long a worker may take and be silent, and what
becomes of its trial is the harness's, so that every executor behaves alike; `harness.testing.ExecutorContract` holds
one to this contract.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from harness.errors import WorkerError

EVENTS_FD = "HARNESS_EVENTS_FD"
"""Names the descriptor on which a worker writes its events, one line each, and nothing else."""
LIFELINE_FD = "HARNESS_LIFELINE_FD"
"""Names a descriptor at whose end of file a worker ends; without it the executor sees to that by itself."""


class SlotLostError(WorkerError):
    """The slot is gone, and the worker with it, through no fault of the work: a node, or the executor itself.

    The trial goes on elsewhere from its last checkpoint. The words continue 'its slot was lost:'.
    """


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One GPU as the driver sees it."""

    index: int
    name: str
    memory_bytes: int


@dataclass(frozen=True, kw_only=True)
class SlotRequest:
    """Which slots the user wants, and what this machine has for those who run on it."""

    devices: str
    """auto, cpu, or GPU numbers as in 0,1."""
    jobs: int | None
    """Workers at a time that use no GPU; None is as many as there is room for."""
    num_threads: int
    """Of each worker."""
    per_device: int
    """Workers at a time on each GPU."""
    gpus: Sequence[Gpu]
    """Of this machine, as its driver and CUDA_VISIBLE_DEVICES admit them."""
    cores: tuple[int, ...]
    """Of this machine, by number, as this process may use them."""
    cpu_quota: float = math.inf
    """Cores' worth of time this process may take of them all; a container's may be less than it has cores."""


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A place for one worker at a time, and what it has there."""

    name: str
    """'cpu:0', 'gpu:1'; unique, shown to the user and recorded."""
    kind: str
    """'cpu' or 'gpu'."""
    num_threads: int
    environment: Mapping[str, str]
    """What makes the worker see just this place."""
    cores: tuple[int, ...] = ()
    """The CPU cores its worker is kept on; none is any."""
    per_device: int = 1
    """How many workers share its GPU."""

    @property
    def device(self) -> str:
        """Return the device as the worker names it: the one GPU it sees is its first."""
        return "cuda:0" if self.kind == "gpu" else "cpu"

    def without_gpu(self) -> "Slot":
        """Return the slot for a worker that has no use for its GPU."""
        return replace(self, kind="cpu", environment={"CUDA_VISIBLE_DEVICES": ""})


@dataclass(frozen=True, kw_only=True)
class Task:
    """A worker to start: ``python -m harness.worker JOB``.

    Paths are this machine's. An executor that shares no file system with it puts what is in ``reads`` where the
    worker runs, gives it `job_with`, and brings ``log_path`` and ``writes`` back: as they grow, or at the worker's end.
    """

    python: str
    """The interpreter, which has the worker's backend."""
    job: str
    """What the worker is told, as JSON, for a file of its own."""
    job_path: Path
    """Where the job is kept."""
    log_path: Path
    """The worker's standard output and error, appended to what is there."""
    environment: Mapping[str, str]
    """All variables the worker sees but `EVENTS_FD` and `LIFELINE_FD`."""
    reads: tuple[Path, ...] = ()
    """Files the worker reads, where they are there: the text, and the checkpoint it goes on from."""
    writes: tuple[Path, ...] = ()
    """Files the worker replaces as a whole: its checkpoint."""
    is_asked: bool = False
    """Whether the worker is told lines on its standard input; else that is empty."""

    def job_with(self, paths: Mapping[Path, str]) -> str:
        """Return the job for a worker to whom these files have other names."""
        names = {str(path): name for path, name in paths.items()}
        return json.dumps(_renamed(json.loads(self.job), names))


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _renamed(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value


class Worker(Protocol):
    """A worker that was started. Each call may raise `SlotLostError`, and be cancelled."""

    async def read(self) -> bytes:
        """Return some bytes of its events as soon as there are any; none when it has closed them or is gone."""
        ...

    async def write(self, line: bytes) -> None:
        """Tell it a line; one who has ended hears nothing of it."""
        ...

    async def end(self, grace_seconds: float) -> int:
        """Return its exit code, negative the signal that ended it, once it and whatever it started are gone.

        One that is not gone by itself after ``grace_seconds`` is asked to go, by SIGTERM, and soon made to, by SIGKILL.
        """
        ...


class OpenExecutor(Protocol):
    """An executor at work.

    Its workers end when it is gone, however this process ends. It is asked from several event loops, one after another.
    """

    @property
    def slots(self) -> Sequence[Slot]:
        """Return the slots there are now; one that was lost is among them only where it can be used again."""
        ...

    async def start(self, task: Task, slot: Slot) -> Worker:
        """Start a worker, and leave nothing behind where that fails or is cancelled.

        Raises: WorkerError where it can't be started; SlotLostError.
        """
        ...
