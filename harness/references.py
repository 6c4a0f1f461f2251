"""Makes the parity certificate's references: each once, in a worker of the numpy backend, kept in the cache."""

import asyncio
import os
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness import parity
from harness.devices import Slot
from harness.errors import EnvironmentMissing, WorkerError
from harness.executors import run_worker
from harness.folders import default_cache_dir
from harness.registry import Registry
from harness.run_folder import RunFolder
from harness.worker.events import Event, FirstSteps
from harness.worker.job import Job
from harness.workers import worker_command


@dataclass
class References:
    """The references of one run's trials."""

    registry: Registry
    folder: RunFolder
    stall_timeout: float
    _locks: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def reference_for(self, job: Job, slot: Slot) -> FirstSteps | None:
        """Return the reference of a training job, made now where it is not in the cache.

        None where it can't be made: then the trial goes uncertified, and the reference's log says why.
        """
        equations = parity.digest_source(job.equations, self.registry.module_paths)
        key = parity.reference_key(job.trial, job.parity_steps, equations)
        path = _references_dir() / f"{key}.json"
        # Trials of one configuration on several backends want the same one at the same time.
        async with self._locks[key]:
            reference = parity.read_reference(path)
            if reference is None:
                reference = await self._make(job, slot, key)
                if reference is not None:
                    parity.write_reference(path, reference)
        return reference

    async def _make(self, job: Job, slot: Slot, key: str) -> FirstSteps | None:
        name = parity.REFERENCE_BACKEND
        if name not in self.registry.backends:
            return None
        answer = _Answer()
        cpu = replace(slot, kind="cpu", environment={"CUDA_VISIBLE_DEVICES": ""})
        reference_job = replace(
            job,
            kind="reference",
            backend_target=self.registry.backends[name].target,
            implementation_target=None,
            device=cpu.device,
        )
        try:
            command = worker_command(
                self.registry,
                reference_job,
                name,
                cpu,
                self.folder.log(f"reference-{key}"),
                self.folder.job(f"reference-{key}"),
                os.environ,
            )
            await run_worker(command, answer.hear, timeout=None, stall_timeout=self.stall_timeout)
        except (EnvironmentMissing, WorkerError):
            return None
        return answer.steps


class _Answer:
    steps: FirstSteps | None = None

    def hear(self, event: Event) -> None:
        if isinstance(event, FirstSteps):
            self.steps = event


def _references_dir() -> Path:
    return default_cache_dir() / "references"
