"""The optimizers of `harness.contracts.optimization` on one flat vector, clipping included, without a wait.

Adam and RMSprop are both MXNet's `adam_update`, one pass over memory. It leaves the correction of the
moments' bias to its caller, so rate and ε carry it here: η m̂ / (√v̂ + ε) = η′ m / (√v + ε′) with
η′ = η √(1 − β₂ᵗ) / (1 − β₁ᵗ) and ε′ = ε √(1 − β₂ᵗ). RMSprop is β₁ = 0 uncorrected. The operator holds
its constants in single precision, so the correction is computed from those.
"""

from typing import Any

import numpy as np
from mxnet import nd

from harness.contracts.optimization import ADAM_BETA1, ADAM_BETA2, EPSILON, OPTIMIZERS
from harness.contracts.training import Training

Array = Any


class SGD:
    """Updates a flat parameter vector in place."""

    def __init__(self, training: Training, parameters: Array) -> None:
        self.step = 0
        self.moments = {moment: nd.zeros_like(parameters) for moment in OPTIMIZERS[training.optimizer].moments}
        self.learning_rate = training.learning_rate
        self._grad_clip = training.grad_clip

    def update(self, parameters: Array, gradients: Array) -> Array:
        """Take one step, overwrite ``gradients``, and return their norm before clipping.

        Shapes: both vectors flat; the norm (1,).
        """
        self.step += 1
        # `nd.norm` takes 30 times as long; `multi_sum_sq` is off in the fourth digit.
        norm = nd.dot(gradients, gradients).sqrt()
        self._descend(parameters, gradients, norm)
        return norm

    def _descend(self, parameters: Array, gradients: Array, norm: Array) -> None:
        self._clip(gradients, norm, self.learning_rate)
        parameters -= gradients

    def _clip(self, gradients: Array, norm: Array, factor: float) -> None:
        """Scale by ``factor`` min(1, grad_clip / norm) in one pass."""
        if self._grad_clip:
            nd.broadcast_mul(gradients, nd.minimum(factor * self._grad_clip / norm, factor), out=gradients)
        elif factor != 1:
            gradients *= factor


class Adam(SGD):
    """Adam; see the module's text."""

    def _descend(self, parameters: Array, gradients: Array, norm: Array) -> None:
        self._clip(gradients, norm, 1.0)
        unbiased = [1 - _rounded(beta) ** self.step for beta in (ADAM_BETA1, ADAM_BETA2)]
        rate = self.learning_rate * unbiased[1] ** 0.5 / unbiased[0]
        constants = {"beta1": ADAM_BETA1, "beta2": ADAM_BETA2, "epsilon": EPSILON * unbiased[1] ** 0.5}
        m, v = self.moments["m"], self.moments["v"]
        nd.adam_update(parameters, gradients, m, v, lr=rate, **constants, out=parameters)


class RMSprop(SGD):
    """RMSprop; see the module's text."""

    def __init__(self, training: Training, parameters: Array) -> None:
        super().__init__(training, parameters)
        self._gradients = nd.zeros_like(parameters)
        self._decay = training.rmsprop_decay

    def _descend(self, parameters: Array, gradients: Array, norm: Array) -> None:
        self._clip(gradients, norm, 1.0)
        unbiased = (1 - _rounded(self._decay)) / (1 - self._decay)
        rate = self.learning_rate * unbiased**0.5
        constants = {"beta1": 0.0, "beta2": self._decay, "epsilon": EPSILON * unbiased**0.5}
        m, v = self._gradients, self.moments["v"]
        nd.adam_update(parameters, gradients, m, v, lr=rate, **constants, out=parameters)


def _rounded(constant: float) -> float:
    return float(np.float32(constant))


KINDS = {"sgd": SGD, "adam": Adam, "rmsprop": RMSprop}
