"""Every cell's own equations on TensorFlow tensors."""

import tensorflow as tf

from harness.contracts import network
from harness.contracts.backends import State
from harness.contracts.cells import Equations
from harness.contracts.network import Architecture, canonical_shapes
from harness_tensorflow.ops import Tensor, TensorflowOps


class ScratchNetwork:
    """`harness_tensorflow.model.Network` for any cell."""

    def __init__(self, equations: Equations, architecture: Architecture) -> None:
        self._equations = equations
        self._architecture = architecture
        self.parameters = {
            name: tf.Variable(tf.zeros(shape, architecture.dtype), name=name)
            for name, shape in canonical_shapes(equations, architecture).items()
        }

    def initial_state(self, batch_size: int) -> State:
        """Return each layer's zero state."""
        xp = TensorflowOps(self._architecture.dtype)
        return network.initial_states(xp, self._equations, self._architecture, batch_size)

    def logits(self, X: Tensor, state: State, seed: Tensor | None) -> tuple[Tensor, State]:
        """Run the portable network."""
        xp = TensorflowOps(self._architecture.dtype, seed)
        # Read each variable once, not in every step of the loop.
        params = {name: tf.convert_to_tensor(variable) for name, variable in self.parameters.items()}
        training = seed is not None
        return network.logits(xp, self._equations, self._architecture, params, X, state, training=training)
