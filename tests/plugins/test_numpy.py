"""The NumPy backend's fused layers, by hand; its scratch models are the cells' own tests."""

import numpy as np
import pytest

from harness.testing import ModelContract
from harness.testing.contracts import assert_finite_differences
from harness.testing.models import SMALL, loaded
from harness.worker.targets import resolve
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
