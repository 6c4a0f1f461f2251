"""What the timing phase of a run times, where, and what it leaves in the ledger."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import psutil

from harness.contracts.descriptors import REFERENCE_BACKEND
from harness.environments import why_not
from harness.errors import WorkerError
from harness.grid.cost import flops_per_token
from harness.record.ledger import Ledger
from harness.running.jobs import files_of, network_of, place_in
from harness.running.observer import Say
from harness.running.timing.session import EFFORTS, Effort, Placed, Session, Starting, time_together
from harness.running.workplace import Workplace
from harness.worker.job import TimeJob, WatchJob
from harness.worker.trial import Trial

SESSION_NOTE = "timing"
"""The run's note that holds its last timing sessions, one a group of workers, as JSON."""
_MEMORY_SHARE = 0.6
"""Of the memory that is available, what warm workers may take together."""


_SHARED_FACTS = (
    *("timed_by", "timing_note", "flops_per_token", "device_flops_per_s", "device_bytes_per_s"),
    *("timing_effort", "timed_on"),
)
"""What trials of one kind have from the measurement of one of them."""
ByKind = dict[tuple[object, ...], list[Placed]]


@dataclass
class TimingPhase:
    """Times what a run has trained."""

    workplace: Workplace
    ledger: Ledger
    effort: Effort

    def run(self, trials: Sequence[Trial], say: Say) -> bool:
        """Time every kind of finished trial, unless all are timed already with no less effort.

        Return False after Ctrl-C. What was edited since it was trained is not timed. Trials of one kind share the
        measurement of their first. A run that gains a kind is timed anew as a whole: only what stood in the same
        rounds compares.
        """
        try:
            self._time_all(trials, say)
        except KeyboardInterrupt:
            return False
        return True

    def _time_all(self, trials: Sequence[Trial], say: Say) -> None:
        statuses = self.ledger.statuses()
        finished = [trial for trial in trials if statuses[trial.trial_id] == "ok" and not trial.is_baseline]
        by_kind = self._unedited(kinds([Placed(trial, self.workplace.first_slot(trial)) for trial in finished]), say)
        if by_kind and self._share_what_is_timed(by_kind):
            say(f"{_counted(len(by_kind))} timed already, with no less effort than {self.effort.name!r}.")
            return
        sizes = self.ledger.facts("peak_rss_bytes")
        sessions = []
        for group in groups_that_fit([members[0] for members in by_kind.values()], sizes):
            say(_announcement(group, self.effort))
            try:
                session = asyncio.run(self._time(group, say))
            except WorkerError as error:
                say(f"Timing stopped: {error}")
                continue
            self._record(group, by_kind, session)
            sessions.append(_note(session))
        self.ledger.note(SESSION_NOTE, json.dumps(sessions))

    def _unedited(self, by_kind: ByKind, say: Say) -> ByKind:
        """Leave out the kinds whose code is no longer what trained them."""
        revisions = self.workplace.revisions
        edited = {kind for kind, members in by_kind.items() if revisions.is_edited(members[0].trial)}
        if edited:
            say(f"{_counted(len(edited))} not timed: the code was edited since the training.")
        return {kind: members for kind, members in by_kind.items() if kind not in edited}

    def _share_what_is_timed(self, by_kind: ByKind) -> bool:
        """Give trials the measurement there is of their kind; return whether every kind has one of enough effort."""
        facts = {name: self.ledger.facts(name) for name in _SHARED_FACTS}
        timed = [_timed_member(members, facts["timed_by"]) for members in by_kind.values()]
        if not all(timed_by and self._suffices(facts["timing_effort"].get(timed_by)) for timed_by in timed):
            return False
        for timed_by, members in zip(timed, by_kind.values(), strict=True):
            for placed in members:
                if not facts["timed_by"].get(placed.trial.trial_id):
                    shared = {name: values.get(timed_by) for name, values in facts.items()}
                    self.ledger.add_facts(placed.trial.trial_id, shared)
        return True

    def _suffices(self, effort: str | None) -> bool:
        # Ledgers of before do not say with which effort they were timed.
        before = EFFORTS.get(effort or "", EFFORTS["quick"])
        return before.seconds_per_trial >= self.effort.seconds_per_trial

    async def _time(self, group: Sequence[Placed], say: Say) -> Session:
        return await time_together(group, self._start, self._sentinel(group[0]), self.effort, say)

    def _start(self, placed: Placed) -> Starting:
        trial, registry = placed.trial, self.workplace.registry
        job = TimeJob(
            place=place_in(placed.slot),
            module_paths=registry.module_paths,
            trial=trial,
            network=network_of(registry, trial),
            train_path=files_of(self.workplace.corpus(trial)).train_path,
            block_seconds=self.effort.block_seconds,
        )
        return self.workplace.asked(job, trial.backend, placed.slot, f"timing-{trial.trial_id}")

    def _sentinel(self, first: Placed) -> Starting:
        """Return the sentinel: on a CPU it is NumPy's product, on a GPU the first trial's framework's."""
        name, registry = first.trial.backend, self.workplace.registry
        reference = registry.backends.get(REFERENCE_BACKEND)
        if first.slot.kind == "cpu" and reference is not None and not why_not(reference):
            name = REFERENCE_BACKEND
        target = registry.backend(name).target
        job = WatchJob(place=place_in(first.slot), module_paths=registry.module_paths, backend_target=target)
        return self.workplace.asked(job, name, first.slot, "timing-sentinel")

    def _record(self, group: Sequence[Placed], by_kind: ByKind, session: Session) -> None:
        for first in group:
            timed = session.timed[first.trial.trial_id]
            self.ledger.timed(first.trial.trial_id, timed.blocks)
            facts = {
                "timed_by": first.trial.trial_id if timed.blocks else None,
                "timing_note": timed.problem or session.disturbance,
                "flops_per_token": flops_per_token(first.trial, self.workplace.registry),
                "device_flops_per_s": session.flops_per_s,
                "device_bytes_per_s": session.bytes_per_s,
                "timing_effort": self.effort.name,
                "timed_on": self.workplace.machine,
            }
            for placed in by_kind[kind_of(first)]:
                self.ledger.add_facts(placed.trial.trial_id, facts)


def kind_of(placed: Placed) -> tuple[object, ...]:
    """Return what decides a trial's speed: trials of one kind share a measurement."""
    trial = placed.trial
    return (
        placed.slot.kind,
        trial.cell,
        trial.backend,
        trial.implementation,
        trial.vocab_size,
        trial.num_layers,
        trial.num_hiddens,
        trial.num_steps,
        trial.batch_size,
        trial.partition,
        trial.optimizer,
        trial.dropout > 0,
        trial.grad_clip > 0,
    )


def _timed_member(members: Sequence[Placed], timed_by: Mapping[str, Any]) -> str:
    """Return the first of a kind's trials that was timed; empty where none was."""
    return next((placed.trial.trial_id for placed in members if timed_by.get(placed.trial.trial_id)), "")


def _counted(number: int) -> str:
    return f"{number:,} kind of trial is" if number == 1 else f"{number:,} kinds of trial are"


def kinds(placed: Sequence[Placed]) -> ByKind:
    """Return the trials of each kind, in order."""
    by_kind: ByKind = {}
    for each in placed:
        by_kind.setdefault(kind_of(each), []).append(each)
    return by_kind


def groups_that_fit(placed: Sequence[Placed], peak_bytes: Mapping[str, int | None]) -> list[list[Placed]]:
    """Divide what is to be timed into groups whose warm workers fit into memory together, device by device."""
    room = psutil.virtual_memory().available * _MEMORY_SHARE
    groups: list[list[Placed]] = []
    used = 0.0
    for each in sorted(placed, key=lambda each: each.slot.name):
        size = peak_bytes.get(each.trial.trial_id) or 0
        if not groups or groups[-1][0].slot != each.slot or used + size > room:
            groups.append([])
            used = 0.0
        groups[-1].append(each)
        used += size
    return groups


def _announcement(group: Sequence[Placed], effort: Effort) -> str:
    kinds_word = "kind" if len(group) == 1 else "kinds"
    return (
        f"Timing {len(group):,} {kinds_word} of trial alone on {group[0].slot.name.split(':')[0].upper()}, "
        f"at most about {effort.seconds_per_trial * len(group):.0f} s (--timing off leaves it out)."
    )


def _note(session: Session) -> dict[str, object]:
    """Return a session as the run's note holds it."""
    values = asdict(session) | {"disturbance": session.disturbance}
    values["timed"] = {name: {"blocks": len(t.blocks), "problem": t.problem} for name, t in session.timed.items()}
    return values
