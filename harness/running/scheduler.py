"""Runs the planned trials on the slots there are, and commits every event to the ledger as it comes."""

import asyncio
import os
import re
import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from harness.errors import EnvironmentMissing, RunFolderError, WorkerError, one_line
from harness.grid.plan import Plan
from harness.machine.devices import Slot
from harness.plugins.registry import Registry
from harness.record.folder import RunFolder
from harness.record.ledger import FINISHED, Ledger
from harness.record.parity import compare
from harness.running.commands import worker_command
from harness.running.executors import Command, Ending, ProtocolError, run_worker
from harness.running.references import References
from harness.texts.tokenised import TokenisedCorpus
from harness.worker.events import (
    Diverged,
    EpochEnded,
    Evaluated,
    Event,
    Failed,
    Finished,
    FirstSteps,
    Progress,
    Started,
)
from harness.worker.job import Job, SampleRequest
from harness.worker.trial import Trial

SAMPLE_PREFIX = "time traveller"
"""What every finished trial continues, as D2L's predict does."""
_LOG_TAIL_BYTES = 4096
_LOG_TAIL_LINES = 12
_LESS_MEMORY = "try fewer --jobs, or smaller --hiddens, --batch-size or --steps"
_OUT_OF_MEMORY = re.compile(r"\w*(MemoryError|OutOfMemory)|.*out of memory", re.IGNORECASE)
"""Python's and NumPy's MemoryError, torch's OutOfMemoryError, CUDA's and XLA's own words."""


class Observer(Protocol):
    """Shows a run while it goes on."""

    def launched(self, trial: Trial, slot: Slot) -> None:
        """Show that a worker is being started."""
        ...

    def heard(self, trial: Trial, event: Event) -> None:
        """Show what a worker said."""
        ...

    def ended(self, trial: Trial, status: str, reason: str) -> None:
        """Show how a trial ended; 'waiting' is put back among the waiting."""
        ...

    def abandoned(self) -> None:
        """Leave the terminal as it was: the process ends at once."""
        ...


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long a worker may take."""

    timeout: float | None = None
    """Seconds for a whole trial; None is no limit."""
    stall_timeout: float = 300.0
    """Seconds between two signs of life."""


@dataclass
class Runner:
    """One run: its trials, slots and ledger."""

    registry: Registry
    folder: RunFolder
    ledger: Ledger
    corpora: Sequence[TokenisedCorpus]
    slots: Sequence[Slot]
    observer: Observer
    limits: Limits
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    parity_steps: int = 5
    """First minibatches of each trial that are held against the reference; 0 certifies nothing."""
    environment_hashes: Mapping[str, str] = field(default_factory=dict)
    """Of the exact versions in each backend's interpreter, by backend."""
    interrupted: bool = False
    _concurrency: int = 1

    def __post_init__(self) -> None:
        self._references = References(self.registry, self.folder, self.limits.stall_timeout)

    def run(self, plan: Plan, cost: Callable[[Trial], float]) -> None:
        """Run every trial that is not finished yet, costly ones first; return when all ended or Ctrl-C was pressed.

        Raises: RunFolderError where the ledger can no longer be written.
        """
        self.ledger.add(planned.trial for planned in plan.trials)
        before = self.ledger.statuses()
        for planned in plan.trials:
            if planned.skip and before[planned.trial.trial_id] not in FINISHED:
                self.ledger.ended(planned.trial.trial_id, "skipped", planned.skip)
        waiting = [trial for trial in plan.runnable if before[trial.trial_id] not in FINISHED]
        waiting.sort(key=cost, reverse=True)
        try:
            asyncio.run(self._run(waiting))
        except ExceptionGroup as group:
            raise self._explained(group) from None

    def _explained(self, group: ExceptionGroup[Exception]) -> Exception:
        """Return what stopped the run: a full disk is the user's to mend, anything else is a bug of ours."""
        error = group.exceptions[0]
        if isinstance(error, ExceptionGroup):
            return self._explained(error)
        if isinstance(error, OSError):
            return RunFolderError(
                f"The run folder {self.folder.path} cannot be written ({error.strerror}): free some space there and "
                "give the same command again; every epoch recorded so far is kept."
            )
        return error

    async def _run(self, waiting: Sequence[Trial]) -> None:
        async with asyncio.TaskGroup() as group:
            # A queue for each kind of slot: a search of one list for each slot would grow with their product.
            queues: dict[str, deque[Trial]] = {}
            for trial in waiting:
                queues.setdefault(slot_kind(trial, self.slots, self.registry), deque()).append(trial)
            slots = [slot for slot in self.slots if slot.kind in queues]
            self._concurrency = min(len(slots), len(waiting))
            tasks = [group.create_task(self._work(slot, queues[slot.kind])) for slot in slots]
            if self.parity_steps and "gpu" in queues:
                tasks.append(group.create_task(self._refer_ahead(queues["gpu"])))
            self._stop_on_signals(tasks)

    def _stop_on_signals(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        def stop() -> None:
            if self.interrupted:
                # Twice means at once: the workers end with this process's lifelines.
                self.observer.abandoned()
                os._exit(130)
            self.interrupted = True
            for task in tasks:
                task.cancel()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)

    async def _work(self, slot: Slot, waiting: deque[Trial]) -> None:
        """Take trials for this slot until none is left."""
        while waiting:
            await self._run_trial(waiting.popleft(), slot)

    async def _refer_ahead(self, waiting: deque[Trial]) -> None:
        """Make the references of trials that wait for a GPU, in their order: made in its slot each keeps it idle."""
        gpu = next(slot for slot in self.slots if slot.kind == "gpu")  # the reference takes its threads, not the GPU
        ahead = tuple(waiting)
        for position, trial in enumerate(ahead):
            await asyncio.sleep(0)  # where all are made already, the workers' events have their turn
            if position >= len(ahead) - len(waiting):  # else it has its slot, and sees to its reference itself
                await self._references.reference_for(self._job(trial, gpu), gpu)

    async def _run_trial(self, trial: Trial, slot: Slot) -> None:
        job = self._job(trial, slot)
        self.folder.log(trial.trial_id).write_bytes(b"")
        self.ledger.launched(
            trial.trial_id,
            device=slot.name,
            concurrency=self._concurrency,
            per_device=slot.per_device,
            environment_hash=self.environment_hashes.get(trial.backend, ""),
        )
        self.observer.launched(trial, slot)
        conversation = _Conversation(trial, self.ledger, self.observer)
        try:
            if job.parity_steps:
                conversation.reference = await self._references.reference_for(job, slot)
            ending = await run_worker(
                self._command(job, slot),
                conversation.hear,
                timeout=self.limits.timeout,
                stall_timeout=self.limits.stall_timeout,
            )
            status, reason = conversation.verdict(ending)
        except asyncio.CancelledError:
            self.ledger.release(trial.trial_id)
            self.observer.ended(trial, "waiting", "interrupted")
            raise
        except (WorkerError, EnvironmentMissing) as error:
            status, reason = "failed", str(error)
        if status not in FINISHED:
            self.ledger.note_log_tail(trial.trial_id, log_tail(self.folder, trial.trial_id))
        self.ledger.ended(trial.trial_id, status, reason, conversation.finished)
        self.observer.ended(trial, status, reason)

    def _command(self, job: Job, slot: Slot) -> Command:
        trial_id = job.trial.trial_id
        return worker_command(
            self.registry,
            job,
            job.trial.backend,
            slot,
            self.folder.log(trial_id),
            self.folder.job(trial_id),
            self.environment,
        )

    def _job(self, trial: Trial, slot: Slot) -> Job:
        corpus = next(corpus for corpus in self.corpora if corpus.digest == trial.corpus_digest)
        sample = SampleRequest(prefix=SAMPLE_PREFIX, num_tokens=200, temperature=0.8, seed=trial.seed)
        job = training_job(
            self.registry, self.folder, trial, slot, corpus, sample, self.ledger.num_epochs(trial.trial_id)
        )
        return replace(job, parity_steps=0 if trial.is_baseline else self.parity_steps)


def slot_kind(trial: Trial, slots: Sequence[Slot], registry: Registry) -> str:
    """Return the kind of slot a trial runs on: a GPU where there is one and its backend uses it."""
    if trial.is_baseline:
        return "cpu"
    has_gpu = any(slot.kind == "gpu" for slot in slots)
    return "gpu" if has_gpu and registry.backends[trial.backend].uses_gpus else "cpu"


def training_job(
    registry: Registry,
    folder: RunFolder,
    trial: Trial,
    slot: Slot,
    corpus: TokenisedCorpus,
    sample: SampleRequest,
    recorded_epochs: int,
) -> Job:
    """Return the job that trains a trial on a slot, or fits it where it is a baseline."""
    return Job(
        **_what_to_do(registry, trial),
        trial=trial,
        module_paths=registry.module_paths,
        device=slot.device,
        num_threads=slot.num_threads,
        cores=slot.cores,
        train_path=str(corpus.train_path.absolute()),
        valid_path=str(corpus.valid_path.absolute()),
        vocabulary_path=str(corpus.vocabulary_path.absolute()),
        valid_chars_per_token=corpus.valid_chars_per_token,
        checkpoint_path=str(folder.checkpoint(trial.trial_id).absolute()),
        sample=sample,
        held_out=corpus.held_out,
        recorded_epochs=recorded_epochs,
    )


def _what_to_do(registry: Registry, trial: Trial) -> dict[str, Any]:
    """Return the part of a job that names the code it runs."""
    if trial.is_baseline:
        target = registry.baselines[trial.cell].target
        return {"kind": "baseline", "equations": "", "backend_target": target, "implementation_target": None}
    return {
        "kind": "train",
        "equations": registry.cell(trial.cell).equations,
        "backend_target": registry.backend(trial.backend).target,
        "implementation_target": registry.implementation_target(trial.cell, trial.backend, trial.implementation),
    }


class _Conversation:
    """What one worker has said, recorded as it comes."""

    def __init__(self, trial: Trial, ledger: Ledger, observer: Observer) -> None:
        self._trial = trial
        self._ledger = ledger
        self._observer = observer
        self.finished: Finished | None = None
        self.reference: FirstSteps | None = None
        self._bad_end: Diverged | Failed | None = None

    def hear(self, event: Event) -> None:
        match event:
            case Started():
                self._ledger.started(self._trial.trial_id, event)
            case EpochEnded():
                self._ledger.epoch(self._trial.trial_id, event)
            case Evaluated():
                self._ledger.evaluated(self._trial.trial_id, event)
            case Finished():
                self.finished = event
            case Diverged() | Failed():
                self._bad_end = event
            case FirstSteps():
                if self.reference is not None:
                    self._ledger.certified(self._trial.trial_id, compare(event, self.reference))
            case Progress():
                pass
            case _:
                raise ProtocolError(f"{event.name!r}, which is no event of a training worker")
        self._observer.heard(self._trial, event)

    def verdict(self, ending: Ending) -> tuple[str, str]:
        """Return the trial's status and reason."""
        if ending.enforced:
            return ("timeout" if ending.timed_out else "failed"), f"the worker was ended: {ending.enforced}"
        if isinstance(self._bad_end, Diverged):
            return "diverged", one_line(self._bad_end.reason)
        if isinstance(self._bad_end, Failed):
            return "failed", _explained_failure(one_line(self._bad_end.reason))
        if self.finished is not None:
            # Whatever its framework does at exit, the trial is done and its checkpoint written.
            return "ok", ""
        return "failed", _crash(ending.returncode)


def _explained_failure(reason: str) -> str:
    """Say what to do where an exception's name already tells."""
    reason = reason.removesuffix(":")
    return f"{reason}: {_LESS_MEMORY}" if _OUT_OF_MEMORY.match(reason) else reason


def _crash(returncode: int) -> str:
    if returncode >= 0:
        return f"the worker exited with code {returncode} before the trial was finished: see its log"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    if name == "SIGKILL":
        return f"the worker was killed (SIGKILL), most likely for want of memory: {_LESS_MEMORY}"
    return f"the worker was ended by {name}: see its log"


def log_tail(folder: RunFolder, trial_id: str) -> str:
    """Return the last lines of a trial's log, however long it is."""
    with folder.log(trial_id).open("rb") as log:
        log.seek(0, os.SEEK_END)
        log.seek(max(0, log.tell() - _LOG_TAIL_BYTES))
        text = log.read().decode("utf-8", "replace")
    return "\n".join(text.splitlines()[-_LOG_TAIL_LINES:])
