"""Layers alone, forward and backward: cells x implementations x shapes; and the book's two ways to one product.

On a quiet machine, against a saved baseline:

    OPENBLAS_NUM_THREADS=1 pytest tests/benchmarks/test_kernels.py --benchmark-only --benchmark-save=before
    OPENBLAS_NUM_THREADS=1 pytest tests/benchmarks/test_kernels.py --benchmark-only --benchmark-compare
"""

import os

import numpy as np
import pytest

from harness.contracts.weights import initial_weights
from harness.worker.targets import resolve
from harness_native import layers as native
from harness_native.compiling import NoCompilerError
from harness_numpy import layers as fused

CELLS = ("rnn", "gru", "lstm")
SHAPES = ((256, 32, 35), (64, 32, 35), (512, 64, 35), (128, 100, 100))
"""num_hiddens, batch_size, num_steps; each layer's inputs are another layer's outputs."""
FLOAT32 = np.dtype(np.float32)


def layer_of(cell, implementation):
    if implementation == "fused":
        return getattr(fused, cell.upper())()
    try:
        return getattr(native, cell.upper())(FLOAT32)
    except NoCompilerError as error:
        pytest.skip(str(error))


def work_of(cell, num_hiddens, batch_size, num_steps):
    """Return a layer's parameters, room for their gradients, inputs, first state, and the outputs' gradient."""
    equations = resolve(f"harness_{cell}.cell")
    params = initial_weights(equations.parameter_shapes(num_hiddens, num_hiddens), num_hiddens, seed=0)
    gradients = {name: np.empty_like(array) for name, array in params.items()}
    generator = np.random.default_rng(0)
    X, dY = (generator.standard_normal((num_steps, batch_size, num_hiddens), FLOAT32) for _ in range(2))
    state = tuple(np.zeros((batch_size, num_hiddens), FLOAT32) for _ in equations.state_names)
    return params, gradients, X, state, dY


@pytest.mark.benchmark(group="layer, forward and backward", warmup=True)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "-".join(map(str, shape)))
@pytest.mark.parametrize("implementation", ["native", "fused"])
@pytest.mark.parametrize("cell", CELLS)
def test_layer(benchmark, cell, implementation, shape):
    layer = layer_of(cell, implementation)
    params, gradients, X, state, dY = work_of(cell, *shape)

    def forward_and_backward():
        layer.forward(params, X, state)
        layer.backward(dY, gradients)

    benchmark(forward_and_backward)
    _, batch_size, num_steps = shape
    weights = params["W_x"].size + params["W_h"].size
    flops = 6 * weights * batch_size * num_steps
    benchmark.extra_info["GFLOP/s"] = flops / benchmark.stats["median"] / 1e9
    benchmark.extra_info["OPENBLAS_NUM_THREADS"] = os.environ.get("OPENBLAS_NUM_THREADS", "")


@pytest.mark.benchmark(group="X W_xh + H W_hh", warmup=True)
@pytest.mark.parametrize(
    ("batch_size", "num_inputs", "num_hiddens"),
    [(3, 1, 4), (32, 28, 256), (32, 256, 256), (1024, 28, 32)],  # the first is the book's example
)
@pytest.mark.parametrize("way", ["split", "concatenated", "concatenated, joined before"])
def test_product(benchmark, way, batch_size, num_inputs, num_hiddens):
    """The two products and their sum, against [X, H] [W_xh; W_hh]. Source: D2L `subsec_rnn_w_hidden_states`."""
    generator = np.random.default_rng(0)
    X, H = (generator.standard_normal((batch_size, width), FLOAT32) for width in (num_inputs, num_hiddens))
    W_xh, W_hh = (generator.standard_normal((width, num_hiddens), FLOAT32) for width in (num_inputs, num_hiddens))
    XH, W = np.concatenate([X, H], axis=1), np.concatenate([W_xh, W_hh])

    def split():
        return X @ W_xh + H @ W_hh

    def concatenated():
        # The weights stay as they are for a whole sequence; X and H are new in every step.
        return np.concatenate([X, H], axis=1) @ W

    def joined_before():
        return XH @ W

    np.testing.assert_allclose(split(), concatenated(), rtol=1e-4, atol=1e-4)
    benchmark({"split": split, "concatenated": concatenated, "concatenated, joined before": joined_before}[way])


@pytest.mark.parametrize("cell", CELLS)
def test_what_is_timed_is_the_same_computation(cell):
    params, gradients, X, state, dY = work_of(cell, 24, 5, 7)
    found = []
    for implementation in ("native", "fused"):
        layer = layer_of(cell, implementation)
        outputs, _ = layer.forward(params, X, state)
        outputs = outputs.copy()
        d_inputs = layer.backward(dY, gradients)
        found.append([outputs, d_inputs.copy(), *(array.copy() for array in gradients.values())])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
