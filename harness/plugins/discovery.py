"""Finds plugins, as entry points and as single files, and watches over what they do while they are imported.

pluggy's own entry-point loader is not used: there one broken plugin stops the application, and of two
plugins that claim a name one is silently chosen.
"""

import contextlib
import importlib.metadata
import importlib.util
import io
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from harness.contracts import hooks
from harness.errors import PluginError
from harness.worker.module_folders import SourceLoader

LOAD_SECONDS = 10
"""A plugin that takes longer to import is broken: its module may import only light things."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a plugin comes from."""

    plugin: str
    """The entry point's name, or the file's."""
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"plugin {self.plugin!r} of {self.distribution} {self.version}".rstrip()


def installed() -> Iterator[tuple[Origin, Callable[[], ModuleType]]]:
    """Yield the entry points of all installed distributions, each with the function that imports its module.

    A distribution whose entry points can't be read has a function that says so.
    """
    # Each look at a distribution's metadata reads and parses all of it, its whole README too.
    name_and_version = cache(_name_and_version)
    entry_points, unreadable = _entry_points()
    for entry_point in sorted(entry_points):
        name, version = name_and_version(entry_point.dist)
        yield Origin(plugin=entry_point.name, distribution=name, version=version), entry_point.load
    for distribution, error in unreadable:
        name, version = name_and_version(distribution)
        yield Origin(plugin=name, distribution=name, version=version), partial(_say_unreadable, error)


def _entry_points() -> tuple[list[EntryPoint], list[tuple[Distribution, Exception]]]:
    """Return our entry points, and the distributions whose can't be read: any one's file breaks the usual way."""
    try:
        return list(importlib.metadata.entry_points(group=hooks.PROJECT)), []
    except Exception:
        entry_points: list[EntryPoint] = []
        unreadable: list[tuple[Distribution, Exception]] = []
        seen: set[str] = set()
        for distribution in importlib.metadata.distributions():
            name = _name_and_version(distribution)[0]
            if name in seen:
                continue  # another of the name lies before it on the path
            seen.add(name)
            try:
                entry_points += distribution.entry_points.select(group=hooks.PROJECT)
            except Exception as error:
                unreadable.append((distribution, error))
        return entry_points, unreadable


def _say_unreadable(error: Exception) -> NoReturn:
    raise ImportError(f"its entry_points.txt cannot be read ({type(error).__name__}: {error})")


def _name_and_version(distribution: Distribution | None) -> tuple[str, str]:
    try:
        metadata = distribution.metadata if distribution is not None else None
        name, version = (metadata["Name"], metadata["Version"]) if metadata is not None else (None, None)
    except Exception:
        name, version = None, None
    return name or _place(distribution), version or ""


def _place(distribution: Distribution | None) -> str:
    """Name a distribution without metadata by where it lies."""
    folder = getattr(distribution, "_path", None)
    return f"the distribution without metadata in {folder}" if folder else "an unknown distribution"


def single_files(folder: Path | None) -> Iterator[tuple[Origin, Callable[[], ModuleType]]]:
    """Yield the single-file plugins of a folder, as `installed` does. Raises: PluginError."""
    if folder is None:
        return
    if not folder.is_dir():
        raise PluginError(f"There is no folder {folder}: --plugins-dir takes a folder of single-file plugins.")
    for path in sorted(folder.glob("*.py")):
        if path.name.startswith("_"):
            continue
        name = path.stem
        if "." in name:
            raise PluginError(f"The plugin file {path} has no module's name, because of its dot: rename the file.")
        if _is_taken(name, path):
            raise PluginError(f"The plugin file {path} would shadow the installed module {name!r}: rename the file.")
        yield Origin(plugin=name, distribution=str(path), version=""), lambda path=path: _import_file(path)  # type: ignore[misc]


def _is_taken(name: str, path: Path) -> bool:
    """Return whether an import of this name, here or in a worker, finds another module than this file."""
    # Asked of the finders, since sys.modules holds the plugin files loaded before.
    specs = (finder.find_spec(name, None) for finder in sys.meta_path if hasattr(finder, "find_spec"))
    spec = next((spec for spec in specs if spec is not None), None)
    return spec is not None and Path(spec.origin or "").resolve() != path.resolve()


def _import_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path, loader=SourceLoader(path.stem, str(path)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # As an import does: dataclasses, and who resolves "module:attribute", look the module up there.
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[path.stem]
        raise
    return module


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Keep a plugin off the terminal, and end it with a TimeoutError where it takes too long."""
    with _silenced(), _time_limit(LOAD_SECONDS):
        yield


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    nowhere = io.TextIOWrapper(io.BufferedWriter(_Nowhere()), encoding="utf-8", errors="replace")
    with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        yield


class _Nowhere(io.RawIOBase):
    """Swallows a million lines without holding them."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        return len(data)


@contextlib.contextmanager
def _time_limit(seconds: int) -> Iterator[None]:
    # Only the main thread may take signals; a host that loads plugins elsewhere goes without the limit.
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def expire(*_: object) -> NoReturn:
        raise TimeoutError(f"it took more than {seconds} s to load")

    before = signal.signal(signal.SIGALRM, expire)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
