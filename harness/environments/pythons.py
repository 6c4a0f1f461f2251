"""Finds an interpreter of the Python a backend asks for."""

import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from packaging.specifiers import SpecifierSet

from harness.contracts.descriptors import Backend
from harness.errors import EnvironmentMissing

_MINORS = range(14, 8, -1)


@dataclass(frozen=True)
class Python:
    """An interpreter on this machine."""

    path: Path
    minor: str
    """'3.11'."""


def find_python(backend: Backend) -> Python:
    """Return this interpreter where it fits, else the newest fitting one on the PATH.

    Raises: EnvironmentMissing where there is none.
    """
    wanted = SpecifierSet(backend.requires_python)
    if platform.python_version() in wanted:
        return Python(Path(sys.executable), f"{sys.version_info.major}.{sys.version_info.minor}")
    for minor in (f"3.{number}" for number in _MINORS):
        executable = shutil.which(f"python{minor}")
        if executable and _version(executable) in wanted:
            return Python(Path(executable), minor)
    raise EnvironmentMissing(
        f"The {backend.name} backend needs Python {backend.requires_python}; this is {platform.python_version()} and "
        "no other on the PATH fits: install such a Python and see that 'python3.X' finds it."
    )


@cache
def _version(python: str) -> str:
    code = "import platform; print(platform.python_version())"
    result = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return result.stdout.strip() or "0"
