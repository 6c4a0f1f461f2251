"""Every cell's own equations on torch tensors: the seeds' "from scratch", at any depth."""

import torch
from torch import Tensor

from harness.contracts import network
from harness.contracts.backends import State
from harness.contracts.cells import Equations
from harness.contracts.network import Architecture, canonical_shapes
from harness_torch.ops import TorchOps


class ScratchNetwork:
    """`harness_torch.model.Network` for any cell."""

    def __init__(self, equations: Equations, architecture: Architecture, device: torch.device) -> None:
        dtype = getattr(torch, architecture.dtype)
        self._xp = TorchOps(dtype, device)
        self._equations = equations
        self._architecture = architecture
        self.parameters = {
            name: torch.zeros(shape, dtype=dtype, device=device, requires_grad=True)
            for name, shape in canonical_shapes(equations, architecture).items()
        }

    def initial_state(self, batch_size: int) -> State:
        """Return each layer's zero state."""
        return network.initial_states(self._xp, self._equations, self._architecture, batch_size)

    def logits(self, X: Tensor, state: State, *, training: bool) -> tuple[Tensor, State]:
        """Run the portable network."""
        return network.logits(
            self._xp, self._equations, self._architecture, self.parameters, X, state, training=training
        )
