"""Where built environments lie and what is known of each: one folder, named by what it must hold."""

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from packaging.requirements import Requirement

from harness.contracts.descriptors import Backend
from harness.contracts.files import write_whole
from harness.machine.devices import driver_gpus
from harness.machine.folders import default_cache_dir

WORKER_REQUIREMENTS = ("pluggy>=1.5", "safetensors>=0.4.3")
"""What every worker needs beside its backend's own: checkpoints, and plugins that are one file."""
_FORMAT_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Lock:
    """The exact versions in an interpreter."""

    python: str
    distributions: tuple[str, ...]
    """Each as 'name==version'."""

    @property
    def digest(self) -> str:
        """Return the hash of all of it."""
        return hashlib.sha256("\n".join((self.python, *self.distributions)).encode()).hexdigest()[:12]


@dataclass(frozen=True, kw_only=True)
class State:
    """What a finished environment holds; written last, so that half an environment has none."""

    requirements: tuple[str, ...]
    lock: Lock


@dataclass(frozen=True)
class Environment:
    """One backend's environment, built or not."""

    path: Path

    @property
    def python(self) -> Path:
        """The interpreter."""
        return self.path / "bin" / "python"

    @property
    def state_path(self) -> Path:
        """The file that says the environment is whole."""
        return self.path / "harness-state.json"

    def state(self) -> State | None:
        """Return what is known of the environment, or None where it is not whole."""
        try:
            values = json.loads(self.state_path.read_text(encoding="utf-8"))
            lock = Lock(python=values["lock"]["python"], distributions=tuple(values["lock"]["distributions"]))
            state = State(requirements=tuple(values["requirements"]), lock=lock)
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        return state if os.access(self.python, os.X_OK) else None

    def write_state(self, state: State) -> None:
        """Declare the environment whole, atomically."""
        write_whole(self.state_path, json.dumps(asdict(state), indent=1) + "\n")

    def remove(self) -> None:
        """Delete it; the state goes first, so that what is left is never taken for whole."""
        self.state_path.unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)


def environments_dir() -> Path:
    """Return the folder of all environments."""
    return default_cache_dir() / "environments"


def requirements_of(backend: Backend) -> tuple[str, ...]:
    """Return what the backend's environment must hold here; the backend's own word on a distribution wins.

    On a machine with GPUs that is the framework's build for them, in an environment of its own.
    """
    wanted = backend.gpu_requirements if backend.gpu_requirements and driver_gpus() else backend.requirements
    own = {Requirement(text).name for text in wanted}
    return (*wanted, *(text for text in WORKER_REQUIREMENTS if Requirement(text).name not in own))


def environment_of(backend: Backend, python_minor: str) -> Environment:
    """Return where the backend's environment for a Python such as '3.11' lies: named by the hash of both."""
    content = json.dumps([_FORMAT_VERSION, python_minor, sorted(requirements_of(backend))])
    digest = hashlib.sha256(content.encode()).hexdigest()[:12]
    return Environment(environments_dir() / f"{backend.name}-{digest}")
