"""The NumPy backend's fused layers, by hand; its scratch models are the cells' own tests."""

import subprocess
import sys
from dataclasses import replace

import autograd
import autograd.numpy as anp
import numpy as np
import pytest

from harness.testing import ImplementationContract
from harness.testing.implementations import assert_finite_differences
from harness.testing.models import SMALL, TRAINING, loaded, minibatches, reference_model, train
from harness.worker.targets import resolve
from harness_numpy import optimizers, scratch
from harness_numpy.arrays import one_hot_product
from harness_numpy.backend import NumpyBackend
from harness_numpy.ops import AutogradOps

FUSED = ("rnn", "gru", "lstm")


class TestFused(ImplementationContract):
    backend = "harness_numpy.backend:NumpyBackend"
    target = "harness_numpy.fused:build_{cell}"
    cells = FUSED

    def test_gradients_are_the_finite_differences(self, equations):
        assert_finite_differences(loaded(self.build, equations, SMALL))


@pytest.mark.slow
@pytest.mark.parametrize("vocab_size", [28, 256, 257, 5000])
def test_the_look_ups_gradient_is_a_product_with_one_hot_rows(vocab_size):
    generator = np.random.default_rng(0)
    ids = generator.integers(0, vocab_size, 300)
    rows = generator.normal(size=(300, 7))
    assert np.allclose(one_hot_product(ids, rows, vocab_size), rows.T @ np.eye(vocab_size)[ids], atol=1e-12)


XP = AutogradOps("float64")
OPERATIONS = {
    "sigmoid": (1, XP.sigmoid, lambda x: 1 / (1 + anp.exp(-x))),
    "linear": (3, XP.linear, lambda x, W, b: anp.einsum("tbi,oi->tbo", x, W) + b),
    "linear without bias": (2, XP.linear, lambda x, W: anp.einsum("tbi,oi->tbo", x, W)),
    "split": (
        1,
        lambda x: anp.concatenate([2 * XP.split(x, 3)[0], XP.split(x, 3)[2] ** 2]),
        lambda x: anp.concatenate([2 * x[..., :2], x[..., 4:] ** 2]),
    ),
    "scan": (
        1,
        lambda x: XP.scan(lambda row, state: (row * state, row + state), x, x[0])[0],
        lambda x: anp.stack([x[t] * (x[0] + sum(x[s] for s in range(t))) for t in range(len(x))]),
    ),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_s_derivatives_are_those_autograd_finds_for_its_formula(name):
    count, operation, formula = OPERATIONS[name]
    generator = np.random.default_rng(3)
    arguments = [generator.normal(size=size) for size in ((5, 4, 6), (3, 6), (3,))][:count]
    weights = generator.normal(size=formula(*arguments).shape)
    for argument in range(count):
        ours, theirs = (
            autograd.grad(lambda *varied, each=each: anp.sum(weights * each(*varied)), argument)(*arguments)
            for each in (operation, formula)
        )
        assert np.allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.slow
def test_layers_written_by_hand_load_no_autograd():
    code = "import sys, harness_numpy.fused, harness_native.model; print('autograd' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "False"


def test_another_device_than_the_cpu_is_refused():
    with pytest.raises(ValueError, match="numpy backend runs on the CPU"):
        NumpyBackend("cuda:0", 1)


@pytest.mark.slow
def test_a_falling_learning_rate_and_another_rmsprop_decay_are_torchs():
    torch = pytest.importorskip("torch")
    generator = np.random.default_rng(0)
    gradients = generator.normal(size=(8, 50))
    start = generator.normal(size=50)
    training = replace(TRAINING, optimizer="rmsprop", learning_rate=0.1, rmsprop_decay=0.9, lr_decay=0.5)
    ours = start.copy()
    optimizer = optimizers.create(training, ours)
    theirs = torch.nn.Parameter(torch.from_numpy(start.copy()))
    peer = torch.optim.RMSprop([theirs], lr=0.1, alpha=0.9, eps=1e-8)
    for epoch, gradient in enumerate(gradients):
        optimizer.learning_rate = training.learning_rate_in(epoch)
        peer.param_groups[0]["lr"] = 0.1 * 0.5**epoch
        optimizer.update(ours, gradient.copy(), 1.0)
        theirs.grad = torch.from_numpy(gradient)
        peer.step()
    assert np.max(np.abs(ours - theirs.detach().numpy())) < 1e-12


def test_an_epoch_s_rate_scales_its_steps_of_plain_descent():
    training = replace(TRAINING, lr_decay=0.5, lr_decay_after=1, grad_clip=0.0)
    equations, batch = resolve("harness_rnn.cell"), minibatches(1)
    moved = {}
    for epoch in (1, 2, 4):
        model = loaded(reference_model, equations, SMALL, training)
        before = model.weights()
        model.begin_epoch(epoch)
        train(model, batch)
        moved[epoch] = {name: array - before[name] for name, array in model.weights().items()}
    for name, change in moved[1].items():
        assert np.allclose(moved[2][name], change / 2, atol=1e-15)
        assert np.allclose(moved[4][name], change / 8, atol=1e-15)


def test_the_reference_s_loss_has_autograd_s_gradient_to_the_last_bit():
    generator = np.random.default_rng(0)

    def step_by_step(logits, Y):
        rows = logits.reshape(-1, logits.shape[-1])
        shifted = rows - anp.max(rows, axis=1, keepdims=True)
        log_sums = anp.log(anp.sum(anp.exp(shifted), axis=1))
        return anp.mean(log_sums - shifted[np.arange(Y.size), Y.reshape(-1)])

    for scale in (0.1, 1.0, 30.0):
        logits = generator.normal(size=(5, 3, 40)) * scale
        logits[0] = np.round(logits[0])  # several are the largest
        Y = generator.integers(0, 40, (5, 3))
        want, gradient = autograd.value_and_grad(step_by_step)(logits, Y)
        loss, got = autograd.value_and_grad(scratch._mean_cross_entropy)(logits, Y)
        assert loss == want
        assert got.tobytes() == gradient.tobytes()


@pytest.mark.slow
def test_a_loss_over_many_symbols_takes_few_arrays_of_the_logits_size():
    code = (
        "import resource, autograd, numpy as np; from harness_numpy.scratch import _mean_cross_entropy as loss;"
        "x = np.random.default_rng(0).normal(size=(100, 4, 20_000)); Y = np.zeros((100, 4), int);"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024;"
        "before = peak(); autograd.grad(loss)(x, Y); print((peak() - before) / x.nbytes)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 3
