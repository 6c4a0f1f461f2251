"""The NumPy backend's fused layers, by hand; its scratch models are the cells' own tests."""

from dataclasses import replace

import numpy as np
import pytest

from harness.testing import ModelContract
from harness.testing.contracts import assert_finite_differences
from harness.testing.models import SMALL, loaded, minibatches, reference_model, train
from harness.worker.targets import resolve
from harness_numpy import optimizers
from harness_numpy.backend import NumpyBackend
from harness_numpy.ops import one_hot_product

FUSED = ("rnn", "gru", "lstm")


def build_fused(cell, equations, architecture):
    return resolve(f"harness_numpy.fused:build_{cell}")(NumpyBackend("cpu", 1), equations, architecture)


class TestFused(ModelContract):
    @pytest.fixture(params=FUSED)
    def equations(self, request):
        self.cell = request.param
        return resolve(f"harness_{request.param}.cell")

    def build(self, equations, architecture):
        return build_fused(self.cell, equations, architecture)

    def test_gradients_are_the_finite_differences(self, equations):
        assert_finite_differences(loaded(self.build, equations, SMALL))


@pytest.mark.parametrize("vocab_size", [28, 256, 257, 5000])
def test_the_look_ups_gradient_is_a_product_with_one_hot_rows(vocab_size):
    generator = np.random.default_rng(0)
    ids = generator.integers(0, vocab_size, 300)
    rows = generator.normal(size=(300, 7))
    assert np.allclose(one_hot_product(ids, rows, vocab_size), rows.T @ np.eye(vocab_size)[ids], atol=1e-12)


def test_another_device_than_the_cpu_is_refused():
    with pytest.raises(ValueError, match="numpy backend runs on the CPU"):
        NumpyBackend("cuda:0", 1)


def test_a_falling_learning_rate_and_another_rmsprop_decay_are_torchs():
    torch = pytest.importorskip("torch")
    generator = np.random.default_rng(0)
    gradients = generator.normal(size=(8, 50))
    start = generator.normal(size=50)
    architecture = replace(SMALL, optimizer="rmsprop", learning_rate=0.1, rmsprop_decay=0.9, lr_decay=0.5)
    ours = start.copy()
    optimizer = optimizers.create(architecture, ours)
    theirs = torch.nn.Parameter(torch.from_numpy(start.copy()))
    peer = torch.optim.RMSprop([theirs], lr=0.1, alpha=0.9, eps=1e-8)
    for epoch, gradient in enumerate(gradients):
        optimizer.learning_rate = architecture.learning_rate_in(epoch)
        peer.param_groups[0]["lr"] = 0.1 * 0.5**epoch
        optimizer.update(ours, gradient.copy(), 1.0)
        theirs.grad = torch.from_numpy(gradient)
        peer.step()
    assert np.max(np.abs(ours - theirs.detach().numpy())) < 1e-12


def test_an_epoch_s_rate_scales_its_steps_of_plain_descent():
    architecture = replace(SMALL, lr_decay=0.5, lr_decay_after=1, grad_clip=0.0)
    equations, batch = resolve("harness_rnn.cell"), minibatches(1)
    moved = {}
    for epoch in (1, 2, 4):
        model = loaded(reference_model, equations, architecture)
        before = model.weights()
        model.begin_epoch(epoch)
        train(model, batch)
        moved[epoch] = {name: array - before[name] for name, array in model.weights().items()}
    for name, change in moved[1].items():
        assert np.allclose(moved[2][name], change / 2, atol=1e-15)
        assert np.allclose(moved[4][name], change / 8, atol=1e-15)
