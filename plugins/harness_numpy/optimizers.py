"""The optimizers of `harness.contracts.optimization` on one flat vector, in place and in blocks that stay in cache."""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.contracts.optimization import ADAM_BETA1, ADAM_BETA2, EPSILON, OPTIMIZERS, step_sizes
from harness.contracts.training import Training

Vector = NDArray[np.floating[Any]]

_BLOCK = 1 << 15
"""Elements updated together: five such float32 vectors fit in a core's level-two cache."""


class Optimizer(Protocol):
    """Updates a flat parameter vector in place."""

    step: int
    learning_rate: float
    moments: dict[str, Vector]

    def update(self, parameters: Vector, gradients: Vector, scale: float) -> None:
        """Take one step with ``scale`` times the gradients, which may be overwritten."""
        ...


def create(training: Training, parameters: Vector) -> Optimizer:
    """Return the training's optimizer for vectors like ``parameters``."""
    kinds = {"sgd": SGD, "adam": Adam, "rmsprop": RMSprop}
    name = training.optimizer
    return kinds[name](training, {moment: np.zeros_like(parameters) for moment in OPTIMIZERS[name].moments})


class SGD:
    """`Optimizer` of plain gradient descent."""

    def __init__(self, training: Training, moments: dict[str, Vector]) -> None:
        self.learning_rate = training.learning_rate
        self.rmsprop_decay = training.rmsprop_decay
        self.moments = moments
        self.step = 0

    def update(self, parameters: Vector, gradients: Vector, scale: float) -> None:
        """Take one step."""
        self.step += 1
        for block in _blocks(parameters):
            g = gradients[block]
            g *= scale * self.learning_rate
            parameters[block] -= g


class Adam(SGD):
    """`Optimizer` of Adam."""

    def update(self, parameters: Vector, gradients: Vector, scale: float) -> None:
        """Take one step."""
        self.step += 1
        rate, correction = step_sizes("adam", self.learning_rate, self.step)
        scratch = np.empty(min(_BLOCK, len(parameters)), parameters.dtype)
        for block in _blocks(parameters):
            g, m, v = gradients[block], self.moments["m"][block], self.moments["v"][block]
            s = scratch[: len(g)]
            g *= scale
            m *= ADAM_BETA1
            np.multiply(g, 1 - ADAM_BETA1, out=s)
            m += s
            v *= ADAM_BETA2
            g *= g
            g *= 1 - ADAM_BETA2
            v += g
            np.sqrt(v, out=s)
            s *= correction
            s += EPSILON
            np.divide(m, s, out=s)
            s *= rate
            parameters[block] -= s


class RMSprop(SGD):
    """`Optimizer` of RMSprop."""

    def update(self, parameters: Vector, gradients: Vector, scale: float) -> None:
        """Take one step."""
        self.step += 1
        scratch = np.empty(min(_BLOCK, len(parameters)), parameters.dtype)
        for block in _blocks(parameters):
            g, v = gradients[block], self.moments["v"][block]
            s = scratch[: len(g)]
            g *= scale
            v *= self.rmsprop_decay
            np.multiply(g, g, out=s)
            s *= 1 - self.rmsprop_decay
            v += s
            np.sqrt(v, out=s)
            s += EPSILON
            np.divide(g, s, out=s)
            s *= self.learning_rate
            parameters[block] -= s


def _blocks(vector: Vector) -> Iterator[slice]:
    return (slice(start, start + _BLOCK) for start in range(0, len(vector), _BLOCK))
