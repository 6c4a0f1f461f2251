"""The PyTorch backend, and PyTorch as the independent source for the others."""

from importlib.util import find_spec

import numpy as np
import pytest

from harness.testing import BackendContract, ImplementationContract
from harness.testing.models import BATCH_SIZE, SMALL, loaded, minibatches
from harness.worker.targets import resolve

# Looked for and not imported: whoever collects this file need not wait for it.
MISSING = pytest.mark.skipif(
    find_spec("torch") is None, reason="PyTorch is not installed: pip install 'rnn-harness[torch]'"
)
pytestmark = [MISSING, pytest.mark.slow]
FUSED = ("rnn", "gru", "lstm")


def build_fused(package, backend, cell, *model):
    return resolve(f"{package}.fused:build_{cell}")(backend, *model)


class TestScratch(BackendContract):
    target = "harness_torch.backend:TorchBackend"
    test_one_thread_is_one_core = pytest.mark.alone(BackendContract.test_one_thread_is_one_core)


class TestFused(ImplementationContract):
    backend = "harness_torch.backend:TorchBackend"
    target = "harness_torch.fused:build_{cell}"
    cells = FUSED


@pytest.mark.parametrize("cell", FUSED)
def test_the_hand_written_gradients_are_those_of_torchs_own_layers(cell):
    from harness_numpy.backend import NumpyBackend
    from harness_torch.backend import TorchBackend

    equations = resolve(f"harness_{cell}.cell")
    batch = minibatches(1)
    gradients = []
    for package, backend in (("harness_numpy", NumpyBackend("cpu", 1)), ("harness_torch", TorchBackend("cpu", 1))):
        model = loaded(lambda *model, p=package, b=backend: build_fused(p, b, cell, *model), equations, SMALL)
        gradients.append(model.gradients(batch.inputs[0], batch.targets[0], model.initial_state(BATCH_SIZE)))
    assert gradients[0][0] == pytest.approx(gradients[1][0], rel=1e-12)
    for name, gradient in gradients[0][1].items():
        assert np.allclose(gradient, gradients[1][1][name], atol=1e-12), name
