"""Runs the planned trials on the slots there are, and commits every event to the ledger as it comes."""

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.contracts.executors import Slot, SlotLostError
from harness.contracts.visible import one_line
from harness.errors import EnvironmentMissing, PluginError, RunFolderError, WorkerError, mend_storage, storage_problem
from harness.grid.plan import Plan
from harness.machine import interruption
from harness.record.ledger import FINISHED, Launch, Ledger
from harness.running.attempts import Attempts, Verdict, log_tail
from harness.running.observer import Observer
from harness.running.plugin_checks import PluginChecks
from harness.running.references import References
from harness.running.workplace import Workplace
from harness.worker.trial import Trial

MAX_LOSSES = 2
"""So many slots lost, and a trial is given up: it may be what ends them."""


@dataclass
class Runner:
    """One run's training: its trials, the slots it may use, and the ledger."""

    workplace: Workplace
    ledger: Ledger
    observer: Observer
    parity_steps: int = 5
    """First minibatches of each trial that are held against the reference; 0 certifies nothing."""
    environment_hashes: Mapping[str, str] = field(default_factory=dict)
    """Of the exact versions in each backend's interpreter, by backend."""

    def __post_init__(self) -> None:
        self._references = References(self.workplace, self.observer.remark)
        checks = PluginChecks(self.workplace, self.observer.remark)
        self._attempts = Attempts(
            self.workplace, self.ledger, self.observer, self._references, checks, self.parity_steps
        )
        self._losses: Counter[str] = Counter()
        """By trial, of slots."""
        self._concurrency = 1

    def run(self, plan: Plan, cost: Callable[[Trial], float]) -> None:
        """Run every trial that is not finished yet, costly ones first; return when all ended.

        Raises: KeyboardInterrupt, all that goes on put back; RunFolderError where the ledger can no longer be written.
        """
        self.ledger.add(planned.trial for planned in plan.trials)
        before = self.ledger.statuses()
        for planned in plan.trials:
            if planned.skip and before[planned.trial.trial_id] not in FINISHED:
                self.ledger.ended(planned.trial.trial_id, "skipped", planned.skip)
        waiting = [trial for trial in plan.runnable if before[trial.trial_id] not in FINISHED]
        waiting.sort(key=cost, reverse=True)
        try:
            interruption.run(self._run(waiting), self.observer.abandoned)
        except ExceptionGroup as group:
            raise self._explained(group) from None

    def _explained(self, group: ExceptionGroup[Exception]) -> Exception:
        """Return what stopped the run: a full disk is the user's to mend, anything else is a bug of ours."""
        error = group.exceptions[0]
        if isinstance(error, ExceptionGroup):
            return self._explained(error)
        if isinstance(error, OSError):
            # What names no file is a write, and what is written all the time lies in the run's folder.
            folder = Path(error.filename).parent if error.filename else self.workplace.folder.path
            return RunFolderError(
                f"The folder {storage_problem(folder, error)}: {mend_storage(error)} and give the same command again; "
                "every epoch recorded so far is kept."
            )
        return error

    async def _run(self, waiting: Sequence[Trial]) -> None:
        # A queue for each kind of slot: a search of one list for each slot would grow with their product.
        queues: dict[str, deque[Trial]] = {}
        for trial in waiting:
            queues.setdefault(self.workplace.slot_kind(trial), deque()).append(trial)
        slots = sum(slot.kind in queues for slot in self.workplace.slots)
        self._concurrency = min(slots, len(waiting))
        await self._run_queues(queues)

    async def _run_queues(self, queues: Mapping[str, deque[Trial]]) -> None:
        async with asyncio.TaskGroup() as group:
            for kind, queue in queues.items():
                _Lanes(kind, queue, self, group).open()
            if self.parity_steps and "gpu" in queues:
                group.create_task(self._refer_ahead(queues["gpu"]))

    async def _refer_ahead(self, waiting: deque[Trial]) -> None:
        """Make the references of trials that wait for a GPU, in their order: made in its slot each keeps it idle."""
        # The reference takes the slot's threads, not its GPU.
        gpu = next(slot for slot in self.workplace.slots if slot.kind == "gpu")
        ahead = tuple(waiting)
        for position, trial in enumerate(ahead):
            await asyncio.sleep(0)  # where all are made already, the workers' events have their turn
            if position >= len(ahead) - len(waiting):  # else it has its slot, and sees to its reference itself
                with contextlib.suppress(EnvironmentMissing, PluginError, WorkerError):
                    await self._references.reference_for(trial, gpu, self.parity_steps)

    async def run_trial(self, trial: Trial, slot: Slot) -> None:
        """Run a trial in a slot to its end. Raises: SlotLostError, the trial still recorded as running."""
        trial_id, folder = trial.trial_id, self.workplace.folder
        if not self._losses[trial_id]:
            folder.log(trial_id).write_bytes(b"")
        launch = Launch(
            slot=slot.name,
            concurrency=self._concurrency,
            per_device=slot.per_device,
            environment_hash=self.environment_hashes.get(trial.backend, ""),
            revision=self.workplace.revisions.of(trial),
            text_revision=self.workplace.revisions.of_text(trial.corpus),
            machine=self.workplace.machine,
        )
        self.ledger.launched(trial_id, launch)
        self.observer.launched(trial, slot)
        try:
            verdict = await self._attempts.attempt(trial, slot)
        except asyncio.CancelledError:
            self._put_back(trial, "interrupted")
            raise
        except SlotLostError:
            raise
        except (WorkerError, EnvironmentMissing) as error:
            verdict = Verdict(status="failed", reason=str(error))
        if verdict.status not in FINISHED:
            self.ledger.note_log_tail(trial_id, log_tail(folder, trial_id))
        self._record(trial, verdict)

    def lose_slot(self, trial: Trial, reason: str) -> bool:
        """Record that a trial's slot was lost; return whether the trial is to go on elsewhere."""
        self._losses[trial.trial_id] += 1
        if self._losses[trial.trial_id] < MAX_LOSSES:
            self._put_back(trial, f"its slot was lost: {reason}")
            return True
        self._record(trial, Verdict(status="failed", reason=f"it lost {MAX_LOSSES} slots, the last one so: {reason}"))
        return False

    def give_up(self, waiting: deque[Trial], reason: str) -> None:
        """Record that no slot is left for these trials."""
        while waiting:
            self._record(waiting.popleft(), Verdict(status="failed", reason=f"no slot is left: {reason}"))

    def _record(self, trial: Trial, verdict: Verdict) -> None:
        self.ledger.ended(trial.trial_id, verdict.status, verdict.reason, verdict.finished)
        self.observer.ended(trial, verdict.status, verdict.reason)

    def _put_back(self, trial: Trial, reason: str) -> None:
        self.ledger.release(trial.trial_id)
        self.observer.ended(trial, "waiting", reason)


class _Lanes:
    """The slots of one kind at work: each takes trials until none is left, or it is lost itself."""

    def __init__(self, kind: str, waiting: deque[Trial], runner: Runner, group: asyncio.TaskGroup) -> None:
        self._kind = kind
        self._waiting = waiting
        self._runner = runner
        self._group = group
        self._busy: set[str] = set()
        """Names of the slots that take trials."""

    def open(self, lost: str = "") -> None:
        """Let every idle slot take trials; one that was lost and can be used again comes last."""
        slots = [slot for slot in self._runner.workplace.slots if slot.kind == self._kind]
        idle = [slot for slot in slots if slot.name not in self._busy]
        for slot in sorted(idle, key=lambda slot: slot.name == lost):
            self._busy.add(slot.name)
            self._group.create_task(self._work(slot))

    async def _work(self, slot: Slot) -> None:
        while self._waiting:
            trial = self._waiting.popleft()
            try:
                await self._runner.run_trial(trial, slot)
            except SlotLostError as error:
                self._lose(slot, trial, one_line(str(error)))
                return
        self._busy.discard(slot.name)

    def _lose(self, slot: Slot, trial: Trial, reason: str) -> None:
        self._busy.discard(slot.name)
        if self._runner.lose_slot(trial, reason):
            self._waiting.appendleft(trial)
        if self._waiting:
            self.open(lost=slot.name)
        if not self._busy:
            self._runner.give_up(self._waiting, reason)
