"""One run out of what several exercises need: each trial once, then what each of them wants measured on it."""

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console

from harness.contracts.descriptors import Exercise
from harness.contracts.exercises import Available, Budget, ExerciseModule, Need, ReadText, TextProbe
from harness.contracts.visible import one_line
from harness.environments import why_not
from harness.errors import HarnessError, PluginError, UsageError, did_you_mean
from harness.grid.cost import Prediction
from harness.grid.plan import Plan, join_plans
from harness.grid.selection import select
from harness.machine.terminal import print_line
from harness.plugins.registry import Registry
from harness.record.folder import RunFolder
from harness.record.ledger import Ledger
from harness.running import run
from harness.running.observer import Say
from harness.running.probing import ProbingPhase
from harness.running.workplace import Limits
from harness.worker.probes import PROBES
from harness.worker.targets import resolve
from harness.worker.trial import Trial


@dataclass(frozen=True, kw_only=True)
class PlannedExercises:
    """A run that answers exercises, which of its trials to time, and what to probe."""

    prepared: run.PreparedRun
    timed: frozenset[str]
    """Ids of the trials whose speed is part of an answer, and of the searches whose final trials' is."""
    probes: dict[str, tuple[str, ...]]
    """By the id of a trial, or of the search whose final trials are meant, the probes to make on it."""
    asked: dict[str, tuple[str, ...]]
    """By exercise, the ids of the trials and searches its answer rests on."""
    text_probes: tuple[tuple[TextProbe, run.PreparedRun], ...]
    """With the trials whose texts each of them reads."""


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A need of an exercise with the trials that meet it."""

    exercise: str
    need: Need
    prepared: run.PreparedRun


def prepare(
    names: Sequence[str], budget: Budget, registry: Registry, placement: run.Placement, console: Console
) -> PlannedExercises:
    """Plan the trials of these exercises together, or of all where none is named; nothing is written but a text cache.

    Of all exercises, one that cannot be planned is left out, and that is said; one that is named must be.
    Raises: HarnessError for whatever can't be done.
    """
    exercises = registry.exercises_named(names)
    available = available_in(registry)
    parts: list[_Part] = []
    for exercise in exercises:
        try:
            parts += _plan(exercise, budget, available, registry, placement, console)
        except HarnessError as error:
            if names:
                raise
            print_line(console, f"{exercise.name} is left out: {error}")
    if not parts:
        words = ", ".join(exercise.name for exercise in exercises)
        raise UsageError(f"There is nothing to train for {words} with the plugins that are here.")
    return PlannedExercises(
        prepared=_joined([part.prepared for part in parts], _folder(exercises, budget, registry, placement)),
        timed=frozenset(name for part in parts if part.need.timed for name in _subjects(part.prepared.plan)),
        probes=_probes(parts),
        asked=_asked(parts),
        text_probes=tuple((part.need.text_probe, part.prepared) for part in parts if part.need.text_probe is not None),
    )


def available_in(registry: Registry) -> Available:
    """Return what exercises may choose from here."""
    return Available(
        cells=tuple(registry.cells),
        backends=tuple(name for name, backend in registry.backends.items() if not why_not(backend)),
        baselines=tuple(registry.baselines),
        corpora=tuple(registry.corpora),
        implementations={
            (cell, backend): tuple(registry.implementation_names(cell, backend))
            for cell in registry.cells
            for backend in registry.backends
        },
    )


def _plan(
    exercise: Exercise,
    budget: Budget,
    available: Available,
    registry: Registry,
    placement: run.Placement,
    console: Console,
) -> list[_Part]:
    parts = []
    for need in _needs(exercise, budget, available, registry):
        selection, texts = select(need.options, f"The exercise {exercise.name}")
        parts.append(
            _Part(
                exercise=exercise.name, need=need, prepared=run.prepare(registry, selection, texts, placement, console)
            )
        )
    return parts


def _needs(exercise: Exercise, budget: Budget, available: Available, registry: Registry) -> list[Need]:
    """Return what an exercise needs. Raises: PluginError for whatever its module does, and an unknown probe."""
    origin = registry.origins["exercise", exercise.name]
    try:
        module: ExerciseModule[object, object] = resolve(exercise.target)
        needs = list(module.needs(budget, available))
    except Exception as error:
        cause = one_line(f"{type(error).__name__}: {error}")
        raise PluginError(f"The exercise {exercise.name} of {origin} cannot say what it needs ({cause}).") from error
    for name in (name for need in needs for name in need.probes if name not in PROBES):
        raise PluginError(
            f"The exercise {exercise.name} of {origin} wants a probe {name!r}.{did_you_mean(name, PROBES)}"
        )
    return needs


def _probes(parts: Sequence[_Part]) -> dict[str, tuple[str, ...]]:
    probes: dict[str, dict[str, None]] = defaultdict(dict)
    for part in parts:
        for subject in _subjects(part.prepared.plan):
            probes[subject].update(dict.fromkeys(part.need.probes))
    return {subject: tuple(names) for subject, names in probes.items() if names}


def _asked(parts: Sequence[_Part]) -> dict[str, tuple[str, ...]]:
    asked: dict[str, dict[str, None]] = defaultdict(dict)
    for part in parts:
        asked[part.exercise].update(dict.fromkeys(_subjects(part.prepared.plan)))
    return {exercise: tuple(subjects) for exercise, subjects in asked.items()}


def _subjects(plan: Plan) -> list[str]:
    """Return the ids of the trials that are no points of a search, and those of the searches."""
    return [*(trial.trial_id for trial in plan.results), *(search.search_id for search in plan.open_searches)]


def _folder(exercises: Sequence[Exercise], budget: Budget, registry: Registry, placement: run.Placement) -> RunFolder:
    """Return the folder named by --out, or one named after the exercises, which the same command finds again."""
    chosen = [exercise.name for exercise in exercises]
    names = "" if set(chosen) >= set(registry.exercises) else f"_{'+'.join(chosen)}"
    return RunFolder(placement.out or Path("reports") / f"exercises_{budget.name}{names}")


def _joined(parts: Sequence[run.PreparedRun], folder: RunFolder) -> run.PreparedRun:
    costs = {trial_id: seconds for part in parts for trial_id, seconds in part.costs.items()}
    plan = join_plans([part.plan for part in parts])
    return replace(
        parts[0],
        corpora=list({corpus.digest: corpus for part in parts for corpus in part.corpora}.values()),
        plan=plan,
        prediction=Prediction(tuple(costs[trial.trial_id] for trial in plan.expected)),
        folder=folder,
    )


def execute(
    planned: PlannedExercises, timing: str, anew: tuple[str, ...], command: Sequence[str], console: Console
) -> run.Outcome:
    """Train, time and probe what is not done yet, or is asked for ``anew``; the caller holds the folder open.

    Raises: HarnessError.
    """
    limits = Limits()
    _record_what_is_asked(planned)
    measurements = run.Measurements(timing=timing, timed=planned.timed, anew=anew)
    outcome = run.execute(planned.prepared, limits, measurements, command, console)
    if outcome.interrupted:
        return outcome
    try:
        _probe(planned, outcome.finals, limits, console)
    except KeyboardInterrupt:
        return replace(outcome, interrupted=True)
    return outcome


def _record_what_is_asked(planned: PlannedExercises) -> None:
    with Ledger(planned.prepared.folder.ledger) as ledger:
        for exercise, subjects in planned.asked.items():
            ledger.asked(exercise, subjects)


def _probe(planned: PlannedExercises, finals: Mapping[str, Sequence[Trial]], limits: Limits, console: Console) -> None:
    """Probe what is done."""
    prepared, say = planned.prepared, partial(print_line, console)
    probes = {
        trial_id: names
        for subject, names in planned.probes.items()
        for trial_id in ([trial.trial_id for trial in finals[subject]] if subject in finals else [subject])
    }
    with Ledger(prepared.folder.ledger) as ledger:
        for probe, part in planned.text_probes:
            _probe_texts(probe, part, finals, ledger, say)
        phase = ProbingPhase(workplace=prepared.workplace(limits), ledger=ledger)
        phase.run([*prepared.plan.results, *itertools.chain(*finals.values())], probes, say)


def _probe_texts(
    probe: TextProbe, part: run.PreparedRun, finals: Mapping[str, Sequence[Trial]], ledger: Ledger, say: Say
) -> None:
    """Record what a probe measures on the texts of some trials; one that fails is said, and nothing more."""
    known = ledger.statuses()
    try:
        for trial_id, rows in probe.measure(list(_read_texts(part, finals))).items():
            if trial_id in known:
                ledger.probed(trial_id, probe.name, rows)
    except HarnessError:
        raise
    except Exception as error:
        say(f"The texts could not be probed for {probe.name}: {one_line(f'{type(error).__name__}: {error}')}")


def _read_texts(part: run.PreparedRun, finals: Mapping[str, Sequence[Trial]]) -> Iterator[ReadText]:
    tuned = (finals.get(search.search_id, ()) for search in part.plan.open_searches)
    trials = [*part.plan.results, *itertools.chain(*tuned)]
    first = {trial.corpus_digest: trial.trial_id for trial in reversed(trials)}
    for corpus in part.corpora:
        if corpus.digest in first:
            yield ReadText(
                trial_id=first[corpus.digest],
                corpus=corpus.name,
                authors=corpus.authors,
                text=corpus.text,
                tokens=corpus.tokens,
                ids=np.load(corpus.train_path, mmap_mode="r"),
            )
