"""Recurrent layers with the backward pass written by hand: what `fused` means on the NumPy backend.

Input products, and all weight gradients, are one product over the whole sequence; only the recurrent
product stays in the loop over time. The backward passes are checked in the tests against finite
differences in float64 and against PyTorch.

Source: Werbos 1990 (backpropagation through time); D2L `sec_bptt`.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from harness_numpy.arrays import one_hot_product

Array = NDArray[np.floating[Any]]
Inputs = NDArray[Any]
"""(num_steps, batch_size, num_inputs), or (num_steps, batch_size) token ids in the first layer."""
State = tuple[Array, ...]
Params = Mapping[str, Array]


class Layer(Protocol):
    """One layer over one minibatch: `forward` fills it, `backward` reads what it kept."""

    def forward(self, params: Params, X: Inputs, state: State) -> tuple[Array, State]:
        """Return the outputs (num_steps, batch_size, num_hiddens) and the last state."""
        ...

    def backward(self, dY: Array, into: Params) -> Array | None:
        """Write the parameters' gradients; return the inputs' gradient, or None where they were ids."""
        ...


class RNN:
    """H ← tanh(x + H W_hᵀ + b_h)."""

    def forward(self, params: Params, X: Inputs, state: State) -> tuple[Array, State]:
        """Run the layer."""
        self._params, self._X = params, X
        Z = _project(X, params["W_x"], params["b_x"] + params["b_h"])  # (num_steps, batch_size, num_hiddens)
        self._H = H = _with_first(state[0], len(Z))
        W_hT = _packed_transpose(params["W_h"])
        for t, z in enumerate(Z):
            np.dot(H[t], W_hT, out=H[t + 1])
            H[t + 1] += z
            np.tanh(H[t + 1], out=H[t + 1])
        return H[1:], (H[-1].copy(),)

    def backward(self, dY: Array, into: Params) -> Array | None:
        """Go back through time."""
        H, W_h = self._H, self._params["W_h"]
        dZ = np.empty_like(dY)
        dH = np.zeros_like(H[0])
        for t in reversed(range(len(dY))):
            dH += dY[t]
            dz = dZ[t]
            np.multiply(H[t + 1], H[t + 1], out=dz)  # tanh' = 1 - tanh²
            np.subtract(1, dz, out=dz)
            dz *= dH
            np.dot(dz, W_h, out=dH)
        _recurrent_gradients(dZ, H, into)
        return _input_gradients(dZ, self._X, self._params["W_x"], into)


class GRU:
    """H ← (1 − z) n + z H with n = tanh(x_n + r (H W_hnᵀ + b_hn)); gates r, z, n."""

    def forward(self, params: Params, X: Inputs, state: State) -> tuple[Array, State]:
        """Run the layer."""
        self._params, self._X = params, X
        h = params["W_h"].shape[1]
        self._gates = gates = _project(X, params["W_x"], params["b_x"])  # (num_steps, batch_size, 3 h)
        self._H = H = _with_first(state[0], len(gates))
        self._h_n = np.empty_like(H[1:])  # the candidate's recurrent product, which r scales
        W_hT = _packed_transpose(params["W_h"])
        product = np.empty_like(gates[0])
        for t, gate in enumerate(gates):
            np.dot(H[t], W_hT, out=product)
            product += params["b_h"]
            rz, n = gate[:, : 2 * h], gate[:, 2 * h :]
            rz += product[:, : 2 * h]
            _sigmoid_in_place(rz)
            r, z = rz[:, :h], rz[:, h:]
            self._h_n[t] = product[:, 2 * h :]
            n += r * self._h_n[t]
            np.tanh(n, out=n)
            np.subtract(H[t], n, out=H[t + 1])  # (1 - z) n + z H = n + z (H - n)
            H[t + 1] *= z
            H[t + 1] += n
        return H[1:], (H[-1].copy(),)

    def backward(self, dY: Array, into: Params) -> Array | None:
        """Go back through time."""
        H, W_h, gates = self._H, self._params["W_h"], self._gates
        h = W_h.shape[1]
        dX_side = np.empty_like(gates)  # gradient at x W_xᵀ + b_x
        dH_side = np.empty_like(gates)  # gradient at H W_hᵀ + b_h; differs in the candidate's block
        dH = np.zeros_like(H[0])
        for t in reversed(range(len(dY))):
            dH += dY[t]
            r, z, n = gates[t, :, :h], gates[t, :, h : 2 * h], gates[t, :, 2 * h :]
            dx, dh = dX_side[t], dH_side[t]
            d_n = dx[:, 2 * h :]
            np.multiply(dH, (1 - z) * (1 - n * n), out=d_n)
            np.multiply(d_n, r, out=dh[:, 2 * h :])
            np.multiply(d_n, self._h_n[t], out=dx[:, :h])
            dx[:, :h] *= r * (1 - r)
            np.multiply(dH, H[t] - n, out=dx[:, h : 2 * h])
            dx[:, h : 2 * h] *= z * (1 - z)
            dh[:, : 2 * h] = dx[:, : 2 * h]
            carried = dH * z
            np.dot(dh, W_h, out=dH)
            dH += carried
        _recurrent_gradients(dH_side, H, into)
        return _input_gradients(dX_side, self._X, self._params["W_x"], into)


class LSTM:
    """C ← f C + i g, H ← o tanh(C); gates i, f, g, o."""

    def forward(self, params: Params, X: Inputs, state: State) -> tuple[Array, State]:
        """Run the layer."""
        self._params, self._X = params, X
        h = params["W_h"].shape[1]
        self._gates = gates = _project(X, params["W_x"], params["b_x"] + params["b_h"])  # (num_steps, batch_size, 4 h)
        self._H = H = _with_first(state[0], len(gates))
        self._C = C = _with_first(state[1], len(gates))
        self._tanh_C = np.empty_like(C[1:])
        W_hT = _packed_transpose(params["W_h"])
        product = np.empty_like(gates[0])
        for t, gate in enumerate(gates):
            np.dot(H[t], W_hT, out=product)
            gate += product
            i_f, g, o = gate[:, : 2 * h], gate[:, 2 * h : 3 * h], gate[:, 3 * h :]
            _sigmoid_in_place(i_f)
            _sigmoid_in_place(o)
            np.tanh(g, out=g)
            np.multiply(i_f[:, h:], C[t], out=C[t + 1])
            C[t + 1] += i_f[:, :h] * g
            np.tanh(C[t + 1], out=self._tanh_C[t])
            np.multiply(o, self._tanh_C[t], out=H[t + 1])
        return H[1:], (H[-1].copy(), C[-1].copy())

    def backward(self, dY: Array, into: Params) -> Array | None:
        """Go back through time."""
        H, C, W_h, gates = self._H, self._C, self._params["W_h"], self._gates
        h = W_h.shape[1]
        dZ = np.empty_like(gates)
        dH = np.zeros_like(H[0])
        dC = np.zeros_like(C[0])
        for t in reversed(range(len(dY))):
            dH += dY[t]
            tanh_C = self._tanh_C[t]
            i, f, g, o = (gates[t, :, k * h : (k + 1) * h] for k in range(4))
            dC += dH * o * (1 - tanh_C * tanh_C)
            dz = dZ[t]
            np.multiply(dC, g, out=dz[:, :h])
            np.multiply(dC, C[t], out=dz[:, h : 2 * h])
            np.multiply(dC, i, out=dz[:, 2 * h : 3 * h])
            np.multiply(dH, tanh_C, out=dz[:, 3 * h :])
            slopes = gates[t] * (1 - gates[t])  # sigmoid' of i, f, o; g's block is overwritten
            np.subtract(1, g * g, out=slopes[:, 2 * h : 3 * h])
            dz *= slopes
            dC *= f
            np.dot(dz, W_h, out=dH)
        _recurrent_gradients(dZ, H, into)
        return _input_gradients(dZ, self._X, self._params["W_x"], into)


def _project(X: Inputs, W_x: Array, bias: Array) -> Array:
    """Return X W_xᵀ + bias in fresh memory the layer may overwrite."""
    if np.issubdtype(X.dtype, np.integer):
        table: Array = W_x.T + bias  # one row a token
        return table[X]
    product = X.reshape(-1, X.shape[-1]) @ W_x.T  # (num_steps * batch_size, num_gates * num_hiddens)
    product += bias
    projected: Array = product.reshape(*X.shape[:-1], -1)
    return projected


def _packed_transpose(W_h: Array) -> Array:
    # OpenBLAS multiplies a 32-row state by a packed transpose 1.5 times as fast as by a transposed view;
    # the copy is paid once a sequence.
    return np.ascontiguousarray(W_h.T)


def _with_first(first: Array, num_steps: int) -> Array:
    """Return room for the first state and one for each step."""
    states = np.empty((num_steps + 1, *first.shape), first.dtype)
    states[0] = first
    return states


def _sigmoid_in_place(x: Array) -> None:
    """Use tanh: it can't overflow, and NumPy's is vectorised."""
    x *= 0.5
    np.tanh(x, out=x)
    x *= 0.5
    x += 0.5


def _recurrent_gradients(dZ: Array, H: Array, into: Params) -> None:
    flat = dZ.reshape(-1, dZ.shape[-1])
    np.dot(flat.T, H[:-1].reshape(len(flat), -1), out=into["W_h"])
    np.sum(flat, axis=0, out=into["b_h"])


def _input_gradients(dZ: Array, X: Inputs, W_x: Array, into: Params) -> Array | None:
    flat = dZ.reshape(-1, dZ.shape[-1])
    np.sum(flat, axis=0, out=into["b_x"])
    if np.issubdtype(X.dtype, np.integer):
        into["W_x"][...] = one_hot_product(X.reshape(-1), flat, W_x.shape[1])
        return None
    np.dot(flat.T, X.reshape(len(flat), -1), out=into["W_x"])
    dX: Array = (flat @ W_x).reshape(X.shape)
    return dX
