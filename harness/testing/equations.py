"""Equations for the contracts: the built-in cells, one that uses every operation, and one that lays dropout open."""

from collections.abc import Mapping
from typing import Any

from harness.contracts.ops import Array, Ops
from harness.testing.models import SMALL

BUILT_IN_CELLS = {
    "rnn": "harness_rnn.cell",
    "gru": "harness_gru.cell",
    "gru-textbook": "harness_gru.textbook",
    "lstm": "harness_lstm.cell",
    "mlp": "harness_mlp.cell",
}


class EveryOperation:
    """Equations that use each operation at least once, and make an array of their own while they run."""

    state_names: tuple[str, ...] = ("H",)

    def parameter_shapes(self, num_inputs: int, num_hiddens: int) -> dict[str, tuple[int, ...]]:
        """Return two gates' shapes."""
        return {"W_x": (2 * num_hiddens, num_inputs), "b_x": (2 * num_hiddens,), "U": (2 * num_hiddens, num_hiddens)}

    def prepare(self, params: Mapping[str, Array]) -> tuple[Array, Array]:
        """Part the recurrent weights."""
        num_hiddens = params["U"].shape[1]
        return params["U"][:num_hiddens], params["U"][num_hiddens:]

    def project(self, xp: Ops, params: Mapping[str, Array], X: Array) -> Array:
        """Project without a bias and add it."""
        return xp.linear(X, params["W_x"]) + params["b_x"]

    def step(self, xp: Ops, prepared: tuple[Array, Array], x: Array, state: Any) -> tuple[Array, Any]:
        """Use every operation that is left."""
        U, V = prepared
        (H,) = state
        a, b = xp.split(x, 2)
        wide = xp.concat([xp.relu(a - 0.1), xp.sigmoid(b)])  # (batch_size, 2 num_hiddens)
        size = H.shape[1]
        H = xp.tanh(H @ U - xp.linear(-H, V) + wide[:, :size] * wide[:, size:])
        H = H / (1 + xp.exp(-a)) + xp.zeros(H.shape)
        return H, (H,)


class DroppedOnes:
    """Equations of one hidden unit that give on what comes in: with weights of one, the second layer sees the mask."""

    state_names: tuple[str, ...] = ("H",)

    def parameter_shapes(self, num_inputs: int, num_hiddens: int) -> dict[str, tuple[int, ...]]:
        """Return the weights of the inputs alone."""
        return {"W_x": (num_hiddens, num_inputs)}

    def project(self, xp: Ops, params: Mapping[str, Array], X: Array) -> Array:
        """Give every token its weight."""
        return xp.linear(X, params["W_x"])

    def step(self, xp: Ops, params: Mapping[str, Array], x: Array, state: Any) -> tuple[Array, Any]:  # noqa: ARG002
        """Give the input on."""
        (H,) = state
        return x + 0 * H, (x + 0 * H,)


DROPPED_ONES = {
    "layers.0.W_x": (1, SMALL.vocab_size),
    "layers.1.W_x": (1, 1),
    "output.W": (SMALL.vocab_size, 1),
    "output.b": (SMALL.vocab_size,),
}
"""The shapes of its two layers and the output."""
