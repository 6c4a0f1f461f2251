"""Every cell's own equations on JAX arrays, the loop over time a `lax.scan` compiled by XLA.

There is no `fused` beside it: JAX has no recurrent layer, and those of Flax and Haiku are a scan over
their equations too, which XLA fuses just as it does these.
"""

from dataclasses import dataclass

from jax import Array

from harness.contracts import network
from harness.contracts.backends import State
from harness.contracts.cells import Equations, Params
from harness.contracts.network import Architecture
from harness_jax.ops import JaxOps


@dataclass(frozen=True)
class ScratchNetwork:
    """`harness_jax.model.Network` for any cell."""

    equations: Equations
    architecture: Architecture

    def initial_state(self, batch_size: int) -> State:
        """Return each layer's zero state."""
        xp = JaxOps(self.architecture.dtype)
        return network.initial_states(xp, self.equations, self.architecture, batch_size)

    def logits(self, params: Params, X: Array, state: State, key: Array | None) -> tuple[Array, State]:
        """Run the portable network."""
        xp = JaxOps(self.architecture.dtype, key)
        return network.logits(xp, self.equations, self.architecture, params, X, state, training=key is not None)
