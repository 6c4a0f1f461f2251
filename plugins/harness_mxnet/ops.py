"""The operations of cell equations on MXNet arrays."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from mxnet import autograd, nd
from mxnet.context import Context

Array = Any

# MXNet 1.9's arrays know every arithmetic operator but this one.
nd.NDArray.__matmul__ = nd.dot


class MXNetOps:
    """`harness.contracts.ops.Ops` under MXNet's autograd."""

    exp = staticmethod(nd.exp)
    # `Activation` is oneDNN's (cuDNN's on a GPU), vectorised; `nd.tanh` calls the C library for each element.
    tanh = staticmethod(partial(nd.Activation, act_type="tanh"))
    sigmoid = staticmethod(partial(nd.Activation, act_type="sigmoid"))
    relu = staticmethod(partial(nd.Activation, act_type="relu"))

    def __init__(self, dtype: str, device: Context) -> None:
        self._dtype = dtype
        self._device = device
        self.constants: list[Array] = []
        """The arrays that equations made while they were recorded: a traced graph needs them as inputs."""

    def concat(self, arrays: Sequence[Array]) -> Array:
        """Join along the last axis."""
        return nd.concat(*arrays, dim=-1)

    def split(self, x: Array, parts: int) -> Sequence[Array]:
        """Cut the last axis into equal parts; `slice` is several times faster than `split` is on the CPU."""
        size = x.shape[-1] // parts
        whole = (None,) * (x.ndim - 1)
        return [nd.slice(x, begin=(*whole, i * size), end=(*whole, (i + 1) * size)) for i in range(parts)]

    def linear(self, X: Array, W: Array, b: Array | None = None) -> Array:
        """Return X Wᵀ + b, a look-up where X holds ids."""
        num_outputs, num_inputs = W.shape
        if np.issubdtype(X.dtype, np.integer):
            # The bias joins the table, which has fewer rows than the minibatch has tokens.
            table = W.T if b is None else nd.broadcast_add(W.T, b)
            return nd.Embedding(X, table, input_dim=num_inputs, output_dim=num_outputs)
        bias = () if b is None else (b,)
        return nd.FullyConnected(X, W, *bias, num_hidden=num_outputs, no_bias=b is None, flatten=False)

    def zeros(self, shape: tuple[int, ...]) -> Array:
        """Return zeros on the model's device."""
        zeros = nd.zeros(shape, self._device, self._dtype)
        if autograd.is_recording():
            zeros.attach_grad()
            self.constants.append(zeros)
        return zeros

    def scan(self, step: Callable[[Array, Any], tuple[Array, Any]], inputs: Array, state: Any) -> tuple[Array, Any]:
        """Loop over the first axis."""
        outputs = []
        num_steps = inputs.shape[0]
        # Not inputs[t]: the gradient of each would be an array of the whole sequence.
        rows = nd.split(inputs, num_steps, axis=0, squeeze_axis=True)
        for x in rows if num_steps > 1 else [rows]:
            output, state = step(x, state)
            outputs.append(output)
        return nd.stack(*outputs), state

    def dropout(self, x: Array, rate: float) -> Array:
        """Apply an inverted dropout mask."""
        return dropout(x, rate)


def dropout(x: Array, rate: float) -> Array:
    """Apply an inverted dropout mask from MXNet's own generator, which can be seeded; cuDNN has another."""
    return nd.Dropout(x, p=rate, cudnn_off=True)
