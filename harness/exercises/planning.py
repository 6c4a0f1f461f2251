"""One run out of what several exercises need: each trial once, however many ask for it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from harness.errors import UsageError
from harness.exercises import EXERCISES
from harness.exercises.exercise import Budget, Exercise, Need
from harness.grid.cost import Prediction
from harness.grid.plan import Plan
from harness.plugins.registry import Registry
from harness.record.folder import RunFolder
from harness.running import run


@dataclass(frozen=True, kw_only=True)
class PlannedExercises:
    """A run that answers exercises, which of its trials to time, and what to probe."""

    prepared: run.PreparedRun
    timed: frozenset[str]
    """Ids of the trials whose speed is part of an answer."""
    probes: dict[str, tuple[str, ...]]
    """By the id of a trial, the probes to make on it."""


def prepare(
    exercises: Sequence[Exercise], budget: Budget, registry: Registry, placement: run.Placement, console: Console
) -> PlannedExercises:
    """Plan the trials of all exercises together; nothing is trained or written but the text cache.

    Raises: HarnessError for whatever can't be done.
    """
    needs = [need for exercise in exercises for need in exercise.needs(budget, registry)]
    if not needs:
        names = ", ".join(exercise.exercise_id for exercise in exercises)
        raise UsageError(f"There is nothing to train for {names} with the plugins that are here.")
    parts = [run.prepare(registry, need.selection, need.texts, placement, console) for need in needs]
    return PlannedExercises(
        prepared=_joined(parts, _folder(exercises, budget, placement)),
        timed=frozenset(
            trial.trial_id
            for need, part in zip(needs, parts, strict=True)
            if need.timed
            for trial in part.plan.runnable
        ),
        probes=_probes(needs, parts),
    )


def _probes(needs: Sequence[Need], parts: Sequence[run.PreparedRun]) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for need, part in zip(needs, parts, strict=True):
        for trial in part.plan.runnable:
            found[trial.trial_id].update(dict.fromkeys(need.probes))
    return {trial_id: tuple(probes) for trial_id, probes in found.items() if probes}


def _folder(exercises: Sequence[Exercise], budget: Budget, placement: run.Placement) -> RunFolder:
    """Return the folder named by --out, or one named after the exercises, which the same command finds again."""
    chosen = [exercise.exercise_id for exercise in exercises]
    names = "" if set(chosen) >= set(EXERCISES) else f"_{'+'.join(chosen)}"
    return RunFolder(placement.out or Path("reports") / f"exercises_{budget.name}{names}")


def _joined(parts: Sequence[run.PreparedRun], folder: RunFolder) -> run.PreparedRun:
    trials = {planned.trial.trial_id: planned for part in parts for planned in part.plan.trials}
    costs = {trial_id: seconds for part in parts for trial_id, seconds in part.costs.items()}
    plan = Plan(trials=tuple(trials.values()))
    return replace(
        parts[0],
        corpora=list({corpus.digest: corpus for part in parts for corpus in part.corpora}.values()),
        plan=plan,
        prediction=Prediction(tuple(costs[trial.trial_id] for trial in plan.runnable)),
        folder=folder,
    )
