"""What a plugin must pass: the contract tests, for its author's own test suite.

A cell's test is five lines::

    from harness.testing import CellContract

    class TestMyCell(CellContract):
        equations_module = "my_plugin.cell"

and a backend's likewise, with `BackendContract`, its own layers' with `ImplementationContract`, a baseline's with
`BaselineContract`, an executor's with `ExecutorContract`, and an exercise's with `ExerciseContract`. All need pytest,
and those of models the numpy backend, which is the reference. Each is imported when it is asked for: a framework's own
interpreter has what the contracts of models need, and no more.
"""

import importlib
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from harness.testing.backends import BackendContract
    from harness.testing.baselines import BaselineContract
    from harness.testing.cells import CellContract
    from harness.testing.executors import ExecutorContract
    from harness.testing.exercises import ExerciseContract
    from harness.testing.implementations import ImplementationContract, ModelContract

_HOMES = {
    "BackendContract": "backends",
    "BaselineContract": "baselines",
    "CellContract": "cells",
    "ExecutorContract": "executors",
    "ExerciseContract": "exercises",
    "ImplementationContract": "implementations",
    "ModelContract": "implementations",
}

__all__ = [
    "BackendContract",
    "BaselineContract",
    "CellContract",
    "ExecutorContract",
    "ExerciseContract",
    "ImplementationContract",
    "ModelContract",
]

# So that a failed contract shows its figures, as a test module would.
pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in {*_HOMES.values(), "executor_tasks"}))


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
