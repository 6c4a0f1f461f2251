"""Loads plugins guardedly, validates what they announce, and looks it up by name."""

import contextlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn, TypeVar, get_origin, get_type_hints

import pluggy
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from harness.contracts import hooks
from harness.contracts.descriptors import SCRATCH, Backend, Baseline, Cell, Corpus, Executor, Exercise, Implementation
from harness.contracts.visible import one_line
from harness.errors import PluginError, did_you_mean
from harness.plugins.discovery import Origin, installed, single_files, watched

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

    def reject_unknown(self, name: str, kinds: str, known: Mapping[str, Any]) -> NoReturn:
        """Raise a PluginError for a name nobody announced, naming a broken plugin that may have meant to."""
        self.reject_broken(name)
        hint = did_you_mean(name, known)
        for broken in self.broken:
            hint += f" Note that {broken.origin} is broken ({broken.cause})."
        raise PluginError(f"There is no {kinds} {name!r}.{hint} 'harness plugins' lists what is there.")

    def reject_broken(self, name: str) -> None:
        """Raise a PluginError where a broken plugin bears the name."""
        for broken in self.broken:
            if name in (broken.origin.plugin, broken.origin.plugin.rpartition("_")[2]):
                raise PluginError(
                    f"{name!r} cannot be used: {broken.origin} is broken ({broken.cause}). Mend it, or leave it out."
                )

    def _named(self, known: dict[str, Named], kind: str, name: str) -> Named:
        if name not in known:
            self.reject_unknown(name, kind, known)
        return known[name]


def load(plugins_dir: Path | None = None) -> Registry:
    """Load the plugins of all installed distributions, and of a folder of single files where one is named.

    Raises: PluginError where two plugins claim a name, a hook is misspelt, an implementation names an
    unknown pair, or the folder is missing or has a file that shadows a module.
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
    _require_known_hooks(manager, origins)
    _collect(registry, manager, origins)
    _require_known_pairs(registry)
    ordered = sorted(registry.exercises.values(), key=lambda exercise: (exercise.chapter, exercise.position))
    registry.exercises = {exercise.name: exercise for exercise in ordered}
    if plugins_dir is not None:
        registry.module_paths = (str(plugins_dir.absolute()),)
    return registry


def _register(manager: pluggy.PluginManager, module: ModuleType, key: str) -> None:
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


def _require_known_hooks(manager: pluggy.PluginManager, origins: Mapping[str, Origin]) -> None:
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        name = next((key for key, origin in origins.items() if manager.get_plugin(key) is error.plugin), "")
        hook = str(error).partition("unknown hook ")[2].partition(" ")[0].strip("'\"")
        raise PluginError(
            f"The {origins.get(name, name)} implements a hook {hook!r}, which this harness does not know."
            f"{did_you_mean(hook, _HOOKS)} Mend or uninstall it."
        ) from None


def _collect(registry: Registry, manager: pluggy.PluginManager, origins: Mapping[str, Origin]) -> None:
    for key, origin in origins.items():
        announced: list[Any] = []
        # Plugin by plugin, so that one plugin's exception is that plugin's, and a broken one brings nothing.
        with _guarded(registry, origin):
            announced = list(_announced(manager, key))
        for descriptor in announced:
            _add(registry, descriptor, origin)


def _announced(manager: pluggy.PluginManager, key: str) -> Iterator[Any]:
    for hook_name, kind in _HOOKS.items():
        for implementation in getattr(manager.hook, hook_name).get_hookimpls():
            if implementation.plugin_name == key:
                for descriptor in implementation.function():
                    _require_descriptor(descriptor, kind, hook_name)
                    yield descriptor


def _require_descriptor(descriptor: object, kind: type, hook_name: str) -> None:
    if not isinstance(descriptor, kind):
        raise TypeError(f"{hook_name} returned {descriptor!r:.80}, which is not a {kind.__name__}")
    for field_name, hint in get_type_hints(kind).items():
        value = getattr(descriptor, field_name)
        if not _fits(value, hint):
            raise TypeError(f"{kind.__name__}({field_name}={value!r:.80}): that is not {_words(hint)}")
    if isinstance(descriptor, (Backend, Baseline, Executor)):
        gpu_requirements = descriptor.gpu_requirements if isinstance(descriptor, Backend) else ()
        for requirement in (*descriptor.requirements, *gpu_requirements):
            Requirement(requirement)
    if isinstance(descriptor, Backend):
        SpecifierSet(descriptor.requires_python)
    name = getattr(descriptor, "name", "")
    if not name or any(c.isspace() or c in ",/\\" for c in name):
        raise ValueError(f"{kind.__name__} name {name!r} is empty, or has white space, a comma or a slash")


def _fits(value: object, hint: Any) -> bool:
    if get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(isinstance(part, str) for part in value)
    return isinstance(value, hint)


def _words(hint: Any) -> str:
    return "a tuple of str" if get_origin(hint) is tuple else f"of type {hint.__name__}"


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
        if first == origin:
            raise PluginError(f"The {origin} brings the {kind} {name!r} twice: rename one of the two.")
        raise PluginError(
            f"Two plugins bring the {kind} {name!r}: {first}, and {origin}. Uninstall or rename one of them."
        )


def _require_known_pairs(registry: Registry) -> None:
    for (cell, backend), implementations in registry.implementations.items():
        for kind, name, known in (("cell", cell, registry.cells), ("backend", backend, registry.backends)):
            if name in known or registry.broken:
                # A broken plugin may be the one that brings the missing half; it is reported as such.
                continue
            implementation = next(iter(implementations.values()))
            label = f"{cell}/{backend}/{implementation.name}"
            raise PluginError(
                f"The {registry.origins['implementation', label]} brings an implementation {label!r}, but no plugin "
                f"brings the {kind} {name!r}.{did_you_mean(name, known)}"
            )
