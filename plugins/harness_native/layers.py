"""Recurrent layers over the compiled kernels.

The kernels go through time; input products and weight gradients are one BLAS product over the whole sequence.
The first layer's inputs are ids: its "product" is a row of W_xᵀ, which the kernels read where they need it.

Source: Werbos 1990 (backpropagation through time); Appleyard et al. 2016, "Optimizing Performance of Recurrent
Neural Networks on GPUs" (one product for all time steps).
"""

import numpy as np

from harness_native.kernels import Array, Ids, Kernels, Workspace, require_rows
from harness_numpy.layers import Inputs, Params, State


class _Sequence:
    """What the three layers share: one minibatch's inputs, its buffers, and the products over all time steps."""

    def __init__(self, dtype: np.dtype) -> None:
        self.kernels = Kernels(dtype)
        self.room = Workspace(dtype)
        self._forward_weights = Workspace(dtype)
        self._backward_weights = Workspace(dtype)

    def begin(self, params: Params, X: Inputs) -> None:
        """Project the inputs: into `inputs` a row a token, or the table of which `ids` names the rows."""
        self.params, self.X = params, X
        self.num_steps, self.batch_size = X.shape[:2]
        rows, self.num_hiddens = params["W_h"].shape
        self.gates = self.room.array("gates", (self.num_steps, self.batch_size, rows))
        self.ids: Ids | None = None
        W_x = params["W_x"]
        if np.issubdtype(X.dtype, np.integer):
            self.ids = np.ascontiguousarray(X, np.int64)
            require_rows(self.ids, W_x.shape[1])
            self.inputs = self.room.array("table", W_x.T.shape)
            self.inputs[...] = W_x.T
        else:
            # The gates take the place of what they are made from.
            self.inputs = self.gates
            np.dot(self._flat(X), W_x.T, out=self._flat(self.gates))

    def states(self, name: str, first: Array) -> Array:
        """Return room for a state of each step after ``first``: (num_steps + 1, batch_size, num_hiddens)."""
        states = self.room.array(name, (self.num_steps + 1, self.batch_size, self.num_hiddens))
        states[0] = first
        return states

    def step_room(self, name: str, num_blocks: int) -> Array:
        """Return room for one step: (batch_size, num_blocks * num_hiddens)."""
        return self.room.array(name, (self.batch_size, num_blocks * self.num_hiddens))

    def sequence_room(self, name: str, num_blocks: int) -> Array:
        """Return room for every step: (num_steps, batch_size, num_blocks * num_hiddens)."""
        return self.room.array(name, (self.num_steps, self.batch_size, num_blocks * self.num_hiddens))

    def sizes(self) -> tuple[int, int, int]:
        """Return what every kernel takes first."""
        return self.num_steps, self.batch_size, self.num_hiddens

    def forward_weights(self) -> Array:
        """Return W_hᵀ packed."""
        return self.kernels.pack(self.params["W_h"].T, self._forward_weights)

    def backward_weights(self) -> Array:
        """Return W_h packed."""
        return self.kernels.pack(self.params["W_h"], self._backward_weights)

    def input_gradients(self, dX: Array, into: Params) -> Array | None:
        """Write W_x's gradient; return the inputs', or None where they were ids.

        Shapes: dX (num_steps, batch_size, num_gates * num_hiddens), the gradient at X W_xᵀ.
        """
        W_x = self.params["W_x"]
        flat = self._flat(dX)
        if self.ids is not None:
            sums = self.room.array("sums", W_x.T.shape)
            self.kernels.call("add_by_id", len(flat), W_x.shape[1], W_x.shape[0], self.ids, flat, sums)
            into["W_x"][...] = sums.T
            return None
        np.dot(flat.T, self._flat(self.X), out=into["W_x"])
        d_inputs = self.room.array("d_inputs", self.X.shape)
        np.dot(flat, W_x, out=self._flat(d_inputs))
        return d_inputs

    def recurrent_gradients(self, dP: Array, H: Array, into: Params) -> None:
        """Write W_h's gradient. Shapes: dP as the gates, the gradient at H W_hᵀ; H with the first state."""
        np.dot(self._flat(dP).T, self._flat(H[:-1]), out=into["W_h"])

    @staticmethod
    def _flat(array: Array) -> Array:
        return array.reshape(-1, array.shape[-1])


class RNN:
    """`harness_numpy.layers.Layer` of the vanilla cell."""

    def __init__(self, dtype: np.dtype) -> None:
        self._sequence = _Sequence(dtype)

    def forward(self, params: Params, X: Inputs, state: State) -> tuple[Array, State]:
        """Run the layer."""
        s = self._sequence
        s.begin(params, X)
        self._H = H = s.states("H", state[0])
        bias = params["b_x"] + params["b_h"]
        s.kernels.call("rnn_forward", *s.sizes(), s.inputs, s.ids, s.forward_weights(), bias, H)
        return H[1:], (H[-1].copy(),)

    def backward(self, dY: Array, into: Params) -> Array | None:
        """Go back through time."""
        s, H = self._sequence, self._H
        room = s.step_room("dH", 1)
        s.kernels.call("rnn_backward", *s.sizes(), dY, H, s.backward_weights(), s.gates, into["b_h"], room)
        into["b_x"][...] = into["b_h"]
        s.recurrent_gradients(s.gates, H, into)
        return s.input_gradients(s.gates, into)


class GRU:
    """`harness_numpy.layers.Layer` of the GRU whose reset gate comes after the product."""

    def __init__(self, dtype: np.dtype) -> None:
        self._sequence = _Sequence(dtype)

    def forward(self, params: Params, X: Inputs, state: State) -> tuple[Array, State]:
        """Run the layer."""
        s = self._sequence
        s.begin(params, X)
        h = s.num_hiddens
        bias = params["b_x"].copy()
        bias[: 2 * h] += params["b_h"][: 2 * h]
        self._H = H = s.states("H", state[0])
        self._N = s.sequence_room("N", 1)
        weights, b_hn, room = s.forward_weights(), params["b_h"][2 * h :], s.step_room("P", 3)
        s.kernels.call("gru_forward", *s.sizes(), s.inputs, s.ids, weights, bias, b_hn, H, s.gates, self._N, room)
        return H[1:], (H[-1].copy(),)

    def backward(self, dY: Array, into: Params) -> Array | None:
        """Go back through time."""
        s, H = self._sequence, self._H
        dP = s.sequence_room("dP", 3)
        room = s.step_room("dH", 1), s.step_room("carried", 1)
        biases = into["b_x"], into["b_h"]
        s.kernels.call("gru_backward", *s.sizes(), dY, H, self._N, s.backward_weights(), s.gates, dP, *biases, *room)
        s.recurrent_gradients(dP, H, into)
        return s.input_gradients(s.gates, into)


class LSTM:
    """`harness_numpy.layers.Layer` of the LSTM."""

    def __init__(self, dtype: np.dtype) -> None:
        self._sequence = _Sequence(dtype)

    def forward(self, params: Params, X: Inputs, state: State) -> tuple[Array, State]:
        """Run the layer."""
        s = self._sequence
        s.begin(params, X)
        self._H, self._C = H, C = s.states("H", state[0]), s.states("C", state[1])
        self._tanh_C = s.sequence_room("tanh_C", 1)
        bias, room = params["b_x"] + params["b_h"], s.step_room("P", 4)
        weights = s.forward_weights()
        s.kernels.call("lstm_forward", *s.sizes(), s.inputs, s.ids, weights, bias, H, C, s.gates, self._tanh_C, room)
        return H[1:], (H[-1].copy(), C[-1].copy())

    def backward(self, dY: Array, into: Params) -> Array | None:
        """Go back through time."""
        s = self._sequence
        room = s.step_room("dH", 1), s.step_room("dC", 1)
        weights = s.backward_weights()
        s.kernels.call("lstm_backward", *s.sizes(), dY, self._C, self._tanh_C, weights, s.gates, into["b_h"], *room)
        into["b_x"][...] = into["b_h"]
        s.recurrent_gradients(s.gates, self._H, into)
        return s.input_gradients(s.gates, into)
