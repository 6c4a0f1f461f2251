"""What `harness plugins` lists: everything announced, whether it can run here, and if not what mends it."""

import importlib.util
import platform
import sys
from collections.abc import Mapping

from rich.markup import escape
from rich.table import Table

from harness.contracts.descriptors import Backend, Baseline, Corpus, Executor, Exercise
from harness.environments import interpreter_for, why_not
from harness.errors import EnvironmentMissing
from harness.plugins.discovery import Origin
from harness.plugins.registry import Registry

TITLES_WIDTH = 120


def table(registry: Registry, *, width: int) -> Table:
    """Return one row for everything that plugins announce, and for each broken plugin.

    A terminal narrower than `TITLES_WIDTH` gets no titles.
    """
    listing = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("kind", "name", "title", "distribution", "can run here"):
        if heading != "title" or width >= TITLES_WIDTH:
            listing.add_column(heading, no_wrap=heading in ("kind", "name"), overflow="fold")
    for kind, name, title, distribution, state in _rows(registry):
        titles = [title] if width >= TITLES_WIDTH else []
        listing.add_row(kind, *map(escape, (name, *titles, distribution, state)))
    return listing


def _rows(registry: Registry) -> list[tuple[str, str, str, str, str]]:
    """Return kind, name, title, distribution with its version, and whether it can run."""
    rows = [
        *_cells(registry),
        *_backends(registry),
        *_implementations(registry),
        *_run_here("baseline", registry.baselines),
        *_corpora(registry),
        *_exercises(registry),
        *_run_here("executor", registry.executors),
    ]
    sound = [
        (kind, name, title, _distribution(registry.origins[kind, name]), state) for kind, name, title, state in rows
    ]
    broken = [
        (
            "broken",
            plugin.origin.plugin,
            "",
            _distribution(plugin.origin),
            f"no: {plugin.cause}; {_mending(plugin.origin)}",
        )
        for plugin in registry.broken
    ]
    return sound + broken


def environments(registry: Registry) -> Table:
    """Return one row for each backend: its interpreter and what it holds, or what makes it one."""
    listing = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("backend", "python", "interpreter"):
        listing.add_column(heading, no_wrap=heading != "interpreter", overflow="fold")
    for backend in registry.backends.values():
        try:
            interpreter = interpreter_for(backend)
        except EnvironmentMissing as missing:
            listing.add_row(escape(backend.name), "", escape(str(missing)))
            continue
        version = platform.python_version() if interpreter.state is None else interpreter.state.lock.python
        place = "the harness's own" if interpreter.state is None else interpreter.python
        listing.add_row(escape(backend.name), version, escape(place))
    return listing


def _mending(origin: Origin) -> str:
    if not origin.version:
        return "mend the file"
    return f"pip install --upgrade {origin.distribution}, or pip uninstall {origin.distribution}"


def _cells(registry: Registry) -> list[tuple[str, str, str, str]]:
    return [("cell", cell.name, cell.title, "yes, on every backend") for cell in registry.cells.values()]


def _backends(registry: Registry) -> list[tuple[str, str, str, str]]:
    return [("backend", name, backend.title, _state(backend)) for name, backend in registry.backends.items()]


def _implementations(registry: Registry) -> list[tuple[str, str, str, str]]:
    return [
        ("implementation", f"{cell}/{backend}/{name}", "", f"with the {backend} backend")
        for (cell, backend), implementations in registry.implementations.items()
        for name in implementations
    ]


def _run_here(kind: str, plugins: Mapping[str, Baseline | Executor]) -> list[tuple[str, str, str, str]]:
    """Return the rows of plugins that run in the harness's own interpreter."""
    return [(kind, name, plugin.title, _state(plugin)) for name, plugin in plugins.items()]


def _state(plugin: Backend | Baseline | Executor) -> str:
    missing = why_not(plugin)
    return f"no: {missing}" if missing else "yes"


def _corpora(registry: Registry) -> list[tuple[str, str, str, str]]:
    return [("corpus", corpus.name, _corpus_title(corpus), _reach(corpus)) for corpus in registry.corpora.values()]


def _exercises(registry: Registry) -> list[tuple[str, str, str, str]]:
    return [("exercise", name, exercise.question, _asked(exercise)) for name, exercise in registry.exercises.items()]


def _asked(exercise: Exercise) -> str:
    """Say whether an exercise's module is there, without importing it."""
    module = exercise.target.partition(":")[0]
    try:
        is_found = module in sys.modules or importlib.util.find_spec(module) is not None
    except Exception:  # the package around it is imported for that, and may do anything
        is_found = False
    return f"yes: harness exercises {exercise.name}" if is_found else f"no: there is no module {module!r}"


def _corpus_title(corpus: Corpus) -> str:
    size = f" ({corpus.size})" if corpus.size else ""
    parameters = f"; {corpus.name}:{','.join(corpus.parameters)}" if corpus.parameters else ""
    return f"{corpus.title}{size}{parameters}"


def _reach(corpus: Corpus) -> str:
    return "after a download, or from --corpora-dir" if corpus.downloaded else "yes"


def _distribution(origin: Origin) -> str:
    return f"{origin.distribution} {origin.version}".rstrip()
