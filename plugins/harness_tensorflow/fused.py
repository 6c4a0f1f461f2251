"""Keras's own recurrent layers (cuDNN's LSTM and GRU on a GPU): the tensorflow backend's `fused` implementation.

The canonical parameters are the variables that train. In each step the layers are called as functions of
them in Keras's layout: so the LSTM's one bias is the sum of two that both train, and nothing the layers
would add of their own (a forget gate's bias of 1) is ever there.
"""

import keras
import tensorflow as tf

from harness.contracts.backends import Model, State
from harness.contracts.cells import Equations, Params
from harness.contracts.network import Architecture, canonical_shapes, layer_params
from harness.contracts.training import Training
from harness_tensorflow.backend import TensorflowBackend
from harness_tensorflow.model import TensorflowModel
from harness_tensorflow.ops import Tensor


class FusedNetwork:
    """`harness_tensorflow.model.Network` over SimpleRNN, GRU or LSTM layers."""

    def __init__(self, layer_kind: type[keras.layers.RNN], equations: Equations, architecture: Architecture) -> None:
        self._architecture = architecture
        self._num_states = len(equations.state_names)
        self.parameters = {
            name: tf.Variable(tf.zeros(shape, architecture.dtype), name=name)
            for name, shape in canonical_shapes(equations, architecture).items()
        }
        self._layers = [
            layer_kind(architecture.num_hiddens, return_sequences=True, return_state=True, dtype=architecture.dtype)
            for _ in range(architecture.num_layers)
        ]
        num_inputs = architecture.vocab_size
        for layer in self._layers:
            layer.build((None, None, num_inputs))
            num_inputs = architecture.num_hiddens

    def initial_state(self, batch_size: int) -> State:
        """Return each layer's zero state."""
        zeros = tf.zeros((batch_size, self._architecture.num_hiddens), self._architecture.dtype)
        return ((zeros,) * self._num_states,) * self._architecture.num_layers

    def logits(self, X: Tensor, state: State, seed: Tensor | None) -> tuple[Tensor, State]:
        """Run the layers over one-hot inputs, as D2L's concise implementation does."""
        one_hot = tf.one_hot(X, self._architecture.vocab_size, dtype=self._architecture.dtype)
        inputs = tf.transpose(one_hot, (1, 0, 2))  # Keras is batch first: (batch_size, num_steps, vocab_size)
        last_states = []
        for index, layer in enumerate(self._layers):
            if index > 0 and seed is not None and self._architecture.dropout > 0:
                seed = tf.random.experimental.stateless_fold_in(seed, 1)
                inputs = tf.nn.experimental.stateless_dropout(inputs, self._architecture.dropout, seed)
            (inputs, *last), _ = layer.stateless_call(
                _in_keras_layout(layer, layer_params(self.parameters, index)),
                [variable.value for variable in layer.non_trainable_variables],
                inputs,
                initial_state=list(state[index]),
            )
            last_states.append(tuple(last))
        W, b = self.parameters["output.W"], self.parameters["output.b"]
        rows = tf.reshape(inputs, (-1, inputs.shape[-1]))  # (batch_size * num_steps, num_hiddens)
        logits = tf.reshape(tf.matmul(rows, W, transpose_b=True) + b, (*inputs.shape[:2], -1))
        return tf.transpose(logits, (1, 0, 2)), tuple(last_states)


def _in_keras_layout(layer: keras.layers.RNN, params: Params) -> list[Tensor]:
    """Return kernel, recurrent kernel and bias."""
    W_x, W_h, b_x, b_h = (params[name] for name in ("W_x", "W_h", "b_x", "b_h"))
    if not isinstance(layer, keras.layers.GRU):
        return [tf.transpose(W_x), tf.transpose(W_h), b_x + b_h]
    W_x, W_h, b_x, b_h = (_update_gate_first(array) for array in (W_x, W_h, b_x, b_h))
    return [tf.transpose(W_x), tf.transpose(W_h), tf.stack([b_x, b_h])]


def _update_gate_first(stacked: Tensor) -> Tensor:
    """Turn the gates r, z, n into Keras's z, r, h."""
    r, z, n = tf.split(stacked, 3)
    return tf.concat([z, r, n], axis=0)


def _build(
    layer_kind: type[keras.layers.RNN], equations: Equations, architecture: Architecture, training: Training
) -> Model:
    return TensorflowModel(FusedNetwork(layer_kind, equations, architecture), architecture, training)


def build_rnn(_: TensorflowBackend, equations: Equations, architecture: Architecture, training: Training) -> Model:
    """Build the vanilla RNN's model; SimpleRNN's default activation is tanh."""
    return _build(keras.layers.SimpleRNN, equations, architecture, training)


def build_gru(_: TensorflowBackend, equations: Equations, architecture: Architecture, training: Training) -> Model:
    """Build the GRU's model; Keras's default resets after the product."""
    return _build(keras.layers.GRU, equations, architecture, training)


def build_lstm(_: TensorflowBackend, equations: Equations, architecture: Architecture, training: Training) -> Model:
    """Build the LSTM's model."""
    return _build(keras.layers.LSTM, equations, architecture, training)
