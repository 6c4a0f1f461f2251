"""Finds the interpreter that satisfies a backend's requirements; a run never installs one."""

import importlib.metadata
import platform
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from harness.descriptors import Backend
from harness.errors import EnvironmentMissing


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """A Python that can run a backend's workers."""

    python: str


def interpreter_for(backend: Backend) -> Interpreter:
    """Return the interpreter for a backend's workers.

    Raises: EnvironmentMissing, saying which command mends it.
    """
    if backend.requires_python and platform.python_version() not in SpecifierSet(backend.requires_python):
        raise EnvironmentMissing(
            f"The {backend.name} backend needs Python {backend.requires_python}, and this is "
            f"{platform.python_version()}: install the harness in an environment of such a Python."
        )
    missing = unmet(backend.requirements)
    if missing:
        command = shlex.join(["pip", "install", *missing])
        raise EnvironmentMissing(f"The {backend.name} backend needs {' and '.join(missing)}: {command}")
    return Interpreter(python=sys.executable)


def unmet(requirements: Sequence[str]) -> list[str]:
    """Return the requirements the current interpreter does not satisfy, without importing anything."""
    return [text for text in requirements if not _is_met(text)]


@lru_cache(maxsize=256)
def _is_met(text: str) -> bool:
    requirement = Requirement(text)
    if requirement.marker is not None and not requirement.marker.evaluate():
        return True
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return requirement.specifier.contains(version, prereleases=True)
