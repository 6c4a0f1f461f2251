"""The updates of `harness.worker.optimization` on TensorFlow variables, for use inside a compiled step."""

import math
from typing import Any

import tensorflow as tf

from harness.worker.network import Architecture
from harness.worker.optimization import ADAM_BETA1, ADAM_BETA2, EPSILON

Tensor = Any
Moments = dict[str, tf.Variable]
"""One parameter's moments by name."""


def step_sizes(name: str, learning_rate: float, step: int) -> tuple[float, float]:
    """Return what the update number ``step`` (from 1) multiplies the update and √v by.

    Computed in double precision outside the compiled step: 1 − β₂ᵗ loses half its digits in float32.
    """
    if name == "adam":
        return learning_rate / (1 - ADAM_BETA1**step), 1 / math.sqrt(1 - ADAM_BETA2**step)
    return learning_rate, 1.0


def update(
    architecture: Architecture, parameter: tf.Variable, g: Tensor, moments: Moments, rate: Tensor, correction: Tensor
) -> None:
    """Take one step of one parameter; Keras's optimizers put ε elsewhere."""
    if architecture.optimizer == "sgd":
        change = g
    elif architecture.optimizer == "adam":
        m = moments["m"].assign(ADAM_BETA1 * moments["m"] + (1 - ADAM_BETA1) * g)
        v = moments["v"].assign(ADAM_BETA2 * moments["v"] + (1 - ADAM_BETA2) * g * g)
        change = m / (tf.sqrt(v) * correction + EPSILON)
    else:
        decay = architecture.rmsprop_decay
        v = moments["v"].assign(decay * moments["v"] + (1 - decay) * g * g)
        change = g / (tf.sqrt(v) + EPSILON)
    parameter.assign_sub(rate * change)
