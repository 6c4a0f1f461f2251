"""The operations of cell equations on TensorFlow tensors."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

Tensor = Any

_UNROLLED_STEPS = 64
"""Longer sequences stay loops in the graph: unrolled they train a sixth faster, but the first step takes them
0.05 s a time step, where a loop takes 1 s however long it is (two LSTM layers)."""


class TensorflowOps:
    """`harness.contracts.ops.Ops` under a gradient tape; made anew for each trace."""

    exp = staticmethod(tf.exp)
    tanh = staticmethod(tf.tanh)
    sigmoid = staticmethod(tf.sigmoid)
    relu = staticmethod(tf.nn.relu)

    def __init__(self, dtype: str, seed: Tensor | None = None) -> None:
        self._dtype = dtype
        self._seed = seed

    def concat(self, arrays: Sequence[Tensor]) -> Tensor:
        """Join along the last axis."""
        return tf.concat(arrays, axis=-1)

    def split(self, x: Tensor, parts: int) -> Sequence[Tensor]:
        """Cut the last axis into equal parts."""
        pieces: Sequence[Tensor] = tf.split(x, parts, axis=-1)
        return pieces

    def linear(self, X: Tensor, W: Tensor, b: Tensor | None = None) -> Tensor:
        """Return X Wᵀ + b, a look-up where X holds ids."""
        if X.dtype.is_integer:
            product = tf.gather(tf.transpose(W), X)
        else:
            rows = tf.reshape(X, (-1, X.shape[-1]))  # one product, where a batched one would be num_steps
            product = tf.reshape(tf.matmul(rows, W, transpose_b=True), (*X.shape[:-1], W.shape[0]))
        return product if b is None else product + b

    def zeros(self, shape: tuple[int, ...]) -> Tensor:
        """Return zeros."""
        return tf.zeros(shape, self._dtype)

    def scan(self, step: Callable[[Tensor, Any], tuple[Tensor, Any]], inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Loop over the first axis."""
        if inputs.shape[0] > _UNROLLED_STEPS:
            return _loop_in_graph(step, inputs, state)
        traced = tf.function(step, autograph=False)  # one trace for all the time steps
        outputs = []
        for x in tf.unstack(inputs):
            output, state = traced(x, state)
            outputs.append(output)
        return tf.stack(outputs), state

    def dropout(self, x: Tensor, rate: float) -> Tensor:
        """Apply an inverted dropout mask."""
        self._seed = tf.random.experimental.stateless_fold_in(self._seed, 1)
        return tf.nn.experimental.stateless_dropout(x, rate, self._seed)


def _loop_in_graph(step: Callable[[Tensor, Any], tuple[Tensor, Any]], inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
    num_steps = inputs.shape[0]
    rows = tf.TensorArray(inputs.dtype, num_steps).unstack(inputs)

    def body(t: Tensor, state: Any, outputs: tf.TensorArray) -> tuple[Tensor, Any, tf.TensorArray]:
        output, state = step(rows.read(t), state)
        return t + 1, state, outputs.write(t, output)

    first = (0, state, tf.TensorArray(inputs.dtype, num_steps))
    _, state, outputs = tf.while_loop(lambda t, *_: t < num_steps, body, first, maximum_iterations=num_steps)
    return outputs.stack(), state
