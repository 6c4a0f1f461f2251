"""The vanilla recurrent cell with tanh.

Source: Elman, Finding structure in time, 1990; D2L `eq_rnn_with_state`.
"""

from harness.contracts.cells import Params, Shapes, State, gated_shapes
from harness.contracts.ops import Array, Ops

state_names = ("H",)


def parameter_shapes(num_inputs: int, num_hiddens: int) -> Shapes:
    """Return W_x, W_h, b_x, b_h of the one and only 'gate'."""
    return gated_shapes(1, num_inputs, num_hiddens)


def project(xp: Ops, params: Params, X: Array) -> Array:
    """Return X W_xᵀ + b_x for the whole sequence."""
    return xp.linear(X, params["W_x"], params["b_x"])


def step(xp: Ops, params: Params, x: Array, state: State) -> tuple[Array, State]:
    """H ← tanh(x + H W_hᵀ + b_h)."""
    (H,) = state
    H = xp.tanh(x + xp.linear(H, params["W_h"], params["b_h"]))
    return H, (H,)
