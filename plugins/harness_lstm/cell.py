"""The long short-term memory cell with a forget gate and no peepholes.

Source: Hochreiter and Schmidhuber 1997; Gers, Schmidhuber and Cummins 2000; D2L `sec_lstm`. Gates i, f, g, o.
"""

from harness.contracts.cells import Params, Shapes, State, gated_shapes
from harness.contracts.ops import Array, Ops

state_names = ("H", "C")


def parameter_shapes(num_inputs: int, num_hiddens: int) -> Shapes:
    """Return W_x, W_h, b_x, b_h with the gates i, f, g, o stacked."""
    return gated_shapes(4, num_inputs, num_hiddens)


def project(xp: Ops, params: Params, X: Array) -> Array:
    """Return X W_xᵀ + b_x of all gates for the whole sequence."""
    return xp.linear(X, params["W_x"], params["b_x"])


def step(xp: Ops, params: Params, x: Array, state: State) -> tuple[Array, State]:
    """C ← f C + i g, H ← o tanh(C)."""
    H, C = state
    i, f, g, o = xp.split(x + xp.linear(H, params["W_h"], params["b_h"]), 4)
    C = xp.sigmoid(f) * C + xp.sigmoid(i) * xp.tanh(g)
    H = xp.sigmoid(o) * xp.tanh(C)
    return H, (H, C)
