"""The updates of `harness.contracts.optimization` on dictionaries of JAX arrays, for use inside a compiled step."""

import jax.numpy as jnp
from jax import Array

from harness.contracts.optimization import ADAM_BETA1, ADAM_BETA2, EPSILON

Arrays = dict[str, Array]
Moments = dict[str, Arrays]
"""The optimizer's arrays by moment, then by parameter."""


def update(
    name: str, params: Arrays, gradients: Arrays, moments: Moments, sizes: tuple[float, float], rmsprop_decay: float
) -> tuple[Arrays, Moments]:
    """Return the parameters and moments after one step."""
    rate, correction = sizes
    moments = {moment: dict(arrays) for moment, arrays in moments.items()}
    params = dict(params)
    for parameter, g in gradients.items():
        if name == "sgd":
            change = g
        elif name == "adam":
            m = ADAM_BETA1 * moments["m"][parameter] + (1 - ADAM_BETA1) * g
            v = ADAM_BETA2 * moments["v"][parameter] + (1 - ADAM_BETA2) * g * g
            moments["m"][parameter], moments["v"][parameter] = m, v
            change = m / (jnp.sqrt(v) * correction + EPSILON)
        else:
            v = rmsprop_decay * moments["v"][parameter] + (1 - rmsprop_decay) * g * g
            moments["v"][parameter] = v
            change = g / (jnp.sqrt(v) + EPSILON)
        params[parameter] = params[parameter] - rate * change
    return params, moments
