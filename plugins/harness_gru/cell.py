"""The gated recurrent unit with the reset gate applied after the recurrent product, as in cuDNN.

Source: Cho et al. 2014, arXiv:1406.1078v1; D2L `sec_gru`, its concise implementation. Gates r, z, n.
"""

from harness.contracts.cells import Params, Shapes, State, gated_shapes
from harness.contracts.ops import Array, Ops

state_names = ("H",)


def parameter_shapes(num_inputs: int, num_hiddens: int) -> Shapes:
    """Return W_x, W_h, b_x, b_h with the gates r, z, n stacked."""
    return gated_shapes(3, num_inputs, num_hiddens)


def project(xp: Ops, params: Params, X: Array) -> Array:
    """Return X W_xᵀ + b_x of all gates for the whole sequence."""
    return xp.linear(X, params["W_x"], params["b_x"])


def step(xp: Ops, params: Params, x: Array, state: State) -> tuple[Array, State]:
    """H ← (1 − z) n + z H with n = tanh(x_n + r (H W_hnᵀ + b_hn))."""
    (H,) = state
    x_r, x_z, x_n = xp.split(x, 3)
    h_r, h_z, h_n = xp.split(xp.linear(H, params["W_h"], params["b_h"]), 3)
    r = xp.sigmoid(x_r + h_r)
    z = xp.sigmoid(x_z + h_z)
    n = xp.tanh(x_n + r * h_n)
    H = (1 - z) * n + z * H
    return H, (H,)
