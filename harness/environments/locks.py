"""The exact versions in an interpreter: recorded with every run, and by their hash with every trial."""

import importlib.metadata
import platform
from functools import cache

from harness.environments.finding import Interpreter
from harness.environments.store import Lock


def lock_of(interpreter: Interpreter) -> Lock:
    """Return what an interpreter holds, without starting it."""
    return _current() if interpreter.state is None else interpreter.state.lock


@cache
def _current() -> Lock:
    distributions = importlib.metadata.distributions()
    names = {f"{distribution.metadata['Name']}=={distribution.version}".lower() for distribution in distributions}
    return Lock(python=platform.python_version(), distributions=tuple(sorted(names)))
