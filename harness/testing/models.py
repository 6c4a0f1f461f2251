"""Small models and minibatches for the contracts: float64, so that a difference is an error and not rounding."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.contracts.backends import Ids, Model
from harness.contracts.cells import Equations
from harness.contracts.network import Architecture, canonical_shapes
from harness.contracts.training import Training
from harness.contracts.weights import Weights, initial_weights

SMALL = Architecture(vocab_size=11, num_layers=2, num_hiddens=6, dtype="float64")
TRAINING = Training(optimizer="sgd", learning_rate=0.5, grad_clip=0.5)
NUM_STEPS, BATCH_SIZE = 7, 3

BuildModel = Callable[[Equations, Architecture, Training], Model]


@dataclass(frozen=True)
class Minibatches:
    """A few minibatches of seeded random tokens."""

    inputs: list[Ids]
    targets: list[Ids]


def minibatches(count: int, vocab_size: int = SMALL.vocab_size) -> Minibatches:
    """Return ``count`` minibatches, each (num_steps, batch_size)."""
    tokens = np.random.default_rng(5).integers(0, vocab_size, (count, NUM_STEPS + 1, BATCH_SIZE))
    return Minibatches([window[:-1] for window in tokens], [window[1:] for window in tokens])


def loaded(build: BuildModel, equations: Equations, architecture: Architecture, training: Training = TRAINING) -> Model:
    """Build a model and load the canonical initial weights."""
    model = build(equations, architecture, training)
    model.load(weights_for(equations, architecture))
    return model


def weights_for(equations: Equations, architecture: Architecture, seed: int = 0) -> Weights:
    """Return the canonical initial weights in the architecture's dtype."""
    weights = initial_weights(canonical_shapes(equations, architecture), architecture.num_hiddens, seed)
    return {name: array.astype(architecture.dtype) for name, array in weights.items()}


def train(model: Model, batches: Minibatches) -> NDArray[np.float64]:
    """Train on the minibatches in order, the state carried; return the figures of every step."""
    state = model.initial_state(BATCH_SIZE)
    handles = []
    for X, Y in zip(batches.inputs, batches.targets, strict=True):
        handle, state = model.train_step(X, Y, state)
        handles.append(handle)
    return model.read(handles)


def reference_model(equations: Equations, architecture: Architecture, training: Training) -> Model:
    """Return the float64 reference: the cell's own equations on NumPy under automatic differentiation."""
    from harness_numpy.backend import NumpyBackend

    return NumpyBackend("cpu", 1).scratch(equations, replace(architecture, dtype="float64"), training)


def largest_difference(a: Weights, b: Weights) -> float:
    """Return the largest absolute difference between arrays of the same names."""
    assert a.keys() == b.keys()
    return max(float(np.max(np.abs(np.asarray(a[name], np.float64) - b[name]), initial=0.0)) for name in a)


def finite_difference(model: Model, X: Ids, Y: Ids, name: str, index: tuple[int, ...], step: float = 1e-6) -> float:
    """Return the loss's slope along one weight by a central difference."""

    def loss(shift: float) -> float:
        weights: dict[str, Any] = model.weights()
        weights[name][index] += shift
        model.load(weights)
        value = float(model.read([model.evaluate_step(X, Y, model.initial_state(X.shape[1]))[0]])[0, 0])
        weights[name][index] -= shift
        model.load(weights)
        return value

    return (loss(step) - loss(-step)) / (2 * step)
