"""A run under way: points of searches and plain trials first, then what the searches found, then the timing."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from rich.console import Console

from harness.grid.plan import Plan
from harness.grid.tuning import NUISANCES
from harness.machine import interruption
from harness.machine.terminal import print_line
from harness.record.ledger import FINISHED, Ledger
from harness.running import repeats, revising, tuning
from harness.running.description import describe_skips
from harness.running.live import LiveView
from harness.running.scheduler import Runner
from harness.running.timing import EFFORTS, TimingPhase
from harness.running.workplace import Workplace
from harness.running.yardsticks import hold_against_yardsticks
from harness.worker.trial import DEFAULTS, Trial

Finals = Mapping[str, Sequence[Trial]]
"""By search, the trials of the point it chose."""


@dataclass(frozen=True, kw_only=True)
class Measurements:
    """What is measured beside the training."""

    parity_steps: int = 5
    timing: str = "quick"
    """'off', or a key of `harness.running.timing.EFFORTS`."""
    num_sessions: int = 1
    """How many timing sessions the run is to have."""
    timed: frozenset[str] | None = None
    """Ids of the trials to time, and of the searches whose final trials; None is all that are no points of a search."""
    anew: tuple[str, ...] = ()
    """Beginnings of the ids of trials to train although they are finished; 'all' is every one."""


@dataclass(frozen=True)
class Outcome:
    """How the run's own trials stand after it."""

    statuses: dict[str, str]
    """Of its trials by their ids; of a search's points that diverged only where all of them did."""
    interrupted: bool
    finals: Finals = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """Return 0 when all are ok, 130 after a signal, else 1."""
        if self.interrupted:
            return interruption.EXIT_CODE
        return 0 if all(status == "ok" for status in self.statuses.values()) else 1


@dataclass(kw_only=True)
class Execution:
    """All that a run does with its plan; the caller holds the folder open."""

    plan: Plan
    costs: Mapping[str, float]
    """Predicted seconds by trial, of those that searches are expected to find too."""
    workplace: Workplace
    measurements: Measurements
    ledger: Ledger
    console: Console
    environment_hashes: Mapping[str, str]
    """Of the exact versions in each backend's interpreter, by backend."""
    manifest: Mapping[str, Any]

    def run(self) -> Outcome:
        """Train what is not finished yet, then time what is done."""
        self._revise()
        self.ledger.add(planned.trial for planned in self.plan.trials)
        tuning.enter(self.plan, self.ledger)
        finals: Finals = {}
        interrupted = True
        with contextlib.suppress(KeyboardInterrupt):
            self._train(self.plan)
            if self.plan.searches:
                finals = tuning.settle(self.plan, self.ledger, self._say)
                self._train(tuning.plan_of(finals))
            trained = [*self.plan.runnable, *(trial for trials in finals.values() for trial in trials)]
            hold_against_yardsticks(self.workplace, self.ledger, trained, self._say)
            self._time(finals)
            interrupted = False
        return Outcome(self._statuses(finals), interrupted, finals)

    def _revise(self) -> None:
        """Put aside what other code trained, or what is to be trained anew."""
        trials = {planned.trial.trial_id: planned.trial for planned in self.plan.trials}
        finals = set(self.ledger.searches.finals(search.search_id for search in self.plan.searches))
        rows = (row for row in self.ledger.trials() if row["trial_id"] in finals)
        trials |= {row["trial_id"]: Trial.from_dict(row) for row in rows}
        workplace = self.workplace
        revising.put_aside(
            trials, workplace.folder, self.ledger, workplace.revisions, self.measurements.anew, self._say
        )

    def _train(self, plan: Plan) -> None:
        """Train the trials of a plan that are not finished yet."""
        ids = [planned.trial.trial_id for planned in plan.trials]
        repeats.say_what_stands(self.ledger, ids, self.workplace, self.manifest, self._say)
        for line in describe_skips(plan):
            self._say(line)
        statuses = self.ledger.statuses()
        left = [trial for trial in plan.runnable if statuses.get(trial.trial_id) not in FINISHED]
        costs = {trial.trial_id: self._cost(trial) for trial in left}
        with LiveView(costs, self.console) as view:
            runner = Runner(
                workplace=self.workplace,
                ledger=self.ledger,
                observer=view,
                parity_steps=self.measurements.parity_steps,
                environment_hashes=self.environment_hashes,
            )
            runner.run(plan, cost=lambda trial: costs[trial.trial_id])

    def _cost(self, trial: Trial) -> float:
        """Return a trial's predicted seconds; what is tuned decides next to nothing of them."""
        return self.costs.get(trial.trial_id) or self._costs_of_models[_model(trial)]

    @cached_property
    def _costs_of_models(self) -> Mapping[Trial, float]:
        return {_model(trial): self.costs[trial.trial_id] for trial in self.plan.expected}

    def _time(self, finals: Finals) -> None:
        """Time what is done and no point of a search."""
        if self.measurements.timing == "off":
            return
        wanted = self.measurements.timed
        subjects: Finals = {**{trial.trial_id: (trial,) for trial in self.plan.results}, **finals}
        trials = [trial for name, each in subjects.items() if wanted is None or name in wanted for trial in each]
        phase = TimingPhase(self.workplace, self.ledger, EFFORTS[self.measurements.timing])
        phase.run(trials, self.measurements.num_sessions, self._say)

    def _statuses(self, finals: Finals) -> dict[str, str]:
        known = self.ledger.statuses()
        points = {trial.trial_id for each in self.plan.searches if each.search_id in finals for trial in each.trials}
        planned = [planned.trial.trial_id for planned in self.plan.trials]
        final = [trial.trial_id for trials in finals.values() for trial in trials]
        spent = {trial_id for trial_id in points if known[trial_id] == "diverged"}
        return {key: known[key] for key in [*planned, *final] if key not in spent}

    def _say(self, line: str) -> None:
        print_line(self.console, line)


def _model(trial: Trial) -> Trial:
    """Return a trial without what is tuned and its seed."""
    return replace(trial, seed=0, **{name: DEFAULTS[name] for name in NUISANCES})
