"""Expands a selection into ordered trials, and into skips with their reasons."""

import hashlib
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.contracts.descriptors import Baseline
from harness.contracts.settings import Setting
from harness.environments import why_not
from harness.errors import UsageError
from harness.grid.choosing import choose_baselines, choose_pairs
from harness.grid.selection import AXES, Selection
from harness.grid.tuning import NUISANCES, SEARCH_SEED, Search, points
from harness.plugins.registry import Registry
from harness.texts.tokenised import TokenisedCorpus, check_long_enough, check_predictable
from harness.worker.trial import BASELINE, DEFAULTS, NO_BACKEND, NO_OPTIMIZER, Trial

Pair = tuple[str, str, str]
"""A cell, its backend and implementation."""
MAX_TRIALS = 100_000
"""Of one run; a slip on two axes would fill the memory."""
_ACTING = {name: row.acts for name, row in AXES.items() if row.acts}


@dataclass(frozen=True, kw_only=True)
class PlannedTrial:
    """One trial of the plan; a non-empty ``skip`` says why it cannot run."""

    trial: Trial
    skip: str = ""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The trials in the order of the selection."""

    trials: tuple[PlannedTrial, ...]
    searches: tuple[Search, ...] = ()
    """Whose points are among the trials; what they find is planned once they are done."""

    @property
    def digest(self) -> str:
        """Return a hash of all trials and searches: the same selection on the same text gives the same.

        A search that grows is the same one.
        """
        searched = {trial.trial_id for search in self.searches for trial in search.trials}
        ids = {planned.trial.trial_id for planned in self.trials} - searched
        names = "\n".join(sorted([*ids, *(search.search_id for search in self.searches)]))
        return hashlib.sha256(names.encode()).hexdigest()[:8]

    @property
    def open_searches(self) -> list[Search]:
        """Return the searches whose points can run."""
        runnable = {trial.trial_id for trial in self.runnable}
        return [search for search in self.searches if search.trials[0].trial_id in runnable]

    @property
    def results(self) -> list[Trial]:
        """Return the trials that can run and are no points of a search."""
        searched = {trial.trial_id for search in self.searches for trial in search.trials}
        return [trial for trial in self.runnable if trial.trial_id not in searched]

    @property
    def expected(self) -> list[Trial]:
        """Return the trials that can run and, for what each search will find, its first point under the fresh seeds.

        What is tuned decides next to nothing of what a trial costs.
        """
        return [*self.runnable, *(final for search in self.open_searches for final in search.finals(search.trials[0]))]

    @property
    def runnable(self) -> list[Trial]:
        """Return the trials that can run."""
        return [planned.trial for planned in self.trials if not planned.skip]

    @property
    def backends(self) -> list[str]:
        """Return the backends of the trials that can run."""
        return list(dict.fromkeys(trial.backend for trial in self.runnable if not trial.is_baseline))

    @property
    def plugins(self) -> list[str]:
        """Return all its cells and backends, also those whose trials can't run here."""
        trials = [planned.trial for planned in self.trials]
        return list(
            dict.fromkeys(
                [*(trial.cell for trial in trials), *(trial.backend for trial in trials if not trial.is_baseline)]
            )
        )

    @property
    def skips(self) -> dict[str, int]:
        """Return how many trials are skipped for each reason."""
        return dict(Counter(planned.skip for planned in self.trials if planned.skip))

    @property
    def slug(self) -> str:
        """Return a readable name for the run's folder: cells, depths, backends and corpora."""
        trials = [planned.trial for planned in self.trials]
        trained = [trial for trial in trials if not trial.is_baseline]
        depths = sorted({trial.num_layers for trial in trained})
        depth = f"{depths[0]}" if len(depths) == 1 else f"{depths[0]}-{depths[-1]}" if depths else ""
        parts = [
            "+".join(dict.fromkeys(trial.cell for trial in trials)),
            f"{depth}-layers" if depth else "",
            "tuned" if self.searches else "",
            "+".join(dict.fromkeys(trial.backend for trial in trained)),
            "+".join(dict.fromkeys(_file_name(trial.corpus) for trial in trials)),
        ]
        return "_".join(part for part in parts if part)[:100]


def join_plans(plans: Sequence[Plan]) -> Plan:
    """Return the plan of all of these trials, each once; of one model's several searches the largest, for all seeds."""
    searches: dict[str, Search] = {}
    for search in (search for plan in plans for search in plan.searches):
        same = searches.get(search.search_id, search)
        larger = max(same, search, key=lambda each: len(each.trials))
        searches[search.search_id] = replace(larger, seeds=tuple(dict.fromkeys((*same.seeds, *search.seeds))))
    results = {planned.trial.trial_id: planned for plan in plans for planned in plan.trials}
    for plan in plans:
        points = {trial.trial_id for search in plan.searches for trial in search.trials}
        tried = {trial.trial_id for search in searches.values() for trial in search.trials}
        for trial_id in points - tried:
            results.pop(trial_id, None)  # two smaller searches may share it
    return Plan(trials=tuple(results.values()), searches=tuple(searches.values()))


def plan_trials(selection: Selection, registry: Registry, corpora: Sequence[TokenisedCorpus]) -> Plan:
    """Expand the selection, corpus by corpus.

    Raises: PluginError for an unknown name; UsageError where nothing is left to do; EnvironmentMissing
    where no backend was named and none can run.
    """
    pairs = choose_pairs(selection.plugins, selection.implementation, registry)
    baselines = choose_baselines(selection.plugins, registry)
    _require_feasible(len(corpora) * (len(pairs) * _num_trials(selection) + len(baselines)))
    # Two budgets larger than the corpus are both 'all' of it: one trial, as all are that train the same model.
    trials: dict[str, PlannedTrial] = {}
    searches: dict[str, Search] = {}
    for corpus in corpora:
        for pair, skip in pairs.items():
            tuned = _searches(selection, corpus, pair) if selection.tuning.tune else []
            searches |= {search.search_id: search for search in tuned}
            models = [trial for search in tuned for trial in search.trials] or _grid(selection, corpus, pair)
            for trial in models:
                trials.setdefault(_same_model(trial).trial_id, PlannedTrial(trial=trial, skip=skip))
        for baseline in baselines:
            trial = baseline_trial(baseline, corpus)
            trials[trial.trial_id] = PlannedTrial(trial=trial, skip=why_not(baseline))
    _require_differences(selection, searches.values())
    return Plan(trials=tuple(trials.values()), searches=tuple(searches.values()))


def _require_differences(selection: Selection, searches: Iterable[Search]) -> None:
    """Raise a UsageError for a tuned setting that changes no model."""
    for name in selection.tuning.names if selection.tuning.tune > 1 else ():
        if not any(len({getattr(trial, name) for trial in search.trials}) > 1 for search in searches):
            option = NUISANCES[name].option.removeprefix("--")
            raise UsageError(
                f"--tune-over {option} means nothing beside the other settings: every point would be the same model."
            )


def _num_trials(selection: Selection) -> int:
    """Return how many trials each cell on each backend has, those that searches will find among them."""
    if not selection.tuning.tune:
        return math.prod(len(selection.axis(name)) for name in AXES)
    num_trained = selection.tuning.tune + len(selection.final_seeds)
    return num_trained * math.prod(len(selection.axis(name)) for name in _axes_of(selection))


def _grid(selection: Selection, corpus: TokenisedCorpus, pair: Pair) -> list[Trial]:
    """Return a trial for each point of the grid."""
    points = itertools.product(*(selection.axis(name) for name in AXES))
    return [_trial(selection, corpus, pair, dict(zip(AXES, point, strict=True))) for point in points]


def _axes_of(selection: Selection) -> list[str]:
    """Return the axes in which searches differ."""
    return [name for name in AXES if name not in (*selection.tuning.names, "seed")]


def _searches(selection: Selection, corpus: TokenisedCorpus, pair: Pair) -> list[Search]:
    """Return a search for each point of the grid in what is not tuned."""
    names = _axes_of(selection)
    usual = {name: selection.axis(name)[0] for name in selection.tuning.names} | {"seed": SEARCH_SEED}
    points = itertools.product(*(selection.axis(name) for name in names))
    return [_search(selection, corpus, pair, dict(zip(names, point, strict=True)) | usual) for point in points]


def _search(selection: Selection, corpus: TokenisedCorpus, pair: Pair, point: Mapping[str, Any]) -> Search:
    tuning = selection.tuning
    space = tuning.space(selection.resolved(point, pair[0], pair[2]))
    trials = (_same_model(_trial(selection, corpus, pair, point, tuned)) for tuned in points(space, tuning.tune))
    return Search(space=space, trials=tuple(trials), seeds=selection.final_seeds)


def _same_model(trial: Trial) -> Trial:
    """Return the trial that stands for all that train the same model: what changes nothing is its default."""
    values = vars(trial)
    idle = {
        name: DEFAULTS[name] for name, acts in _ACTING.items() if values[name] != DEFAULTS[name] and not acts(values)
    }
    return replace(trial, **idle) if idle else trial


def check_texts(plan: Plan, corpora: Sequence[TokenisedCorpus]) -> None:
    """Check that each text holds what the trials that can run read at a time. Raises: CorpusError."""
    for corpus in corpora:
        check_predictable(corpus)
    trained = [trial for trial in plan.runnable if not trial.is_baseline]
    shapes = dict.fromkeys((trial.batch_size, trial.num_steps, trial.partition) for trial in trained)
    for corpus in corpora:
        for batch_size, num_steps, partition in shapes:
            check_long_enough(corpus, batch_size, num_steps, partition)


def _require_feasible(num_trials: int) -> None:
    if num_trials > MAX_TRIALS:
        raise UsageError(
            f"The selection makes {num_trials:,} trials, and one run takes at most {MAX_TRIALS:,}: "
            "give fewer values, or several runs."
        )


def _trial(
    selection: Selection,
    corpus: TokenisedCorpus,
    pair: Pair,
    point: Mapping[str, Any],
    tuned: Mapping[str, Any] | None = None,
) -> Trial:
    cell, backend, implementation = pair
    settings = selection.resolved(point, cell, implementation, tuned)
    return Trial(cell=cell, backend=backend, implementation=implementation, **_of_text(corpus), **settings)


def baseline_trial(baseline: Baseline, corpus: TokenisedCorpus) -> Trial:
    """Return a baseline's one trial on a text: no size, optimizer or seed multiplies it."""
    return Trial(
        cell=baseline.name,
        backend=NO_BACKEND,
        implementation=BASELINE,
        **_of_text(corpus),
        num_layers=0,
        num_hiddens=0,
        num_steps=0,
        batch_size=0,
        optimizer=NO_OPTIMIZER,
        learning_rate=0.0,
        grad_clip=0.0,
        dropout=0.0,
        num_epochs=1,
        seed=0,
    )


def _of_text(corpus: TokenisedCorpus) -> dict[str, Any]:
    """Return the fields of a trial that its text decides."""
    return {
        "corpus": corpus.name,
        "authors": corpus.authors,
        "text": corpus.text,
        "tokens": corpus.tokens,
        "train_tokens": corpus.train_tokens,
        "corpus_digest": corpus.digest,
        "vocab_size": corpus.vocab_size,
        "mix": corpus.mix,
    }


def _file_name(text: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "-.") else "-" for c in text).strip("-.") or "text"


def _overriding(selection: Selection, name: str) -> list[Any]:
    return [override.settings[name] for override in selection.overrides if name in override.settings]


def idle_settings(selection: Selection, plan: Plan) -> Iterator[str]:
    """Yield a sentence for each setting that was asked for and means nothing in any trial of the plan, or is tuned."""
    for name in selection.tuning.names:
        row = NUISANCES[name]
        asked_for = [*(selection.settings.get(name) or ()), *_overriding(selection, name)]
        if asked_for:
            words = ", ".join(row.words.format(value) for value in dict.fromkeys(asked_for))
            yield f"{row.option} is tuned, and what was asked for is left aside: {words}."
    trained = [planned.trial for planned in plan.trials if not planned.trial.is_baseline]
    for name, row in AXES.items():
        asked = set(selection.axis(name)) - {DEFAULTS[name]}
        if asked and row.applies and not any(row.applies(vars(trial)) for trial in trained):
            yield f"{row.option} means nothing beside the other settings and is left out. It is: {_what(row)}."
        if asked and row.acts and (without := sum(not row.acts(vars(trial)) for trial in trained)):
            yield (
                f"{row.option} changes nothing in {without:,} of {len(trained):,} trials; of those that differ in it "
                f"alone one is trained. It is: {_what(row)}."
            )


def _what(row: Setting) -> str:
    return row.description.rstrip(".")
