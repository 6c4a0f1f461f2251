"""What a plugin must pass: the contract tests, for its author's own test suite.

A cell's test is five lines::

    from harness.testing import CellContract

    class TestMyCell(CellContract):
        equations_module = "my_plugin.cell"

and a backend's likewise, with `BackendContract`, its own layers' with `ImplementationContract`, a baseline's with
`BaselineContract`, an executor's with `ExecutorContract`, and an exercise's with `ExerciseContract`. All need pytest,
and those of models the numpy backend, which is the reference.
"""

import pytest

# So that a failed contract shows its figures, as a test module would.
pytest.register_assert_rewrite(
    *(
        f"{__name__}.{name}"
        for name in ("implementations", "cells", "backends", "baselines", "executors", "executor_tasks", "exercises")
    )
)

from harness.testing.backends import BackendContract  # noqa: E402 (after that)
from harness.testing.baselines import BaselineContract  # noqa: E402
from harness.testing.cells import CellContract  # noqa: E402
from harness.testing.executors import ExecutorContract  # noqa: E402
from harness.testing.exercises import ExerciseContract  # noqa: E402
from harness.testing.implementations import ImplementationContract, ModelContract  # noqa: E402

__all__ = [
    "BackendContract",
    "BaselineContract",
    "CellContract",
    "ExecutorContract",
    "ExerciseContract",
    "ImplementationContract",
    "ModelContract",
]
