"""The operations of cell equations on JAX arrays."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax


class JaxOps:
    """`harness.contracts.ops.Ops` under JAX's tracing; made anew for each trace."""

    exp = staticmethod(jnp.exp)
    tanh = staticmethod(jnp.tanh)
    sigmoid = staticmethod(jax.nn.sigmoid)
    relu = staticmethod(jax.nn.relu)

    def __init__(self, dtype: str, key: Array | None = None) -> None:
        self._dtype = dtype
        self._key = key

    def concat(self, arrays: Sequence[Array]) -> Array:
        """Join along the last axis."""
        return jnp.concatenate(arrays, axis=-1)

    def split(self, x: Array, parts: int) -> Sequence[Array]:
        """Cut the last axis into equal parts."""
        pieces: Sequence[Array] = jnp.split(x, parts, axis=-1)
        return pieces

    def linear(self, X: Array, W: Array, b: Array | None = None) -> Array:
        """Return X Wᵀ + b, a look-up where X holds ids."""
        product = W.T[X] if jnp.issubdtype(X.dtype, jnp.integer) else X @ W.T
        return product if b is None else product + b

    def zeros(self, shape: tuple[int, ...]) -> Array:
        """Return zeros on the model's device."""
        return jnp.zeros(shape, self._dtype)

    def scan(self, step: Callable[[Array, Any], tuple[Array, Any]], inputs: Array, state: Any) -> tuple[Array, Any]:
        """Loop over the first axis: one compiled step, however long the sequence."""

        def body(carry: Any, x: Array) -> tuple[Any, Array]:
            output, carry = step(x, carry)
            return carry, output

        state, outputs = lax.scan(body, state, inputs)
        return outputs, state

    def dropout(self, x: Array, rate: float) -> Array:
        """Apply an inverted dropout mask."""
        assert self._key is not None
        self._key, own = jax.random.split(self._key)
        return jnp.where(jax.random.bernoulli(own, 1 - rate, x.shape), x / (1 - rate), 0)
