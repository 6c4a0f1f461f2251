"""What the timing phase of a run times, where, and what it leaves in the ledger."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import psutil

from harness.contracts.descriptors import REFERENCE_BACKEND
from harness.environments import why_not
from harness.errors import WorkerError
from harness.grid.cost import flops_per_token
from harness.machine import interruption
from harness.record.ledger import Ledger
from harness.running.description import be, counted
from harness.running.jobs import files_of, network_of, place_in
from harness.running.observer import Say
from harness.running.timing.session import EFFORTS, MIN_ROUNDS, Effort, Placed, Session, Starting, Timed, time_together
from harness.running.workplace import Workplace
from harness.worker.job import TimeJob, WatchJob
from harness.worker.trial import Trial

_MEMORY_SHARE = 0.6
"""Of the memory that is available, what warm workers may take together."""
Kind = tuple[object, ...]
"""What decides a trial's speed."""
ByFirst = Mapping[str, Sequence[Placed]]
_SHARED = (
    *("timed_by", "timing_note", "flops_per_token", "device_flops_per_s", "device_bytes_per_s"),
    *("timing_effort", "timed_on"),
)
"""Facts that all trials of a kind have from one measurement."""


@dataclass
class TimingPhase:
    """Times what a run has trained."""

    workplace: Workplace
    ledger: Ledger
    effort: Effort

    def run(self, trials: Sequence[Trial], num_sessions: int, say: Say) -> None:
        """Time every kind of finished trial until it has so many sessions of this effort or more.

        What was edited since it was trained is not timed. Trials of one kind share the measurement of their first. A
        run that gains a kind, or goes on on another machine, is timed anew as a whole: only what stood in the same
        rounds compares.

        Raises: KeyboardInterrupt, what was timed until then recorded.
        """
        statuses = self.ledger.statuses()
        finished = [trial for trial in trials if statuses[trial.trial_id] == "ok" and not trial.is_baseline]
        by_first = self._unedited(self._by_first(finished), say)
        anew = self._are_new(by_first)
        missing = num_sessions - (0 if anew else self._num_whole(by_first))
        if not anew:
            self._share(by_first)
        if not by_first:
            return
        if missing <= 0:
            say(f"{_counted(len(by_first))} timed already, with no less effort than {self.effort.name!r}.")
        elif not anew and self._is_elsewhere(by_first):
            anew, missing = True, num_sessions
        sizes = self.ledger.facts("peak_rss_bytes")
        for number in range(missing):
            for group in groups_that_fit([members[0] for members in by_first.values()], sizes):
                say(_announcement(group, self.effort, num_sessions - missing + number + 1, num_sessions))
                self._time_and_record(group, by_first, say, anew=anew and not number)

    def _by_first(self, trials: Iterable[Trial]) -> ByFirst:
        """Return the trials of each kind by the id of the first, under which its blocks are recorded."""
        timed_by = self.ledger.facts("timed_by")
        by_kind = kinds([Placed(trial, self.workplace.first_slot(trial)) for trial in trials])
        for members in by_kind.values():
            members.sort(key=lambda placed: timed_by.get(placed.trial.trial_id) != placed.trial.trial_id)
        return {members[0].trial.trial_id: members for members in by_kind.values()}

    def _are_new(self, by_first: ByFirst) -> bool:
        """Say whether a kind was never timed: then all are timed anew."""
        sessions, timed_by = self.ledger.timing.sessions(), self.ledger.facts("timed_by")
        return not all(first in sessions and timed_by.get(first) == first for first in by_first)

    def _is_elsewhere(self, by_first: ByFirst) -> bool:
        """Say whether the sessions so far were timed on another machine than this one."""
        timed_on = self.ledger.facts("timed_on")
        return any(timed_on.get(first) not in (None, "", self.workplace.machine) for first in by_first)

    def _unedited(self, by_first: ByFirst, say: Say) -> ByFirst:
        """Leave out the kinds whose code is no longer what trained them."""
        revisions = self.workplace.revisions
        edited = {first for first, members in by_first.items() if revisions.is_edited(members[0].trial)}
        if edited:
            say(f"{_counted(len(edited))} not timed: the code was edited since the training.")
        return {first: members for first, members in by_first.items() if first not in edited}

    def _num_whole(self, by_first: ByFirst) -> int:
        """Return how many sessions of this effort or more, not cut short, each kind has stood in."""
        sessions = self.ledger.timing.sessions()
        stood = ([each for each in sessions[first] if each.whole] for first in by_first)
        numbers = (sum(self._suffices(each.effort) for each in kind) for kind in stood)
        return min(numbers, default=0)

    def _suffices(self, effort: str) -> bool:
        # Ledgers of before do not say with which effort they were timed.
        before = EFFORTS.get(effort, EFFORTS["quick"])
        return before.seconds_per_trial >= self.effort.seconds_per_trial

    def _share(self, by_first: ByFirst) -> None:
        """Give trials that were finished since their kind was timed what is known of it."""
        facts = {name: self.ledger.facts(name) for name in _SHARED}
        for first, members in by_first.items():
            for placed in members:
                if not facts["timed_by"].get(placed.trial.trial_id):
                    self.ledger.add_facts(placed.trial.trial_id, {name: facts[name].get(first) for name in _SHARED})

    def _time_and_record(self, group: Sequence[Placed], by_first: ByFirst, say: Say, *, anew: bool) -> None:
        number, first_round = self.ledger.timing.next_session()
        session = Session({placed.trial.trial_id: Timed() for placed in group}, first_round=first_round)
        timing = time_together(session, group, self._start, self._sentinel(group[0]), self.effort, say)
        try:
            interruption.run(timing)
        except WorkerError as error:
            say(f"Timing stopped: {error}")
            return
        finally:
            # One that is interrupted keeps what has an interval; the next one takes its place.
            if session.whole or session.num_rounds > MIN_ROUNDS:
                self._record(number, group, by_first, session, anew=anew)

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

    def _record(self, number: int, group: Sequence[Placed], by_first: ByFirst, session: Session, *, anew: bool) -> None:
        self.ledger.timing.forget(session.timed, cut_short=not anew)
        steady = {
            name for name, stood in self.ledger.timing.sessions().items() if any(not each.disturbance for each in stood)
        }
        self.ledger.timing.add_session(_row(number, group[0], self.effort.name, session))
        for first in group:
            name = first.trial.trial_id
            timed = session.timed[name]
            self.ledger.timing.add(name, timed.blocks, number)
            if name in steady and (timed.problem or session.disturbance):
                continue  # its rows rest on the steady sessions it has
            facts = self._facts(first, session)
            for placed in by_first[name]:
                self.ledger.add_facts(placed.trial.trial_id, facts)

    def _facts(self, first: Placed, session: Session) -> dict[str, object]:
        timed = session.timed[first.trial.trial_id]
        return {
            "timed_by": first.trial.trial_id if timed.blocks else None,
            "timing_note": timed.problem or session.disturbance,
            "flops_per_token": flops_per_token(first.trial, self.workplace.registry),
            "device_flops_per_s": session.flops_per_s,
            "device_bytes_per_s": session.bytes_per_s,
            "timing_effort": self.effort.name,
            "timed_on": self.workplace.machine,
        }


def _row(number: int, first: Placed, effort: str, session: Session) -> dict[str, object]:
    """Return a session as the ledger holds it."""
    names = ("started_at", "seconds", "others_share", "flops_per_s", "bytes_per_s", "disturbance")
    return {
        "session": number,
        "device": first.slot.name,
        "effort": effort,
        "whole": int(session.whole),
        "sentinel": json.dumps(session.sentinel),
        **{name: getattr(session, name) for name in names},
    }


def kind_of(placed: Placed) -> Kind:
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


def kinds(placed: Sequence[Placed]) -> dict[Kind, list[Placed]]:
    """Return the trials of each kind, in order."""
    by_kind: dict[Kind, list[Placed]] = {}
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


def _counted(number: int) -> str:
    return f"{counted(number, 'kind')} of trial {be(number)}"


def _announcement(group: Sequence[Placed], effort: Effort, number: int, num_sessions: int) -> str:
    which = f", session {number} of {num_sessions}" if num_sessions > 1 else ""
    return (
        f"Timing {counted(len(group), 'kind')} of trial alone on {group[0].slot.name.split(':')[0].upper()}{which}, "
        f"at most about {effort.seconds_per_trial * len(group):.0f} s (--timing off leaves it out)."
    )
