"""From the points of searches to their final trials: the best by validation is chosen, and what came of it is said."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.grid.edges import widened
from harness.grid.plan import Plan, PlannedTrial
from harness.grid.tuning import Search
from harness.record.ledger import FINISHED, Ledger
from harness.running.observer import Say
from harness.worker.trial import Trial


@dataclass(frozen=True)
class _Point:
    """A point of a search as it ended."""

    trial: Trial
    loss: float
    is_certified: bool


def enter(plan: Plan, ledger: Ledger) -> None:
    """Record the searches of a plan; one that has points to train yet has no final trials until they are done."""
    statuses = ledger.statuses()
    for position, search in enumerate(plan.searches):
        ledger.searches.enter(search.search_id, position, search.trials, search.space)
        if any(statuses[trial.trial_id] not in FINISHED for trial in search.trials):
            ledger.searches.reopen(search.search_id)


def settle(plan: Plan, ledger: Ledger, say: Say) -> dict[str, tuple[Trial, ...]]:
    """Choose the best point of each search and record it; return the final trials by search."""
    statuses, losses, certified = ledger.statuses(), ledger.last_losses(), ledger.facts("parity_certified")
    finals: dict[str, tuple[Trial, ...]] = {}
    for search in plan.open_searches:
        best = _best(search, statuses, losses, certified)
        say(_outcome(search, best, statuses))
        if best is not None and (edge := _edge(search, best, statuses, losses)):
            say(f"{search.search_id}: the best lies at the edge of the space: {edge}.")
        if best is None:
            ledger.searches.reopen(search.search_id)
            continue
        finals[search.search_id] = search.finals(best.trial)
        ledger.add(finals[search.search_id], after=len(plan.trials))
        ledger.searches.settle(search.search_id, best.trial, finals[search.search_id])
    return finals


def plan_of(finals: Mapping[str, Sequence[Trial]]) -> Plan:
    """Return the plan of all final trials."""
    return Plan(trials=tuple(PlannedTrial(trial=trial) for trials in finals.values() for trial in trials))


def _best(
    search: Search, statuses: Mapping[str, str], losses: Mapping[str, float], certified: Mapping[str, object]
) -> _Point | None:
    """Return the point with the lowest validation loss, an uncertified one only where there is no other."""
    points = [
        _Point(trial, losses[trial.trial_id], certified.get(trial.trial_id) not in (0, False))
        for trial in search.trials
        if statuses[trial.trial_id] == "ok" and trial.trial_id in losses
    ]
    return min(points, key=lambda point: (not point.is_certified, point.loss), default=None)


def _edge(search: Search, best: _Point, statuses: Mapping[str, str], losses: Mapping[str, float]) -> str:
    ended = [trial for trial in search.trials if statuses[trial.trial_id] in FINISHED]
    reached = [
        losses.get(trial.trial_id, math.inf) if statuses[trial.trial_id] == "ok" else math.inf for trial in ended
    ]
    values = {name: [getattr(trial, name) for trial in ended] for name in search.space}
    return widened(values, reached, ended.index(best.trial), search.space)


def _outcome(search: Search, best: _Point | None, statuses: Mapping[str, str]) -> str:
    """Say what a search found, and which points were spent on nothing."""
    counts = Counter(statuses[trial.trial_id] for trial in search.trials)
    lost = ", ".join(f"{count:,} {status}" for status, count in counts.items() if status != "ok")
    spent = f"{len(search.trials):,} points of {search.words()}{f' ({lost})' if lost else ''}"
    if best is None:
        return (
            f"{search.search_id}: none of {spent} ended with a finite validation loss: nothing is ranked for it. "
            "Name another range, as in --tune-over lr=0.0001:0.01."
        )
    return (
        f"{search.search_id}: the best of {spent} is {search.options(best.trial)}, "
        f"validation perplexity {math.exp(min(best.loss, 700.0)):.3f}."
    )
