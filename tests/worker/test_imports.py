"""The worker is light: what runs inside a backend's environment needs the standard library and NumPy alone."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import harness.worker

ROOM = Path(harness.worker.__file__).parent
ALLOWED = {"harness.worker", "harness.contracts", "numpy", "safetensors"}


def imported_modules(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def test_the_worker_imports_the_standard_library_numpy_and_itself():
    modules = {module for path in ROOM.glob("*.py") for module in imported_modules(path)}
    foreign = {
        module
        for module in modules
        if module.partition(".")[0] not in sys.stdlib_module_names
        and not any(module == allowed or module.startswith(allowed + ".") for allowed in ALLOWED)
    }
    assert foreign == set()


@pytest.mark.slow
def test_starting_a_worker_loads_neither_pluggy_nor_pandas():
    code = "import sys, harness.worker.__main__; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"pluggy", "pandas", "click", "rich", "torch", "autograd"} & set(loaded) == set()


@pytest.mark.slow
def test_a_worker_loads_what_its_kind_of_job_needs_and_no_other_kind_s():
    code = "import sys, harness.worker.__main__; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    kinds = {f"harness.worker.{name}" for name in ("trainer", "fitting", "probing", "probes", "timing", "sampling")}
    assert kinds & set(loaded) == set()
