"""A network over a fixed window of learnt embeddings: what a cell is without recurrent connections.

The state only hands on the embeddings of the last tokens, and no output ever enters it, so a token's influence
ends with the window: with `WINDOW` tokens a layer, L layers see L (`WINDOW` − 1) + 1 tokens. The window goes on
over the edge of a minibatch; before a text's first token it holds zeros.

Source: Bengio, Ducharme, Vincent and Jauvin, A neural probabilistic language model, JMLR 3, 2003, without the
direct connections from embeddings to outputs; D2L `sec_mlp`.
"""

from harness.contracts.cells import Params, Shapes, State
from harness.contracts.ops import Array, Ops

WINDOW = 4
"""Tokens that a prediction sees, the newest among them."""

state_names = tuple(f"E{age}" for age in range(1, WINDOW))
"""The embeddings of the tokens before, the youngest first."""


def parameter_shapes(num_inputs: int, num_hiddens: int) -> Shapes:
    """Return W_x, the embeddings (for ids its columns), and W_h, b_h of the hidden layer over the whole window."""
    return {
        "W_x": (num_hiddens, num_inputs),
        "W_h": (num_hiddens, WINDOW * num_hiddens),
        "b_h": (num_hiddens,),
    }


def project(xp: Ops, params: Params, X: Array) -> Array:
    """Return the embeddings X W_xᵀ of the whole sequence."""
    return xp.linear(X, params["W_x"])


def step(xp: Ops, params: Params, x: Array, state: State) -> tuple[Array, State]:
    """H = tanh([x, E1, …] W_hᵀ + b_h), and the window moves on by one."""
    window = (x, *state)  # each (batch_size, num_hiddens)
    return xp.tanh(xp.linear(xp.concat(window), params["W_h"], params["b_h"])), window[:-1]
