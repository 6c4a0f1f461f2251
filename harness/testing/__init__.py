"""What a plugin must pass: the contract tests, for its author's own test suite.

A cell's test is five lines::

    from harness.testing import CellContract

    class TestMyCell(CellContract):
        equations_module = "my_plugin.cell"

and a backend's likewise, with `BackendContract`, or a baseline's, with `BaselineContract`. All need pytest, and the
first two the numpy backend, which is the reference.
"""

import pytest

# So that a failed contract shows its figures, as a test module would.
pytest.register_assert_rewrite("harness.testing.contracts", "harness.testing.baselines")

from harness.testing.baselines import BaselineContract  # noqa: E402 (after that)
from harness.testing.contracts import BackendContract, CellContract, ModelContract  # noqa: E402 (after that)

__all__ = ["BackendContract", "BaselineContract", "CellContract", "ModelContract"]
