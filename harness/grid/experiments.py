"""Experiments as files: the options of a run by their names, and what is different for some of its trials.

A preset is such a file that comes with the harness; the manifest of every run holds one, so it can be run again.
"""

import json
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.contracts.descriptors import SCRATCH
from harness.errors import UsageError, did_you_mean
from harness.grid import parsing
from harness.grid.selection import OVERRIDABLE, Override

if TYPE_CHECKING:
    from harness.plugins.registry import Registry

FIGURES = ("valid_perplexity", "train_perplexity", "valid_minibatch_perplexity")
_KEYS = ("title", "source", "figure", "run", "override")
_MOST_BYTES = 1 << 26
_WHICH = {"cells": str, "layers": int, "implementation": str}
"""Keys of an override that say which trials are meant, and of what their lists are."""
_SETTINGS = {row.option.removeprefix("--"): name for name, row in OVERRIDABLE.items()}
"""Its other keys, options of the command line, and the fields they set."""


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What an experiment's file says."""

    title: str = ""
    source: str = ""
    figure: str = "valid_perplexity"
    """The figure its source reports, one of `FIGURES`."""
    options: Mapping[str, Any]
    """Values by the name of the option of `harness run`, without its dashes."""
    overrides: tuple[Override, ...] = ()

    def without(self, names: Collection[str]) -> "Experiment":
        """Return the experiment whose overrides leave these settings to the command line."""
        overrides = (
            replace(override, settings={name: value for name, value in override.settings.items() if name not in names})
            for override in self.overrides
        )
        return replace(self, overrides=tuple(overrides))

    def as_dict(self) -> dict[str, Any]:
        """Return what `read` reads, for the manifest."""
        about = {"title": self.title, "source": self.source, "figure": self.figure}
        return {
            **{name: value for name, value in about.items() if value},
            "run": dict(self.options),
            "override": [_override_dict(override) for override in self.overrides if override.settings],
        }


def preset_names() -> list[str]:
    """Return the names of the presets."""
    names = (path.name for path in files("harness.grid.presets").iterdir())
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def preset_text(name: str) -> str:
    """Return a preset's file. Raises: UsageError for an unknown name."""
    names = preset_names()
    if name not in names:
        raise UsageError(f"There is no preset {name!r}.{did_you_mean(name, names)}")
    return files("harness.grid.presets").joinpath(f"{name}.toml").read_text(encoding="utf-8")


def preset(name: str) -> Experiment:
    """Return a preset. Raises: UsageError for an unknown name."""
    return _parse(tomllib.loads(preset_text(name)), f"The preset {name}")


def read(path: Path) -> Experiment:
    """Return the experiment of a TOML file or of a run's manifest. Raises: UsageError."""
    try:
        _require_short(path)
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        hint = f" A preset is named by --preset {path}." if str(path) in preset_names() else ""
        cause = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UsageError(
            f"The experiment {path} cannot be read ({cause}): name a TOML file, or a run's manifest.json.{hint}"
        ) from None
    try:
        values: Any = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        cause = "its brackets are nested too deeply" if isinstance(error, RecursionError) else error
        raise UsageError(f"The experiment {path} cannot be read: {cause}.") from None
    if path.suffix == ".json":
        values = values.get("experiment") if isinstance(values, dict) else None
        if values is None:
            raise UsageError(
                f"{path} holds no experiment: give a manifest.json that this version of the harness wrote."
            )
    return _parse(values, str(path))


def _require_short(path: Path) -> None:
    """Raise for a file that is no experiment by its size alone, before it fills the memory. Raises: OSError too."""
    if path.stat().st_size > _MOST_BYTES:
        raise UsageError(f"The experiment {path} has more than {_MOST_BYTES:,} bytes: name a TOML file, or a manifest.")


def check_names(overrides: Iterable[Override], registry: "Registry") -> None:
    """Raise a UsageError for a cell or implementation nobody brings: its override would never apply."""
    implementations = {SCRATCH, *(name for pair in registry.implementations.values() for name in pair)}
    for override in overrides:
        for kind, names, known in (
            ("cell", override.cells, sorted(registry.cells)),
            ("implementation", override.implementations, sorted(implementations)),
        ):
            for name in names:
                if name not in known:
                    raise UsageError(f"[[override]]: there is no {kind} {name!r}.{did_you_mean(name, known)}")


def _parse(values: Any, name: str) -> Experiment:
    if not isinstance(values, dict) or not isinstance(values.get("run"), dict):
        raise UsageError(f"{name} has no table [run]: it holds the options of 'harness run', as in layers = [1, 2].")
    _reject_unknown(values, _KEYS, name)
    figure = values.get("figure", "valid_perplexity")
    if figure not in FIGURES:
        raise UsageError(f"{name}: there is no figure {figure!r}.{did_you_mean(str(figure), FIGURES)}")
    overrides = values.get("override", [])
    if not _is_list(overrides, dict):
        raise UsageError(f"{name}: write each override as a table [[override]].")
    return Experiment(
        title=str(values.get("title", "")),
        source=str(values.get("source", "")),
        figure=figure,
        options=values["run"],
        overrides=tuple(_override(override, name) for override in overrides),
    )


def _override(values: dict[str, Any], name: str) -> Override:
    table = f"{name}, [[override]]"
    _reject_unknown(values, [*_WHICH, *_SETTINGS], table)
    for key, kind in _WHICH.items():
        if not _is_list(values.get(key, []), kind):
            raise UsageError(f"{table}: {key} = {values[key]!r} cannot be used; give a list.")
    return Override(
        cells=tuple(values.get("cells", ())),
        layers=tuple(values.get("layers", ())),
        implementations=tuple(values.get("implementation", ())),
        settings={_SETTINGS[key]: _one_value(key, value, table) for key, value in values.items() if key not in _WHICH},
    )


def _one_value(key: str, value: Any, table: str) -> Any:
    """Read an override's value as the command line reads the option's."""
    values: tuple[Any, ...] = (
        () if isinstance(value, bool) else parsing.value(OVERRIDABLE[_SETTINGS[key]], str(value), f"{table}: {key}")
    )
    if len(values) != 1:
        raise UsageError(f"{table}: {key} = {value!r} cannot be used; give one value.")
    return values[0]


def _override_dict(override: Override) -> dict[str, Any]:
    which = {"cells": override.cells, "layers": override.layers, "implementation": override.implementations}
    options = {OVERRIDABLE[name].option.removeprefix("--"): value for name, value in override.settings.items()}
    return {key: list(names) for key, names in which.items() if names} | options


def _reject_unknown(values: Mapping[str, Any], known: Iterable[str], name: str) -> None:
    known = list(known)
    for key in values:
        if key not in known:
            raise UsageError(f"{name} has a key {key!r} that means nothing.{did_you_mean(key, known)}")


def _is_list(value: Any, kind: type) -> bool:
    return isinstance(value, list) and all(isinstance(item, kind) and not isinstance(item, bool) for item in value)
