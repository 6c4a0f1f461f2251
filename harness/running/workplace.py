"""What every phase of a run needs, and the one way in which each of them starts its workers."""

import contextlib
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from harness.contracts.executors import OpenExecutor, Slot, SlotRequest, Task
from harness.contracts.visible import one_line
from harness.environments import Interpreter, interpreter_for, why_not
from harness.environments.links import linked_packages
from harness.environments.variables import worker_environment
from harness.errors import EnvironmentMissing, PluginError, WorkerError
from harness.machine.devices import core_numbers
from harness.machine.folders import default_cache_dir
from harness.plugins.registry import Registry
from harness.plugins.revisions import Revisions
from harness.record.folder import RunFolder
from harness.running.workers import AskedWorker, Ending, Hear, asked_worker, run_worker
from harness.texts.tokenised import TokenisedCorpus
from harness.worker.events import Checked, Diverged, EpochEnded, Event, Failed, FirstSteps
from harness.worker.job import Job
from harness.worker.targets import resolve
from harness.worker.trial import Trial

LOCAL = "local"
"""The executor that is there without any other plugin."""
Answer = TypeVar("Answer", Checked, EpochEnded, FirstSteps)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long a worker may take."""

    timeout: float | None = None
    """Seconds for a whole trial; None is no limit."""
    stall_timeout: float = 300.0
    """Seconds between two signs of life."""


def open_executor(registry: Registry, name: str, request: SlotRequest) -> OpenExecutor:
    """Open the executor of this name. Raises: PluginError, EnvironmentMissing; UsageError for slots it can't give."""
    executor = registry.executor(name)
    if missing := why_not(executor):
        raise EnvironmentMissing(missing)
    try:
        target = resolve(executor.target)
    except ImportError as error:
        raise PluginError(
            f"The {name} executor cannot be used: {registry.origins['executor', name]} names {executor.target!r}, "
            f"which cannot be imported ({one_line(str(error))})."
        ) from None
    opened: OpenExecutor = target(request)
    return opened


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """Where a run's workers work: their code, the texts they read, the slots they get, the files they leave."""

    registry: Registry
    folder: RunFolder
    corpora: Sequence[TokenisedCorpus]
    executor: OpenExecutor
    limits: Limits
    machine: str = ""
    """Digest of the hardware and packages, as the manifest describes them."""
    inherited: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    """Variables of which a worker sees those on the allow-list."""

    @cached_property
    def revisions(self) -> Revisions:
        """The revisions of the code its workers run."""
        return Revisions(self.registry)

    @property
    def slots(self) -> Sequence[Slot]:
        """Return the slots there are now."""
        return self.executor.slots

    def slot_kind(self, trial: Trial) -> str:
        """Return the kind of slot a trial runs on: a GPU where there is one and its backend uses it."""
        if trial.is_baseline or not self.registry.backends[trial.backend].uses_gpus:
            return "cpu"
        return "gpu" if any(slot.kind == "gpu" for slot in self.slots) else "cpu"

    def first_slot(self, trial: Trial) -> Slot:
        """Return the first slot of a trial's kind."""
        kind = self.slot_kind(trial)
        return next(slot for slot in self.slots if slot.kind == kind)

    def corpus(self, trial: Trial) -> TokenisedCorpus:
        """Return the text a trial trains on."""
        return next(corpus for corpus in self.corpora if corpus.digest == trial.corpus_digest)

    async def run(
        self, job: Job, backend: str | None, slot: Slot, name: str, hear: Hear, *, timeout: float | None = None
    ) -> Ending:
        """Do a job in a backend's interpreter, or where it is None in our own; its log and job file bear the name.

        Raises: EnvironmentMissing, WorkerError; SlotLostError; OSError where the job can't be written.
        """
        task = self._task(job, backend, slot, name)
        return await run_worker(
            self.executor, task, slot, hear, timeout=timeout, stall_timeout=self.limits.stall_timeout
        )

    async def answer(self, job: Job, backend: str | None, slot: Slot, name: str, kind: type[Answer]) -> Answer:
        """Do a job of a backend, or of the harness's own interpreter, and return the event it answers with.

        Raises: HarnessError with the reason where there is none to be had; SlotLostError.
        """
        if backend is not None:
            self.registry.backend(backend)
        answers: list[Answer] = []
        reasons: list[str] = []

        def hear(event: Event) -> None:
            if isinstance(event, kind):
                answers.append(event)
            elif isinstance(event, Failed | Diverged):
                reasons.append(one_line(event.reason))

        ending = await self.run(job, backend, slot, name, hear)
        if answers:
            return answers[-1]
        reason = reasons[-1] if reasons else ending.enforced or f"its worker ended with {ending.returncode}"
        raise WorkerError(reason)

    @contextlib.asynccontextmanager
    async def asked(self, job: Job, backend: str | None, slot: Slot, name: str) -> AsyncIterator[AskedWorker]:
        """Keep a worker that answers when it is asked, as `run` starts one."""
        task = self._task(job, backend, slot, name, is_asked=True)
        async with asked_worker(self.executor, task, slot, stall_timeout=self.limits.stall_timeout) as worker:
            yield worker

    def _task(self, job: Job, backend: str | None, slot: Slot, name: str, *, is_asked: bool = False) -> Task:
        """Write the job and return what an executor is to start."""
        interpreter = Interpreter(python=sys.executable)
        passed: Sequence[str] = ()
        if backend is not None:
            interpreter = interpreter_for(self.registry.backend(backend))
            passed = self.registry.backend(backend).environment
        own = {**slot.environment, "HARNESS_CACHE_DIR": str(default_cache_dir())}
        if interpreter.state is not None:
            own["PYTHONPATH"] = str(linked_packages(self.registry.targets()))
        text = job.dump()
        self.folder.job(name).write_text(text, encoding="utf-8")
        return Task(
            python=interpreter.python,
            job=text,
            job_path=self.folder.job(name),
            log_path=self.folder.log(name),
            environment=worker_environment(slot.num_threads, own, passed, self.inherited),
            reads=tuple(map(Path, job.reads)),
            writes=tuple(map(Path, job.writes)),
            is_asked=is_asked,
        )


@contextlib.contextmanager
def lone_workplace(registry: Registry) -> Iterator[Workplace]:
    """Give a workplace of one slot on this machine's CPU, in a folder that is gone afterwards, for a single worker."""
    request = SlotRequest(devices="cpu", jobs=1, num_threads=1, per_device=1, gpus=(), cores=core_numbers())
    executor = open_executor(registry, LOCAL, request)
    with tempfile.TemporaryDirectory() as scratch:
        folder = RunFolder(Path(scratch))
        folder.make_rooms()
        yield Workplace(registry=registry, folder=folder, corpora=(), executor=executor, limits=Limits())
