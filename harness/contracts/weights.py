"""The shared initial weights: one seeded NumPy generator fills the canonical layout, the same for every backend."""

import math

import numpy as np
from numpy.typing import NDArray

from harness.contracts.cells import Shapes
from harness.contracts.initialisation import parse_init

Weights = dict[str, NDArray[np.floating]]

_STREAM = 1
"""Keeps the weights' random numbers apart from the minibatches' (stream 2) and dropout's (stream 3)."""


def initial_weights(shapes: Shapes, num_hiddens: int, seed: int, init: str = "uniform") -> Weights:
    """Draw every parameter, in canonical order.

    ``init`` is 'uniform', U(-1/√num_hiddens, 1/√num_hiddens) as PyTorch does for its recurrent layers; 'uniform:B',
    U(-B, B); or 'normal:S', N(0, S²) with biases of zero, as D2L does from scratch.

    Raises: ValueError for anything else.
    """
    generator = np.random.default_rng([seed, _STREAM])
    kind, width = parse_init(init)
    if kind == "normal":
        widths = {name: 0.0 if _is_bias(name) else width for name in shapes}
        return {name: generator.normal(0, widths[name], shape).astype(np.float32) for name, shape in shapes.items()}
    bound = width or 1.0 / math.sqrt(num_hiddens)
    return {name: generator.uniform(-bound, bound, shape).astype(np.float32) for name, shape in shapes.items()}


def _is_bias(name: str) -> bool:
    # Canonical names: layers.0.b_x, output.b.
    return name.rpartition(".")[2].startswith("b")


def num_params(weights: Weights) -> int:
    """Count the model's parameters."""
    return sum(array.size for array in weights.values())
