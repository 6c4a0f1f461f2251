"""Every cell's own equations on MXNet arrays: the seeds' "from scratch", at any depth."""

from collections.abc import Sequence
from typing import Any

from mxnet.context import Context

from harness.contracts import network
from harness.contracts.cells import Equations
from harness.contracts.network import Architecture, canonical_shapes
from harness_mxnet.ops import MXNetOps

Array = Any


class ScratchNetwork:
    """`harness_mxnet.model.Network` for any cell."""

    def __init__(self, equations: Equations, architecture: Architecture, device: Context) -> None:
        self._xp = MXNetOps(architecture.dtype, device)
        self._equations = equations
        self._architecture = architecture
        self.shapes = canonical_shapes(equations, architecture)
        self.groups = [[name] for name in self.shapes]
        self.constants = self._xp.constants

    def initial_state(self, batch_size: int) -> list[Array]:
        """Return the layers' zero states in one list."""
        return _flat(network.initial_states(self._xp, self._equations, self._architecture, batch_size))

    def logits(
        self, parameters: Sequence[Array], X: Array, state: Sequence[Array], *, training: bool
    ) -> tuple[Array, list[Array]]:
        """Run the portable network."""
        size = len(self._equations.state_names)
        states = tuple(tuple(state[start : start + size]) for start in range(0, len(state), size))
        params = dict(zip(self.shapes, parameters, strict=True))
        logits, last = network.logits(
            self._xp, self._equations, self._architecture, params, X, states, training=training
        )
        return logits, _flat(last)


def _flat(states: tuple[tuple[Array, ...], ...]) -> list[Array]:
    return [part for state in states for part in state]
