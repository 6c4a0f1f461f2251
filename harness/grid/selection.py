"""What was asked for: an axis of values for each setting, the texts, and what is different for some trials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.contracts.network import Structure
from harness.contracts.settings import Setting, rows
from harness.contracts.training import Training
from harness.errors import UsageError, did_you_mean
from harness.grid import parsing
from harness.grid.tuning import FINAL_SEEDS, TUNING_OPTIONS, Tuning, check
from harness.texts.selection import TextSelection
from harness.worker.trial import DEFAULTS, SETTINGS

_SET = {**rows(Structure), **rows(Training)}
AXES: Mapping[str, Setting] = {
    name: row
    for name, row in sorted(SETTINGS.items(), key=lambda item: item[0] == "seed")
    if name in _SET and row.option
}
"""The settings a grid spans, the outermost first."""
TEXT_OPTIONS: Mapping[str, Setting] = rows(TextSelection)
OVERRIDABLE: Mapping[str, Setting] = {name: AXES[name] for name in AXES if name not in ("num_layers", "seed")}
"""What an override may set: the depth says which trials are meant, and seeds are common to all."""


@dataclass(frozen=True, kw_only=True)
class Override:
    """Other settings for the trials of some cells, depths or implementations; empty is every one."""

    cells: tuple[str, ...] = ()
    layers: tuple[int, ...] = ()
    implementations: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    """By the name of a trial's field."""

    def applies(self, cell: str, num_layers: int, implementation: str) -> bool:
        """Return whether a trial is among those meant."""
        wanted = ((self.cells, cell), (self.layers, num_layers), (self.implementations, implementation))
        return all(not names or name in names for names, name in wanted)


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What the user asked for, axis by axis; the grid is their product."""

    plugins: tuple[str, ...] = ()
    """Cells, backends and baselines alike; no cell means all, no backend means the best installed; a baseline
    runs only where it is named, and alone where nothing else is."""
    implementation: str = "auto"
    """'auto' (the backend's own where it has one, else scratch), 'all', or a name."""
    settings: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Values by the name of a trial's field; what is not there is the setting's default."""
    overrides: tuple[Override, ...] = ()
    """What is different for some of the trials; of several, the last that applies."""
    tuning: Tuning = field(default_factory=Tuning)
    """What is searched for each model rather than given."""

    def axis(self, name: str) -> tuple[Any, ...]:
        """Return a setting's values; None is one that follows from the others."""
        default = None if AXES[name].derived else DEFAULTS[name]
        return self.settings.get(name) or (default,)

    @property
    def final_seeds(self) -> tuple[int, ...]:
        """Return the seeds of what searches find."""
        return self.settings.get("seed") or FINAL_SEEDS

    def resolved(
        self, settings: Mapping[str, Any], cell: str, implementation: str, tuned: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the settings of one point of the grid for a cell and an implementation, overrides put in.

        What is tuned has the values of ``tuned``, whatever else is asked. A setting that means nothing beside the
        others is its default: it makes no trials.
        """
        point = dict(settings)
        for override in self.overrides:
            if override.applies(cell, point["num_layers"], implementation):
                point |= override.settings
        point |= tuned or {}
        for name, derived in _DERIVED.items():
            if point[name] is None:
                point[name] = derived(point)
        return point | {name: DEFAULTS[name] for name, applies in _CONDITIONAL.items() if not applies(point)}


_DERIVED = {name: row.derived for name, row in AXES.items() if row.derived}
_CONDITIONAL = {name: row.applies for name, row in AXES.items() if row.applies}


_OPTIONS = {
    row.option.removeprefix("--"): (name, row) for name, row in {**AXES, **TEXT_OPTIONS, **TUNING_OPTIONS}.items()
}


def select(options: Mapping[str, Any], asker: str = "The selection") -> tuple[Selection, TextSelection]:
    """Read options of `harness run` by their names without dashes, as an experiment's file holds them.

    So ``{"plugins": "lstm,numpy", "layers": [1, 2], "train-tokens": ["100k"]}`` is the command line
    ``--plugins lstm,numpy --layers 1,2 --train-tokens 100k``. Of a list under ``seeds`` each is a seed; ``seed`` is
    one. A message says that ``asker`` asks.

    Raises: UsageError for what the command line would not take either.
    """
    return of_values(dict(_read(option, value, asker) for option, value in options.items()))


def _read(option: str, value: Any, asker: str) -> tuple[str, Any]:
    """Return an option's field and its values."""
    text = parsing.typed(value)
    if option == "plugins":
        return option, parsing.names(text, "--plugins")
    if option == "implementation":
        return option, parsing.word(text, "--implementation")
    if option == "seed" or (option == "seeds" and isinstance(value, (list, tuple))):
        return "seed", parsing.seeds(text, f"--{option}", are_listed=True)
    if option not in _OPTIONS:
        raise UsageError(f"{asker} asks for an option {option!r}.{did_you_mean(option, _OPTIONS)}")
    name, row = _OPTIONS[option]
    return name, parsing.value(row, text)


def of_values(values: Mapping[str, Any], overrides: Sequence[Override] = ()) -> tuple[Selection, TextSelection]:
    """Part values that have been read, by the names of their fields, into the grid's and the texts'."""
    parts = (("plugins", "implementation"), AXES, (*TEXT_OPTIONS, "corpora_dir"), TUNING_OPTIONS)
    which, settings, texts, tuning = ({name: values[name] for name in part if name in values} for part in parts)
    given = {name: value for name, value in tuning.items() if value is not None}
    selection = Selection(**which, settings=settings, overrides=tuple(overrides), tuning=Tuning(**given))
    check(selection.tuning, settings)
    return selection, TextSelection(**texts)
