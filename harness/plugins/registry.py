"""Loads plugins guardedly, validates what they announce, and looks it up by name."""

import contextlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn, TypeVar

import pluggy

import harness
from harness.contracts import hooks
from harness.contracts.descriptors import SCRATCH, Backend, Baseline, Cell, Corpus, Executor, Exercise, Implementation
from harness.contracts.visible import one_line
from harness.errors import PluginError, did_you_mean
from harness.plugins.discovery import Origin, installed, single_files, watched
from harness.plugins.validation import require_descriptor

_HOOKS: dict[str, type] = {
    "harness_cells": Cell,
    "harness_backends": Backend,
    "harness_implementations": Implementation,
    "harness_baselines": Baseline,
    "harness_corpora": Corpus,
    "harness_exercises": Exercise,
    "harness_executors": Executor,
}
_SELECTED = ("cell", "backend", "baseline")
"""The kinds --plugins selects."""
Named = TypeVar("Named", Cell, Backend, Corpus, Executor, Exercise)


@dataclass(frozen=True, kw_only=True)
class BrokenPlugin:
    """A plugin that could not be loaded; it stops nothing unless it is selected."""

    origin: Origin
    cause: str

    def __str__(self) -> str:
        return f"{self.origin} is broken ({self.cause})"


@dataclass
class Registry:
    """Everything the loaded plugins announced, by name."""

    cells: dict[str, Cell] = field(default_factory=dict)
    backends: dict[str, Backend] = field(default_factory=dict)
    baselines: dict[str, Baseline] = field(default_factory=dict)
    corpora: dict[str, Corpus] = field(default_factory=dict)
    exercises: dict[str, Exercise] = field(default_factory=dict)
    """Chapter by chapter, each in its own order."""
    executors: dict[str, Executor] = field(default_factory=dict)
    implementations: dict[tuple[str, str], dict[str, Implementation]] = field(default_factory=dict)
    """By (cell, backend), then by the implementation's name; scratch is always there and not listed."""
    broken: list[BrokenPlugin] = field(default_factory=list)
    origins: dict[tuple[str, str], Origin] = field(default_factory=dict)
    """By (kind, name)."""
    contested: dict[tuple[str, str], str] = field(default_factory=dict)
    """By (kind, name), the sentence about the two plugins that both bring it: nobody's choice is made for him."""
    module_paths: tuple[str, ...] = ()
    """Folders of single-file plugins, for the workers."""

    def cell(self, name: str) -> Cell:
        """Return the cell of this name. Raises: PluginError."""
        return self._named(self.cells, "cell", name)

    def backend(self, name: str) -> Backend:
        """Return the backend of this name. Raises: PluginError."""
        return self._named(self.backends, "backend", name)

    def executor(self, name: str) -> Executor:
        """Return the executor of this name. Raises: PluginError."""
        return self._named(self.executors, "executor", name)

    def baselines_named(self, name: str) -> list[Baseline]:
        """Return the baseline of this name, or all of the family of this name; none where there is neither."""
        if name in self.baselines:
            return [self.baselines[name]]
        return [baseline for baseline in self.baselines.values() if baseline.family == name]

    def exercises_named(self, names: Sequence[str]) -> list[Exercise]:
        """Return the exercises of these names, each once, or all where none is named. Raises: PluginError."""
        chosen = [self._named(self.exercises, "exercise", name) for name in dict.fromkeys(names)]
        return chosen or list(self.exercises.values())

    def implementation_names(self, cell: str, backend: str) -> list[str]:
        """Return the pair's implementations, the preferred one first, scratch last."""
        own = self.implementations.get((cell, backend), {})
        return [*sorted(own, key=lambda name: -own[name].preference), SCRATCH]

    def implementation_target(self, cell: str, backend: str, name: str) -> str | None:
        """Return what builds the implementation; None for scratch. Raises: PluginError."""
        if name == SCRATCH:
            return None
        self.reject_contested("implementation", f"{cell}/{backend}/{name}")
        known = self.implementations.get((cell, backend), {})
        if name not in known:
            hint = did_you_mean(name, self.implementation_names(cell, backend))
            raise PluginError(f"No plugin brings an implementation {name!r} of {cell} on {backend}.{hint}")
        return known[name].target

    def targets(self) -> list[str]:
        """Return every module a worker may import: those of backends, implementations and cells."""
        implementations = [one for pair in self.implementations.values() for one in pair.values()]
        return [
            *(backend.target for backend in self.backends.values()),
            *(implementation.target for implementation in implementations),
            *(cell.equations for cell in self.cells.values()),
        ]

    def reject_contested(self, kind: str, name: str) -> None:
        """Raise a PluginError where two plugins bring the name."""
        if (kind, name) in self.contested:
            raise PluginError(self.contested[kind, name])

    def reject_unknown(self, name: str, kinds: str, known: Mapping[str, Any]) -> NoReturn:
        """Raise a PluginError for a name nobody announced, naming a broken plugin that may have meant to."""
        self.reject_broken(name)
        hint = did_you_mean(name, known)
        for broken in self.broken:
            hint += f" Note that {broken}."
        raise PluginError(f"There is no {kinds} {name!r}.{hint} 'harness plugins' lists what is there.")

    def reject_broken(self, name: str) -> None:
        """Raise a PluginError where a broken plugin bears the name."""
        for broken in self.broken:
            if name in (broken.origin.plugin, broken.origin.plugin.rpartition("_")[2]):
                raise PluginError(f"{name!r} cannot be used: {broken}. Mend it, or leave it out.")

    def _named(self, known: dict[str, Named], kind: str, name: str) -> Named:
        if name not in known:
            self.reject_unknown(name, kind, known)
        self.reject_contested(kind, name)
        return known[name]


def load(plugins_dir: Path | None = None) -> Registry:
    """Load the plugins of all installed distributions, and of a folder of single files where one is named.

    What is wrong with one of them is that plugin's alone: it is listed as broken, and stops nothing that goes without.
    Raises: PluginError where the folder is missing or has a file that shadows a module.
    """
    registry = Registry()
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    origins: dict[str, Origin] = {}
    for origin, import_module in [*installed(), *single_files(plugins_dir)]:
        # Keyed by distribution too: two distributions may use one entry-point name.
        key = f"{origin.distribution}:{origin.plugin}"
        with _guarded(registry, origin):
            module = import_module()
            if manager.is_registered(module):
                continue
            _register(manager, module, key)
            origins[key] = origin
    _collect(registry, manager, origins)
    _leave_out_unknown_pairs(registry)
    ordered = sorted(registry.exercises.values(), key=lambda exercise: (exercise.chapter, exercise.position))
    registry.exercises = {exercise.name: exercise for exercise in ordered}
    if plugins_dir is not None:
        registry.module_paths = (str(plugins_dir.absolute()),)
    return registry


def _register(manager: pluggy.PluginManager, module: ModuleType, key: str) -> None:
    for name in vars(module):
        if name not in _HOOKS and manager.parse_hookimpl_opts(module, name) is not None:
            raise TypeError(
                f"its hook {name!r} is none of rnn-harness {harness.__version__}: mend its name, or upgrade "
                f"rnn-harness where the plugin is for a later version.{did_you_mean(name, _HOOKS)}"
            )
    for name in _HOOKS:
        hook = getattr(module, name, None)
        if not callable(hook):
            continue
        if manager.parse_hookimpl_opts(module, name) is None:
            raise TypeError(f"{name} is not marked: write @hookimpl above it")
        if inspect.signature(hook).parameters:
            raise TypeError(f"{name} takes arguments, and this hook has none")
    manager.register(module, name=key)


@contextlib.contextmanager
def _guarded(registry: Registry, origin: Origin) -> Iterator[None]:
    """Turn whatever a plugin does while it is loaded into a `BrokenPlugin`, and keep it off the terminal."""
    try:
        with watched():
            yield
    except KeyboardInterrupt:
        raise
    except SystemExit as error:
        registry.broken.append(BrokenPlugin(origin=origin, cause=f"it called sys.exit({error.code!r}) while loading"))
    except BaseException as error:
        registry.broken.append(BrokenPlugin(origin=origin, cause=_cause(error)))


def _cause(error: BaseException) -> str:
    return one_line(f"{type(error).__name__}: {error}").removesuffix(":")


def _collect(registry: Registry, manager: pluggy.PluginManager, origins: Mapping[str, Origin]) -> None:
    for key, origin in origins.items():
        announced: list[Any] = []
        # Plugin by plugin, so that one plugin's exception is that plugin's, and a broken one brings nothing.
        with _guarded(registry, origin):
            announced = list(_announced(manager, key))
        for descriptor in announced:
            try:
                _add(registry, descriptor, origin)
            except PluginError as error:
                registry.broken.append(BrokenPlugin(origin=origin, cause=str(error)))


def _announced(manager: pluggy.PluginManager, key: str) -> Iterator[Any]:
    for hook_name, kind in _HOOKS.items():
        for implementation in getattr(manager.hook, hook_name).get_hookimpls():
            if implementation.plugin_name == key:
                for descriptor in implementation.function():
                    require_descriptor(descriptor, kind, hook_name)
                    yield descriptor


def _add(registry: Registry, descriptor: Any, origin: Origin) -> None:
    if isinstance(descriptor, Implementation):
        pair = registry.implementations.setdefault((descriptor.cell, descriptor.backend), {})
        label = f"{descriptor.cell}/{descriptor.backend}/{descriptor.name}"
        _require_unclaimed(registry, "implementation", label, origin, taken=descriptor.name in (*pair, SCRATCH))
        pair[descriptor.name] = descriptor
        registry.origins["implementation", label] = origin
        return
    tables: dict[type, dict[str, Any]] = {
        Cell: registry.cells,
        Backend: registry.backends,
        Baseline: registry.baselines,
        Corpus: registry.corpora,
        Exercise: registry.exercises,
        Executor: registry.executors,
    }
    descriptor_kind = next(kind for kind in tables if isinstance(descriptor, kind))
    kind, table = descriptor_kind.__name__.lower(), tables[descriptor_kind]
    _require_unclaimed(registry, kind, descriptor.name, origin, taken=descriptor.name in table)
    # --plugins takes names of cells, backends and baselines alike, so they share one name space.
    for other in _SELECTED:
        if kind in _SELECTED and kind != other:
            _require_unclaimed(
                registry, other, descriptor.name, origin, taken=(other, descriptor.name) in registry.origins
            )
    table[descriptor.name] = descriptor
    registry.origins[kind, descriptor.name] = origin


def _require_unclaimed(registry: Registry, kind: str, name: str, origin: Origin, *, taken: bool) -> None:
    if taken:
        first = registry.origins.get((kind, name), "the harness itself")
        problem = f"Two plugins bring the {kind} {name!r}: {first}, and {origin}. Uninstall or rename one of them."
        if first == origin:
            problem = f"The {origin} brings the {kind} {name!r} twice: rename one of the two."
        registry.contested[kind, name] = problem
        raise PluginError(problem)


def _leave_out_unknown_pairs(registry: Registry) -> None:
    """Leave out implementations of what is not here; where a broken plugin may bring it, that one is reported."""
    for (cell, backend), implementations in list(registry.implementations.items()):
        halves = (("cell", cell, registry.cells), ("backend", backend, registry.backends))
        unknown = [half for half in halves if half[1] not in half[2]]
        if not unknown:
            continue
        del registry.implementations[cell, backend]
        kind, name, known = unknown[0]
        for implementation in implementations:
            label = f"{cell}/{backend}/{implementation}"
            cause = (
                f"it brings an implementation {label!r}, but no plugin brings the {kind} {name!r}."
                f"{did_you_mean(name, known)}"
            )
            registry.broken.append(BrokenPlugin(origin=registry.origins["implementation", label], cause=cause))
