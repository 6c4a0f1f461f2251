"""What the optimizers' names mean, in every backend: the update formulas and their constants.

With g the gradient after clipping and η the learning rate:

- ``sgd``      w ← w − η g
- ``adam``     m ← β₁ m + (1 − β₁) g,  v ← β₂ v + (1 − β₂) g²,
  w ← w − η m̂ / (√v̂ + ε)  with m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ)  (Kingma and Ba 2015)
- ``rmsprop``  v ← α v + (1 − α) g²,  w ← w − η g / (√v + ε)  (Tieleman and Hinton 2012)

η may fall from epoch to epoch (`Training.learning_rate_in`), and α is the training's ``rmsprop_decay``.

Clipping scales all gradients by min(1, grad_clip / ‖g‖), ‖g‖ the norm over all parameters together
(D2L `sec_rnn-scratch`). A backend's own optimizer may be used where it computes just this.
"""

import math
from dataclasses import dataclass

from harness.contracts.settings import Range

ADAM_BETA1 = 0.9
ADAM_BETA2 = 0.999
RMSPROP_ALPHA = 0.99
"""Torch's default; a trial may name another."""
EPSILON = 1e-8


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """What the harness knows of an optimizer; the update itself is each backend's."""

    learning_rate: float
    """Where none is given."""
    moments: tuple[str, ...]
    """The arrays it keeps for each parameter, as checkpoints name them (``optimizer.m.output.W``)."""
    rates: Range
    """Where a search looks for its learning rate: from too slow to learn in a few epochs to where models diverge."""


OPTIMIZERS = {
    "sgd": Optimizer(learning_rate=1.0, moments=(), rates=Range(low=0.1, high=10.0)),
    "adam": Optimizer(learning_rate=0.003, moments=("m", "v"), rates=Range(low=0.0003, high=0.1)),
    "rmsprop": Optimizer(learning_rate=0.002, moments=("v",), rates=Range(low=0.0003, high=0.1)),
}
"""By name. SGD's rate is D2L's for all three cells; the others' are where the default grid learns fastest without
diverging."""
STEP = "optimizer.step"
"""The number of updates done so far, as checkpoints name it."""


def moment_name(moment: str, parameter: str) -> str:
    """Return the checkpoint's name of one parameter's moment."""
    return f"optimizer.{moment}.{parameter}"


def step_sizes(optimizer: str, learning_rate: float, step: int) -> tuple[float, float]:
    """Return what update number ``step`` (from 1) multiplies the change and √v by: Adam's bias corrections, else 1.

    To be computed in double precision, outside a compiled step: 1 − β₂ᵗ loses half its digits in float32.
    """
    if optimizer == "adam":
        return learning_rate / (1 - ADAM_BETA1**step), 1 / math.sqrt(1 - ADAM_BETA2**step)
    return learning_rate, 1.0
