"""The shared initial weights: one seeded NumPy generator fills the canonical layout, the same for every backend."""

import math

import numpy as np
from numpy.typing import NDArray

from harness.worker.cells import Shapes

Weights = dict[str, NDArray[np.floating]]

_STREAM = 1
"""Keeps the weights' random numbers apart from the minibatches' (stream 2) and dropout's (stream 3)."""


def initial_weights(shapes: Shapes, num_hiddens: int, seed: int) -> Weights:
    """Draw every parameter, in canonical order, from U(-1/√num_hiddens, 1/√num_hiddens).

    That is what PyTorch does for its recurrent layers, so a torch model of one's own starts alike.
    """
    generator = np.random.default_rng([seed, _STREAM])
    bound = 1.0 / math.sqrt(num_hiddens)
    return {name: generator.uniform(-bound, bound, shape).astype(np.float32) for name, shape in shapes.items()}


def num_params(weights: Weights) -> int:
    """Count the model's parameters."""
    return sum(array.size for array in weights.values())
