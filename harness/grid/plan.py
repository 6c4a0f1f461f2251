"""Expands a selection into ordered trials, and into skips with their reasons."""

import hashlib
import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.contracts.descriptors import SCRATCH, Backend, Baseline
from harness.contracts.settings import Setting
from harness.environments import why_not
from harness.errors import EnvironmentMissing, PluginError, UsageError
from harness.grid.selection import AXES, Selection
from harness.machine.devices import find_gpus
from harness.plugins.registry import Registry
from harness.texts.tokenised import TokenisedCorpus, check_long_enough, check_predictable
from harness.worker.trial import BASELINE, DEFAULTS, NO_BACKEND, NO_OPTIMIZER, Trial

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

    @property
    def digest(self) -> str:
        """Return a hash of all trials: the same selection on the same text gives the same."""
        ids = "\n".join(sorted(planned.trial.trial_id for planned in self.trials))
        return hashlib.sha256(ids.encode()).hexdigest()[:8]

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
            "+".join(dict.fromkeys(trial.backend for trial in trained)),
            "+".join(dict.fromkeys(_file_name(trial.corpus) for trial in trials)),
        ]
        return "_".join(part for part in parts if part)[:100]


def plan_trials(selection: Selection, registry: Registry, corpora: Sequence[TokenisedCorpus]) -> Plan:
    """Expand the selection, corpus by corpus.

    Raises: PluginError for an unknown name; UsageError where nothing is left to do; EnvironmentMissing
    where no backend was named and none can run.
    """
    cells, backends = choose_plugins(selection.plugins, registry)
    baselines = choose_baselines(selection.plugins, registry)
    skips = {backend.name: why_not(backend) for backend in backends}
    pairs = [
        (cell, backend.name, implementation)
        for backend in backends
        for cell in cells
        for implementation in _implementations(registry, cell, backend.name, selection.implementation)
    ]
    if cells and not pairs:
        raise UsageError(_no_such_implementation(registry, cells, backends, selection.implementation))
    axes = [selection.axis(name) for name in AXES]
    _require_feasible(len(corpora) * (len(pairs) * math.prod(map(len, axes)) + len(baselines)))
    points = [dict(zip(AXES, point, strict=True)) for point in itertools.product(*axes)]
    trials = []
    for corpus in corpora:
        trials += [
            PlannedTrial(trial=_trial(selection, corpus, pair, point), skip=skips[pair[1]])
            for pair in pairs
            for point in points
        ]
        trials += [
            PlannedTrial(trial=_baseline_trial(baseline, corpus), skip=why_not(baseline)) for baseline in baselines
        ]
    # Two budgets larger than the corpus are both 'all' of it: one trial.
    unique: dict[str, PlannedTrial] = {}
    for planned in trials:
        unique.setdefault(_same_model(planned.trial).trial_id, planned)
    return Plan(trials=tuple(unique.values()))


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


def choose_plugins(names: Sequence[str], registry: Registry) -> tuple[list[str], list[Backend]]:
    """Sort the selected names into cells and backends, with the defaults where one kind is not named.

    Raises: PluginError for an unknown name; EnvironmentMissing where no backend was named and none can run.
    """
    cells = [name for name in names if name in registry.cells]
    backends = [registry.backends[name] for name in names if name in registry.backends]
    baselines = choose_baselines(names, registry)
    known = registry.cells | registry.backends
    for name in names:
        if name not in known and not registry.baselines_named(name):
            families = {baseline.family: baseline for baseline in registry.baselines.values() if baseline.family}
            registry.reject_unknown(name, "cell, backend or baseline", known | registry.baselines | families)
    if baselines and not cells and not backends:
        return [], []
    if not registry.cells or not registry.backends:
        kind = "backend" if registry.cells else "cell"
        raise PluginError(f"No plugin brings a {kind}: 'harness plugins' says what is broken; reinstall rnn-harness.")
    chosen = cells or list(registry.cells), backends or [best_backend(registry)]
    for cell in chosen[0]:
        registry.reject_contested("cell", cell)
    for backend in chosen[1]:
        registry.reject_contested("backend", backend.name)
    return chosen


def choose_baselines(names: Sequence[str], registry: Registry) -> list[Baseline]:
    """Return the baselines selected, by their own names or their family's, each once."""
    chosen = {baseline.name: baseline for name in names for baseline in registry.baselines_named(name)}
    for name in chosen:
        registry.reject_contested("baseline", name)
    return list(chosen.values())


def best_backend(registry: Registry) -> Backend:
    """Return the backend with the largest preference among those that can run here, on a GPU where there is one.

    Raises: EnvironmentMissing.
    """
    has_gpu = bool(find_gpus())
    by_preference = sorted(registry.backends.values(), key=lambda b: (not (has_gpu and b.uses_gpus), -b.preference))
    reasons = [why_not(backend) for backend in by_preference]
    for backend, reason in zip(by_preference, reasons, strict=True):
        if not reason:
            return backend
    raise EnvironmentMissing(f"No backend can run here. {' '.join(reasons)}")


def _implementations(registry: Registry, cell: str, backend: str, wanted: str) -> list[str]:
    names = registry.implementation_names(cell, backend)
    if wanted == "all":
        return names
    if wanted == "auto":
        return names[:1]
    return [name for name in names if name == wanted]


def _no_such_implementation(registry: Registry, cells: list[str], backends: list[Backend], wanted: str) -> str:
    names = sorted({n for cell in cells for b in backends for n in registry.implementation_names(cell, b.name)})
    return (
        f"No selected cell has an implementation {wanted!r} on {', '.join(b.name for b in backends)}: "
        f"--implementation takes auto, all, or one of {', '.join(names or [SCRATCH])}."
    )


def _trial(
    selection: Selection, corpus: TokenisedCorpus, pair: tuple[str, str, str], point: Mapping[str, Any]
) -> Trial:
    cell, backend, implementation = pair
    settings = selection.resolved(point, cell, implementation)
    return Trial(cell=cell, backend=backend, implementation=implementation, **_of_text(corpus), **settings)


def _baseline_trial(baseline: Baseline, corpus: TokenisedCorpus) -> Trial:
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


def idle_settings(selection: Selection, plan: Plan) -> Iterator[str]:
    """Yield a sentence for each setting that was asked for and means nothing in any trial of the plan."""
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
