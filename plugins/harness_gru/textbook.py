"""The gated recurrent unit as printed: the reset gate is applied to the state before the recurrent product.

Source: Cho et al. 2014, arXiv:1406.1078v3; D2L `gru_tilde_H`. Gates r, z, n in the same layout as
`harness_gru.cell`, so that the two can start from the same weights; they do not compute the same.
"""

from typing import Any

from harness.contracts.cells import Params, Shapes, State, gated_shapes
from harness.contracts.ops import Array, Ops

state_names = ("H",)


def parameter_shapes(num_inputs: int, num_hiddens: int) -> Shapes:
    """Return W_x, W_h, b_x, b_h with the gates r, z, n stacked."""
    return gated_shapes(3, num_inputs, num_hiddens)


def prepare(params: Params) -> Any:
    """Cut the candidate's weights off the gates': they multiply another matrix."""
    W_h, b_h = params["W_h"], params["b_h"]
    gates = 2 * (W_h.shape[0] // 3)
    return W_h[:gates], b_h[:gates], W_h[gates:], b_h[gates:]


def project(xp: Ops, params: Params, X: Array) -> Array:
    """Return X W_xᵀ + b_x of all gates for the whole sequence."""
    return xp.linear(X, params["W_x"], params["b_x"])


def step(xp: Ops, prepared: Any, x: Array, state: State) -> tuple[Array, State]:
    """H ← (1 − z) n + z H with n = tanh(x_n + (r H) W_hnᵀ + b_hn)."""
    W_rz, b_rz, W_n, b_n = prepared
    (H,) = state
    x_r, x_z, x_n = xp.split(x, 3)
    h_r, h_z = xp.split(xp.linear(H, W_rz, b_rz), 2)
    r = xp.sigmoid(x_r + h_r)
    z = xp.sigmoid(x_z + h_z)
    n = xp.tanh(x_n + xp.linear(r * H, W_n, b_n))
    H = (1 - z) * n + z * H
    return H, (H,)
