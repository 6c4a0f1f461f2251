"""The updates of `harness.contracts.optimization` on TensorFlow variables, for use inside a compiled step."""

from typing import Any

import tensorflow as tf

from harness.contracts.optimization import ADAM_BETA1, ADAM_BETA2, EPSILON
from harness.contracts.training import Training

Tensor = Any
Moments = dict[str, tf.Variable]
"""One parameter's moments by name."""


def update(
    training: Training, parameter: tf.Variable, g: Tensor, moments: Moments, rate: Tensor, correction: Tensor
) -> None:
    """Take one step of one parameter; Keras's optimizers put ε elsewhere."""
    if training.optimizer == "sgd":
        change = g
    elif training.optimizer == "adam":
        m = moments["m"].assign(ADAM_BETA1 * moments["m"] + (1 - ADAM_BETA1) * g)
        v = moments["v"].assign(ADAM_BETA2 * moments["v"] + (1 - ADAM_BETA2) * g * g)
        change = m / (tf.sqrt(v) * correction + EPSILON)
    else:
        decay = training.rmsprop_decay
        v = moments["v"].assign(decay * moments["v"] + (1 - decay) * g * g)
        change = g / (tf.sqrt(v) + EPSILON)
    parameter.assign_sub(rate * change)
