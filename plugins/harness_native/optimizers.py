"""The optimizers of `harness.contracts.optimization` over the compiled kernels: clipping and update in one pass."""

import numpy as np

from harness.contracts.optimization import ADAM_BETA1, ADAM_BETA2, EPSILON, OPTIMIZERS, step_sizes
from harness.contracts.training import Training
from harness_native.kernels import Kernels
from harness_numpy import optimizers
from harness_numpy.optimizers import Optimizer, Vector


def create(training: Training, parameters: Vector) -> Optimizer:
    """Return the training's optimizer for vectors like ``parameters``."""
    kinds = {"sgd": SGD, "adam": Adam, "rmsprop": RMSprop}
    name = training.optimizer
    moments = {moment: np.zeros_like(parameters) for moment in OPTIMIZERS[name].moments}
    return kinds[name](Kernels(parameters.dtype), training, moments)


class SGD(optimizers.SGD):
    """`Optimizer` of plain gradient descent."""

    def __init__(self, kernels: Kernels, training: Training, moments: dict[str, Vector]) -> None:
        super().__init__(training, moments)
        self._kernels = kernels

    def update(self, parameters: Vector, gradients: Vector, scale: float) -> None:
        """Take one step."""
        self.step += 1
        self._kernels.call("sgd", len(parameters), parameters, gradients, float(scale), float(self.learning_rate))


class Adam(SGD):
    """`Optimizer` of Adam."""

    def update(self, parameters: Vector, gradients: Vector, scale: float) -> None:
        """Take one step."""
        self.step += 1
        rate, correction = step_sizes("adam", self.learning_rate, self.step)
        arrays = parameters, gradients, self.moments["m"], self.moments["v"]
        factors = float(scale), rate, correction, ADAM_BETA1, ADAM_BETA2, EPSILON
        self._kernels.call("adam", len(parameters), *arrays, *factors)


class RMSprop(SGD):
    """`Optimizer` of RMSprop."""

    def update(self, parameters: Vector, gradients: Vector, scale: float) -> None:
        """Take one step."""
        self.step += 1
        factors = float(scale), float(self.learning_rate), float(self.rmsprop_decay), EPSILON
        self._kernels.call("rmsprop", len(parameters), parameters, gradients, self.moments["v"], *factors)
