"""Finds the interpreter that satisfies a backend's requirements; a run never installs one."""

import importlib.metadata
import platform
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from harness.contracts.descriptors import Backend, Baseline, Executor
from harness.environments.pythons import find_python
from harness.environments.store import State, environment_of
from harness.errors import EnvironmentMissing


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """A Python that can run a backend's workers."""

    python: str
    state: State | None = None
    """What its built environment holds; None for the interpreter the harness itself runs in."""


def interpreter_for(backend: Backend) -> Interpreter:
    """Return the current interpreter where it satisfies the backend, else the backend's built environment.

    Raises: EnvironmentMissing, saying which command mends it.
    """
    if _python_fits(backend) and not unmet(backend.requirements):
        return Interpreter(python=sys.executable)
    environment = environment_of(backend, find_python(backend).minor)
    state = environment.state()
    if state is None:
        raise EnvironmentMissing(_how_to_mend(backend, environment.path))
    return Interpreter(python=str(environment.python), state=state)


def why_not(plugin: Backend | Baseline | Executor) -> str:
    """Return why a plugin can't run here, and how to mend that; or nothing.

    A backend runs in the interpreter found for it, all else in the current one.
    """
    if isinstance(plugin, Backend):
        try:
            interpreter_for(plugin)
        except EnvironmentMissing as missing_environment:
            return str(missing_environment)
        return ""
    missing = unmet(plugin.requirements)
    if not missing:
        return ""
    kind, needs = type(plugin).__name__.lower(), " and ".join(missing)
    return f"The {plugin.name} {kind} needs {needs}: {shlex.join(['pip', 'install', *missing])}"


def unmet(requirements: Sequence[str]) -> list[str]:
    """Return the requirements the current interpreter does not satisfy, without importing anything."""
    return [text for text in requirements if not _is_met(text)]


def _python_fits(backend: Backend) -> bool:
    return platform.python_version() in SpecifierSet(backend.requires_python)


def _how_to_mend(backend: Backend, path: Path) -> str:
    create = f"harness env create {backend.name}"
    if path.exists():
        return f"The environment of the {backend.name} backend is not whole: {create}"
    missing = unmet(backend.requirements)
    needs = " and ".join(missing) or f"Python {backend.requires_python}"
    if not _python_fits(backend) or any(_is_installed(text) for text in missing):
        # What is here in another version is needed by the harness itself, or by something else here.
        return f"The {backend.name} backend needs {needs}, in an environment of its own: {create}"
    return (
        f"The {backend.name} backend needs {needs}: {shlex.join(['pip', 'install', *missing])}, "
        f"or in an environment of its own: {create}"
    )


@lru_cache(maxsize=256)
def _is_met(text: str) -> bool:
    requirement = Requirement(text)
    if requirement.marker is not None and not requirement.marker.evaluate():
        return True
    version = _version(requirement.name)
    return version is not None and requirement.specifier.contains(version, prereleases=True)


def _is_installed(text: str) -> bool:
    return _version(Requirement(text).name) is not None


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
