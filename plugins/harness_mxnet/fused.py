"""MXNet's own recurrent layers (oneDNN's, cuDNN's on a GPU): the mxnet backend's `fused` implementation.

The operator below `gluon.rnn.LSTM`, `GRU` and `RNN` is called itself: gluon's layers copy their weights
together for it in each step, here they lie together. And it is called once a layer. Given several, MXNet
1.9.1 computes wrong gradients where oneDNN does not do it, in float64 or by a setting: for any two layers
whose inputs need no gradient, for three of a tanh RNN always. Its dropout hears no seed, either.
"""

from collections.abc import Sequence
from typing import Any

from mxnet import nd
from mxnet.context import Context

from harness.contracts.backends import Model
from harness.contracts.cells import Equations
from harness.contracts.network import Architecture, canonical_shapes, layer_prefix
from harness.contracts.training import Training
from harness_mxnet.backend import MXNetBackend
from harness_mxnet.model import MXNetModel
from harness_mxnet.ops import dropout

Array = Any

# In this order the operator wants a layer's weights. Layout and gate orders are the canonical ones.
_NAMES = ("W_x", "W_h", "b_x", "b_h")


class FusedNetwork:
    """`harness_mxnet.model.Network` over the `RNN` operator, its first layer's inputs one-hot as D2L's are."""

    def __init__(self, mode: str, equations: Equations, architecture: Architecture, device: Context) -> None:
        self._mode = mode
        self._num_states = len(equations.state_names)
        self._architecture = architecture
        self._device = device
        self.shapes = canonical_shapes(equations, architecture)
        layers = [[layer_prefix(layer) + name for name in _NAMES] for layer in range(architecture.num_layers)]
        self.groups = [*layers, ["output.W"], ["output.b"]]
        self.constants: list[Array] = []

    def initial_state(self, batch_size: int) -> list[Array]:
        """Return each layer's zero states, each (1, batch_size, num_hiddens)."""
        shape = (1, batch_size, self._architecture.num_hiddens)
        count = self._architecture.num_layers * self._num_states
        return [nd.zeros(shape, self._device, self._architecture.dtype) for _ in range(count)]

    def logits(
        self, parameters: Sequence[Array], X: Array, state: Sequence[Array], *, training: bool
    ) -> tuple[Array, list[Array]]:
        """Run the layers over one-hot inputs."""
        architecture = self._architecture
        *layers, W, b = parameters
        inputs = nd.one_hot(X, architecture.vocab_size, dtype=architecture.dtype)
        last = []
        for layer, flat in enumerate(layers):
            if layer > 0 and training and architecture.dropout > 0:
                inputs = dropout(inputs, architecture.dropout)
            own = state[layer * self._num_states : (layer + 1) * self._num_states]
            inputs, *states = nd.RNN(
                inputs,
                flat,
                *own,
                mode=self._mode,
                num_layers=1,
                state_size=architecture.num_hiddens,
                state_outputs=True,
            )
            last += states
        return nd.FullyConnected(inputs, W, b, num_hidden=architecture.vocab_size, flatten=False), last


def _build(
    mode: str, backend: MXNetBackend, equations: Equations, architecture: Architecture, training: Training
) -> Model:
    network = FusedNetwork(mode, equations, architecture, backend.device)
    return MXNetModel(network, architecture, training, backend.device)


def build_rnn(backend: MXNetBackend, equations: Equations, architecture: Architecture, training: Training) -> Model:
    """Build the vanilla RNN's model; MXNet's default activation would be ReLU."""
    return _build("rnn_tanh", backend, equations, architecture, training)


def build_gru(backend: MXNetBackend, equations: Equations, architecture: Architecture, training: Training) -> Model:
    """Build the GRU's model."""
    return _build("gru", backend, equations, architecture, training)


def build_lstm(backend: MXNetBackend, equations: Equations, architecture: Architecture, training: Training) -> Model:
    """Build the LSTM's model."""
    return _build("lstm", backend, equations, architecture, training)
