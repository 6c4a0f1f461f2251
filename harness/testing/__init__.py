"""The contracts every plugin must pass, for plugin authors to subclass in their own tests.

A cell's test is five lines::

    from harness.testing import CellContract

    class TestMyCell(CellContract):
        equations_module = "my_plugin.cell"

and a backend's likewise, with `BackendContract`. Both need pytest, and the numpy backend, which is the reference.
"""

from harness.testing.contracts import BackendContract, CellContract, ModelContract

__all__ = ["BackendContract", "CellContract", "ModelContract"]
