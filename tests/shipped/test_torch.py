"""The PyTorch backend, and PyTorch as the independent source for the others."""

import numpy as np
import pytest

from harness.testing import BackendContract, ModelContract
from harness.testing.models import BATCH_SIZE, SMALL, TRAINING, loaded, minibatches, train
from harness.worker.targets import resolve

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'rnn-harness[torch]'")

from harness_torch.backend import TorchBackend  # noqa: E402 (after the skip)

FUSED = ("rnn", "gru", "lstm")


def build_fused(package, backend, cell, *model):
    return resolve(f"{package}.fused:build_{cell}")(backend, *model)


class TestScratch(BackendContract):
    def open_backend(self):
        return TorchBackend("cpu", 1)


class TestFused(ModelContract):
    @pytest.fixture(params=FUSED)
    def equations(self, request):
        self.cell = request.param
        return resolve(f"harness_{request.param}.cell")

    def build(self, equations, architecture, training):
        return build_fused("harness_torch", TorchBackend("cpu", 1), self.cell, equations, architecture, training)


@pytest.mark.parametrize("cell", FUSED)
def test_the_hand_written_gradients_are_those_of_torchs_own_layers(cell):
    from harness_numpy.backend import NumpyBackend

    equations = resolve(f"harness_{cell}.cell")
    batch = minibatches(1)
    gradients = []
    for package, backend in (("harness_numpy", NumpyBackend("cpu", 1)), ("harness_torch", TorchBackend("cpu", 1))):
        model = loaded(lambda *model, p=package, b=backend: build_fused(p, b, cell, *model), equations, SMALL)
        gradients.append(model.gradients(batch.inputs[0], batch.targets[0], model.initial_state(BATCH_SIZE)))
    assert gradients[0][0] == pytest.approx(gradients[1][0], rel=1e-12)
    for name, gradient in gradients[0][1].items():
        assert np.allclose(gradient, gradients[1][1][name], atol=1e-12), name


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_a_checkpoint_of_one_backend_goes_on_in_the_other(optimizer):
    from dataclasses import replace

    from harness_numpy.backend import NumpyBackend

    equations = resolve("harness_lstm.cell")
    training = replace(TRAINING, optimizer=optimizer, learning_rate=0.01)
    batches = minibatches(5)
    in_numpy = loaded(NumpyBackend("cpu", 1).scratch, equations, SMALL, training)
    train(in_numpy, batches)
    in_torch = TorchBackend("cpu", 1).scratch(equations, SMALL, training)
    in_torch.load(in_numpy.weights())
    in_torch.load_optimizer_state(in_numpy.optimizer_state())
    assert np.allclose(train(in_numpy, batches), train(in_torch, batches), rtol=1e-9)


def test_a_gpu_that_torch_does_not_see_is_one_sentence():
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(RuntimeError, match="sees no GPU for cuda:0: install a CUDA build"):
        TorchBackend("cuda:0", 1)
