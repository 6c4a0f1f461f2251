"""PyTorch's own recurrent layers (cuDNN's on a GPU): the torch backend's `fused` implementation."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.contracts.backends import Model, State
from harness.contracts.cells import Equations
from harness.contracts.network import Architecture, layer_prefix
from harness.contracts.training import Training
from harness_torch.backend import TorchBackend
from harness_torch.model import TorchModel

# The canonical layout and gate orders are torch's own, so nothing is transposed or permuted.
_NAMES = {"W_x": "weight_ih", "W_h": "weight_hh", "b_x": "bias_ih", "b_h": "bias_hh"}


class FusedNetwork:
    """`harness_torch.model.Network` over nn.RNN, nn.GRU or nn.LSTM and a linear output layer."""

    def __init__(
        self, layer_kind: type[nn.RNNBase], num_states: int, architecture: Architecture, device: torch.device
    ) -> None:
        sizes = architecture.vocab_size, architecture.num_hiddens
        kind: dict[str, Any] = {"dtype": getattr(torch, architecture.dtype), "device": device}
        # nn.LSTM warns where dropout has no layer to act on.
        dropout = architecture.dropout if architecture.num_layers > 1 else 0.0
        self._layers = layer_kind(*sizes, architecture.num_layers, dropout=dropout, **kind)
        self._output = nn.Linear(architecture.num_hiddens, architecture.vocab_size, **kind)
        self._architecture = architecture
        self._num_states = num_states
        self.parameters: dict[str, Tensor] = {
            layer_prefix(layer) + short: getattr(self._layers, f"{name}_l{layer}")
            for layer in range(architecture.num_layers)
            for short, name in _NAMES.items()
        }
        self.parameters |= {"output.W": self._output.weight, "output.b": self._output.bias}

    def initial_state(self, batch_size: int) -> State:
        """Return zeros, each (num_layers, batch_size, num_hiddens)."""
        shape = (self._architecture.num_layers, batch_size, self._architecture.num_hiddens)
        zeros = torch.zeros(shape, dtype=self._output.weight.dtype, device=self._output.weight.device)
        return (zeros,) * self._num_states

    def logits(self, X: Tensor, state: State, *, training: bool) -> tuple[Tensor, State]:
        """Run the layers over one-hot inputs, as D2L's concise implementation does."""
        self._layers.train(training)
        inputs = functional.one_hot(X, self._architecture.vocab_size).to(self._output.weight.dtype)
        outputs, last = self._layers(inputs, state if self._num_states > 1 else state[0])
        return self._output(outputs), last if self._num_states > 1 else (last,)


def _build(
    layer_kind: type[nn.RNNBase],
    backend: TorchBackend,
    equations: Equations,
    architecture: Architecture,
    training: Training,
) -> Model:
    network = FusedNetwork(layer_kind, len(equations.state_names), architecture, backend.device)
    return TorchModel(network, training, backend.device)


def build_rnn(backend: TorchBackend, equations: Equations, architecture: Architecture, training: Training) -> Model:
    """Build the vanilla RNN's model; nn.RNN's default activation is tanh."""
    return _build(nn.RNN, backend, equations, architecture, training)


def build_gru(backend: TorchBackend, equations: Equations, architecture: Architecture, training: Training) -> Model:
    """Build the GRU's model."""
    return _build(nn.GRU, backend, equations, architecture, training)


def build_lstm(backend: TorchBackend, equations: Equations, architecture: Architecture, training: Training) -> Model:
    """Build the LSTM's model."""
    return _build(nn.LSTM, backend, equations, architecture, training)
