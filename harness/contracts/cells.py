"""The contract of a cell's equations: one module, written once, run by every backend.

``params`` holds one layer's arrays under their short names (``W_x``, ``W_h``, ``b_x``, ``b_h``, …),
``X`` the layer's inputs for the whole sequence, time first.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from harness.contracts.ops import Array, Ops

Params = Mapping[str, Array]
State = tuple[Array, ...]
Shapes = dict[str, tuple[int, ...]]


class Equations(Protocol):
    """What the module named by `Cell.equations` provides.

    It may also define ``prepare(params)``, called once a sequence: what it returns is given to `step`
    in place of ``params``. Cut a stacked weight there rather than in the loop.
    """

    state_names: tuple[str, ...]
    """The parts of the state in order: ('H',) or ('H', 'C'). Each is (batch_size, num_hiddens), zero at first."""

    def parameter_shapes(self, num_inputs: int, num_hiddens: int) -> Shapes:
        """Return the layer's parameters in canonical order; a matrix is (outputs, inputs)."""
        ...

    def project(self, xp: Ops, params: Params, X: Array) -> Array:
        """Return what the inputs alone decide, for the whole sequence in one product.

        Shapes: X (num_steps, batch_size, num_inputs), or (num_steps, batch_size) token ids in the
        first layer; the result has num_steps first.
        """
        ...

    def step(self, xp: Ops, params: Any, x: Array, state: State) -> tuple[Array, State]:
        """Take one time step from projected inputs and state to the layer's output and the next state.

        Shapes: x (batch_size, …) one row of `project`'s result; output (batch_size, num_hiddens).
        """
        ...


def gated_shapes(num_gates: int, num_inputs: int, num_hiddens: int) -> Shapes:
    """Return the canonical parameters of a cell with ``num_gates`` stacked gates and two biases each."""
    rows = num_gates * num_hiddens
    return {"W_x": (rows, num_inputs), "W_h": (rows, num_hiddens), "b_x": (rows,), "b_h": (rows,)}
