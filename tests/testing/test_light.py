"""A framework's interpreter has NumPy, pytest and little else: the contracts of models import no more."""

import subprocess
import sys

import pytest


@pytest.mark.slow
def test_the_contracts_of_models_import_nothing_that_a_framework_s_interpreter_lacks() -> None:
    code = "import sys; from harness.testing import BackendContract, ImplementationContract; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "harness.testing.backends" in loaded
    assert {"pandas", "click", "rich", "platformdirs", "filelock", "psutil", "scipy", "altair"} & set(loaded) == set()
