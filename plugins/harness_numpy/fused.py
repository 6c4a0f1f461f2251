"""The language model over hand-written layers: the NumPy backend's `fused` implementation."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.contracts.backends import Ids, Model
from harness.contracts.cells import Equations
from harness.contracts.network import Architecture, canonical_shapes, layer_params
from harness.contracts.training import Training
from harness_numpy import optimizers
from harness_numpy.arrays import dropout_mask
from harness_numpy.backend import NumpyBackend
from harness_numpy.layers import GRU, LSTM, RNN, Layer, State
from harness_numpy.model import Array, Arrays, CreateOptimizer, Figures, NumpyModel, Objective, Outcome, objective


class FusedNetwork:
    """`harness_numpy.model.Network` over a stack of layers."""

    def __init__(
        self, layers: Sequence[Layer], num_states: int, architecture: Architecture, objective: Objective
    ) -> None:
        self._layers = layers
        self._objective = objective
        self._num_states = num_states
        self._architecture = architecture
        self._generator = np.random.default_rng(0)

    def seed_dropout(self, generator: np.random.Generator) -> None:
        """Use this generator."""
        self._generator = generator

    def initial_state(self, batch_size: int) -> tuple[State, ...]:
        """Return each layer's zero state."""
        shape = (batch_size, self._architecture.num_hiddens)
        zeros = np.zeros(shape, self._architecture.dtype)
        return tuple((zeros,) * self._num_states for _ in self._layers)

    def logits(self, params: Arrays, X: Ids, state: Any) -> tuple[Array, Any]:
        """Run forward."""
        inputs: Any = X
        last = []
        for index, (layer, layer_state) in enumerate(zip(self._layers, state, strict=True)):
            inputs, layer_state = layer.forward(layer_params(params, index), inputs, layer_state)
            last.append(layer_state)
        return _output(params, inputs), tuple(last)

    def gradients(
        self, params: Arrays, X: Ids, Y: Ids, state: Any, into: Arrays, *, training: bool
    ) -> tuple[Figures, Any]:
        """Run forward and back."""
        dropout = self._architecture.dropout if training else 0.0
        masks: list[Array | None] = []
        inputs: Any = X
        last = []
        for index, (layer, layer_state) in enumerate(zip(self._layers, state, strict=True)):
            mask = None
            if index > 0 and dropout > 0:
                mask = dropout_mask(self._generator, inputs.shape, dropout, inputs.dtype)
                inputs = inputs * mask
            inputs, layer_state = layer.forward(layer_params(params, index), inputs, layer_state)
            masks.append(mask)
            last.append(layer_state)
        figures, _, d_logits = self._objective(_output(params, inputs), Y, with_gradient=True)
        assert d_logits is not None
        d_outputs = _output_gradients(params, inputs, d_logits, into)
        for index, mask in reversed(list(enumerate(masks))):
            d_inputs = self._layers[index].backward(d_outputs, layer_params(into, index))
            if d_inputs is not None:
                d_outputs = d_inputs if mask is None else d_inputs * mask
        return figures, tuple(last)

    def evaluate(self, params: Arrays, X: Ids, Y: Ids, state: Any) -> tuple[Outcome, Any]:
        """Run forward only."""
        logits, state = self.logits(params, X, state)
        return self._objective(logits, Y, with_gradient=False), state


def _output(params: Arrays, H: Array) -> Array:
    flat = H.reshape(-1, H.shape[-1])  # (num_steps * batch_size, num_hiddens)
    logits: Array = flat @ params["output.W"].T + params["output.b"]
    return logits.reshape(*H.shape[:-1], -1)


def _output_gradients(params: Arrays, H: Array, d_logits: Array, into: Arrays) -> Array:
    rows = d_logits.reshape(-1, d_logits.shape[-1])
    np.dot(rows.T, H.reshape(len(rows), -1), out=into["output.W"])
    np.sum(rows, axis=0, out=into["output.b"])
    dH: Array = (rows @ params["output.W"]).reshape(H.shape)
    return dH


def model_of(
    layers: Sequence[Layer],
    equations: Equations,
    architecture: Architecture,
    training: Training,
    objective: Objective = objective,
    create_optimizer: CreateOptimizer = optimizers.create,
) -> Model:
    """Return the model over a stack of layers."""
    network = FusedNetwork(layers, len(equations.state_names), architecture, objective)
    return NumpyModel(network, canonical_shapes(equations, architecture), architecture, training, create_optimizer)


def build_rnn(_: NumpyBackend, equations: Equations, architecture: Architecture, training: Training) -> Model:
    """Build the vanilla RNN's model."""
    return model_of([RNN() for _ in range(architecture.num_layers)], equations, architecture, training)


def build_gru(_: NumpyBackend, equations: Equations, architecture: Architecture, training: Training) -> Model:
    """Build the GRU's model."""
    return model_of([GRU() for _ in range(architecture.num_layers)], equations, architecture, training)


def build_lstm(_: NumpyBackend, equations: Equations, architecture: Architecture, training: Training) -> Model:
    """Build the LSTM's model."""
    return model_of([LSTM() for _ in range(architecture.num_layers)], equations, architecture, training)
