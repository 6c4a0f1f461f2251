"""One attempt at a trial: a worker trains it or fits it, what it says is recorded as it comes, and its end judged."""

import os
import re
import signal
from dataclasses import dataclass

from harness.contracts.executors import Slot, SlotLostError
from harness.contracts.visible import one_line
from harness.errors import EnvironmentMissing, PluginError, WorkerError
from harness.plugins.revisions import Revisions
from harness.record.folder import RunFolder
from harness.record.ledger import Ledger
from harness.record.parity import compare
from harness.running.jobs import files_of, network_of, place_in
from harness.running.observer import Observer
from harness.running.plugin_checks import PluginChecks
from harness.running.protocol import ProtocolError
from harness.running.references import References
from harness.running.workers import Ending, EndWorker
from harness.running.workplace import Workplace
from harness.worker.events import (
    Diverged,
    EpochEnded,
    Evaluated,
    Event,
    Failed,
    Finished,
    FirstSteps,
    Progress,
    Saving,
    Started,
)
from harness.worker.job import BaselineJob, SampleRequest, TrainJob
from harness.worker.trial import Trial

_LOG_TAIL_BYTES = 4096
_LOG_TAIL_LINES = 12
_EDITED = "its code was edited while the run went on: the same command again trains it by the code of now"
_LESS_MEMORY = "try fewer --jobs, or smaller --hiddens, --batch-size or --steps"
_OUT_OF_MEMORY = re.compile(r"\w*(MemoryError|OutOfMemory)|.*out of memory", re.IGNORECASE)
"""Python's and NumPy's MemoryError, torch's OutOfMemoryError, CUDA's and XLA's own words."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How a trial stands after an attempt."""

    status: str
    reason: str = ""
    finished: Finished | None = None


@dataclass
class Attempts:
    """How the trials of one run are attempted."""

    workplace: Workplace
    ledger: Ledger
    observer: Observer
    references: References
    checks: PluginChecks
    parity_steps: int

    async def attempt(self, trial: Trial, slot: Slot) -> Verdict:
        """Train a trial from its last checkpoint on, or fit a baseline.

        Raises: EnvironmentMissing, WorkerError; SlotLostError.
        """
        revisions = self.workplace.revisions
        if revisions.is_edited(trial):
            return Verdict(status="failed", reason=_EDITED)
        conversation = Conversation(trial, self.ledger, self.observer, revisions)
        if problem := await self._problem_of(trial, slot, conversation):
            kind = "baseline" if trial.is_baseline else "cell"
            return Verdict(status="failed", reason=one_line(f"{trial.cell} is no sound {kind}: {problem}"))
        ending = await self.workplace.run(
            self._job(trial, slot),
            None if trial.is_baseline else trial.backend,
            slot,
            trial.trial_id,
            conversation.hear,
            timeout=self.workplace.limits.timeout,
        )
        return conversation.verdict(ending)

    async def _problem_of(self, trial: Trial, slot: Slot, conversation: "Conversation") -> str:
        """Return what is wrong with a trial's baseline or cell, or nothing; then a cell's reference is there too.

        What goes uncertified, since one of the two can't be had, says why. Raises: SlotLostError.
        """
        if trial.is_baseline:
            return await self._problem_of_baseline(trial, slot)
        if not self.parity_steps:
            return ""
        missing = f"{trial.cell} could not be checked"
        try:
            if problem := await self.checks.problem_of(trial.cell, slot):
                return problem
            missing = "no reference could be made"
            conversation.reference = await self.references.reference_for(trial, slot, self.parity_steps)
        except SlotLostError:
            raise
        except (EnvironmentMissing, PluginError, WorkerError) as error:
            note = one_line(f"{missing}: {error}")
            self.ledger.add_facts(trial.trial_id, {"parity_note": note})
            self.observer.remark(f"{trial.trial_id} goes without a certificate: {note}")
        return ""

    async def _problem_of_baseline(self, trial: Trial, slot: Slot) -> str:
        """Return what is wrong with a baseline, or nothing; what can't be checked fails in its own worker."""
        try:
            return await self.checks.problem_of(trial.cell, slot)
        except (EnvironmentMissing, PluginError, WorkerError):
            return ""

    def _job(self, trial: Trial, slot: Slot) -> TrainJob | BaselineJob:
        registry, corpus = self.workplace.registry, self.workplace.corpus(trial)
        place, text = place_in(slot), files_of(corpus)
        sample = SampleRequest(prefix=corpus.prefix, num_tokens=200, temperature=0.8, seed=trial.seed)
        if trial.is_baseline:
            return BaselineJob(
                place=place,
                module_paths=registry.module_paths,
                trial=trial,
                target=registry.baselines[trial.cell].target,
                text=text,
                sample=sample,
            )
        return TrainJob(
            place=place,
            module_paths=registry.module_paths,
            trial=trial,
            network=network_of(registry, trial),
            text=text,
            checkpoint_path=str(self.workplace.folder.checkpoint(trial.trial_id).absolute()),
            checkpoint_digests=self.ledger.checkpoint_digests(trial.trial_id),
            recorded_epochs=self.ledger.num_epochs(trial.trial_id),
            parity_steps=self.parity_steps,
            sample=sample,
        )


class Conversation:
    """What one worker has said, recorded as it comes."""

    def __init__(self, trial: Trial, ledger: Ledger, observer: Observer, revisions: Revisions) -> None:
        self._trial = trial
        self._revisions = revisions
        self._ledger = ledger
        self._observer = observer
        self.finished: Finished | None = None
        self.reference: FirstSteps | None = None
        self._bad_end: Diverged | Failed | None = None

    def hear(self, event: Event) -> None:
        """Record an event. Raises: ProtocolError for one that a training worker has no cause to send."""
        match event:
            case Started():
                self._ledger.started(self._trial.trial_id, event)
                # All it computes by is imported by now: what is edited later is no part of it.
                if self._revisions.is_edited(self._trial):
                    raise EndWorker(_EDITED)
            case EpochEnded():
                if not 1 <= event.epoch <= self._trial.num_epochs:
                    raise ProtocolError(f"epoch {event.epoch} of {self._trial.num_epochs}")
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
            case Saving():
                self._ledger.saving(self._trial.trial_id, event.digest)
            case Progress():
                pass
            case _:
                raise ProtocolError(f"{event.name!r}, which is no event of a training worker")
        self._observer.heard(self._trial, event)

    def verdict(self, ending: Ending) -> Verdict:
        """Return how the trial stands after its worker's end."""
        if ending.enforced:
            status = "timeout" if ending.timed_out else "failed"
            return Verdict(status=status, reason=f"the worker was ended: {ending.enforced}", finished=self.finished)
        if isinstance(self._bad_end, Diverged):
            return Verdict(status="diverged", reason=one_line(self._bad_end.reason), finished=self.finished)
        if isinstance(self._bad_end, Failed):
            reason = _explained_failure(one_line(self._bad_end.reason))
            return Verdict(status="failed", reason=reason, finished=self.finished)
        if self.finished is not None:
            # Whatever its framework does at exit, the trial is done and its checkpoint written.
            return Verdict(status="ok", finished=self.finished)
        return Verdict(status="failed", reason=_crash(ending.returncode))


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
