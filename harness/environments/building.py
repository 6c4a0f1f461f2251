"""Builds an environment as pre-commit does: remove leftovers, build, check health, declare it whole, under a lock."""

import contextlib
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import filelock

from harness.contracts.descriptors import Backend
from harness.environments import health
from harness.environments.finding import Interpreter
from harness.environments.pythons import find_python
from harness.environments.store import Environment, Lock, State, environment_of, requirements_of
from harness.errors import EnvironmentMissing
from harness.plugins.registry import Registry

Say = Callable[[str], None]
"""Shows the user one line of progress."""


def create(backend: Backend, registry: Registry, say: Say) -> Environment:
    """Return the backend's environment, building it where it is not there, not whole or not well.

    Raises: EnvironmentMissing with the installer's own words where it cannot be built.
    """
    python = find_python(backend)
    environment = environment_of(backend, python.minor)
    try:
        environment.path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentMissing(
            f"The environment folder {environment.path.parent} cannot be written ({error.strerror}): "
            "name another one with HARNESS_CACHE_DIR."
        ) from None
    with _alone(environment, say):
        # Whoever held the lock may have built it meanwhile.
        if environment.state() is not None and not health.problem(backend, _interpreter(environment), registry):
            say(f"The {backend.name} environment is there and well: {environment.path}")
            return environment
        environment.remove()
        try:
            _build(backend, registry, environment, python.path, say)
        except BaseException:
            environment.remove()
            raise
    return environment


def remove(backend: Backend, say: Say) -> bool:
    """Delete the backend's environment; return whether there was one."""
    environment = environment_of(backend, find_python(backend).minor)
    if not environment.path.exists():
        return False
    with _alone(environment, say):
        environment.remove()
    return True


def _interpreter(environment: Environment) -> Interpreter:
    return Interpreter(python=str(environment.python), state=environment.state())


@contextlib.contextmanager
def _alone(environment: Environment, say: Say) -> Iterator[None]:
    """Hold the environment's lock, saying so where that takes waiting; it is dropped with the process."""
    lock = filelock.FileLock(environment.path.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        say(f"Another harness is at work on {environment.path.name}: waiting for it.")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _build(backend: Backend, registry: Registry, environment: Environment, python: Path, say: Say) -> None:
    requirements = requirements_of(backend)
    say(f"Building the {backend.name} environment with {_installer()}: {', '.join(requirements)}")
    for command in _commands(environment, python, requirements):
        _run(backend, command, say)
    problem = health.problem(backend, _interpreter(environment), registry)
    if problem:
        raise EnvironmentMissing(
            f"The {backend.name} environment was built but is not well, so it was removed again: {problem}"
        )
    version = _output([str(environment.python), "-c", "import platform; print(platform.python_version())"]).strip()
    distributions = _output([str(environment.python), "-c", _LIST_DISTRIBUTIONS]).split()
    environment.write_state(
        State(requirements=requirements, lock=Lock(python=version, distributions=tuple(distributions)))
    )


_LIST_DISTRIBUTIONS = (
    "import importlib.metadata as m; "
    "print('\\n'.join(sorted({f'{d.name.lower()}=={d.version}' for d in m.distributions()})))"
)


def _installer() -> str:
    return "uv" if shutil.which("uv") else "pip"


def _commands(environment: Environment, python: Path, requirements: Sequence[str]) -> list[list[str]]:
    if _installer() == "uv":
        return [
            ["uv", "venv", "--quiet", "--python", str(python), str(environment.path)],
            ["uv", "pip", "install", "--python", str(environment.python), *requirements],
        ]
    return [
        [str(python), "-m", "venv", str(environment.path)],
        [str(environment.python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", *requirements],
    ]


def _run(backend: Backend, command: list[str], say: Say) -> None:
    """Run one command, show its lines as they come, and raise its last words where it fails."""
    last: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip():
                last = [*last[-30:], line.strip()]
                say(line.strip())
    if process.returncode:
        raise EnvironmentMissing(
            f"The {backend.name} environment could not be built: {_last_words(last)} "
            f"See to it and give 'harness env create {backend.name}' again; nothing was left behind."
        )


def _last_words(lines: Sequence[str]) -> str:
    """Return the line that says most: the last that names an error."""
    for line in reversed(lines):
        if line.casefold().startswith(("error", "×", "no solution")):
            return line if line.endswith(".") else line + "."
    return (lines[-1] if lines else "the installer said nothing") + "."


def _output(command: Sequence[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
