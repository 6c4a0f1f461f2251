"""The shared initial weights and their canonical layout."""

import numpy as np
import pytest

from harness.contracts.network import Architecture, canonical_shapes
from harness.contracts.weights import initial_weights, num_params
from harness.worker.targets import resolve

ARCHITECTURE = Architecture(vocab_size=28, num_layers=2, num_hiddens=16)


def test_the_canonical_layout_is_the_designs():
    shapes = canonical_shapes(resolve("harness_lstm.cell"), ARCHITECTURE)
    assert shapes == {
        "layers.0.W_x": (64, 28),
        "layers.0.W_h": (64, 16),
        "layers.0.b_x": (64,),
        "layers.0.b_h": (64,),
        "layers.1.W_x": (64, 16),
        "layers.1.W_h": (64, 16),
        "layers.1.b_x": (64,),
        "layers.1.b_h": (64,),
        "output.W": (28, 16),
        "output.b": (28,),
    }


def test_weights_depend_on_the_seed_alone_and_fill_the_interval():
    shapes = canonical_shapes(resolve("harness_gru.cell"), ARCHITECTURE)
    first, again, other = (initial_weights(shapes, 16, seed) for seed in (0, 0, 1))
    every = np.concatenate([array.ravel() for array in first.values()])
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["output.W"], other["output.W"])
    assert every.dtype == np.float32
    assert -0.25 <= every.min() < -0.24
    assert 0.24 < every.max() <= 0.25
    assert num_params(first) == len(every)


@pytest.mark.parametrize(("init", "low", "high"), [("uniform", 0.24, 0.25), ("uniform:0.08", 0.078, 0.08)])
def test_uniform_weights_fill_the_interval_named(init, low, high):
    shapes = canonical_shapes(resolve("harness_lstm.cell"), ARCHITECTURE)
    every = np.concatenate([array.ravel() for array in initial_weights(shapes, 16, 0, init).values()])
    assert low < np.abs(every).max() <= high
    assert abs(every.mean()) < 0.1 * high


def test_normal_weights_have_the_deviation_named_and_biases_of_zero():
    shapes = canonical_shapes(resolve("harness_gru.cell"), ARCHITECTURE)
    weights = initial_weights(shapes, 16, 0, "normal:0.01")
    for name, array in weights.items():
        assert array.dtype == np.float32
        if ".b" in name:
            assert not array.any(), name
        else:
            assert 0.008 < array.std() < 0.012, name


@pytest.mark.parametrize("init", ["gaussian", "uniform:", "uniform:0", "normal", "normal:-1", "normal:nan", "xavier:1"])
def test_another_initialisation_is_refused(init):
    with pytest.raises(ValueError, match=r"."):
        initial_weights({"output.b": (3,)}, 16, 0, init)
