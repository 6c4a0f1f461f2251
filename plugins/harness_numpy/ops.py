"""The operations of cell equations on NumPy arrays under `autograd`, a well-kept autodiff library.

An operation that a cell repeats in each time step is one node of the tape, with its derivative beside it: built from
autograd's own it would be several, and a small cell's time goes into nodes.
"""

from collections.abc import Callable, Sequence
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd.extend import SparseObject, defvjp, defvjp_argnum, primitive, vspace
from numpy.typing import NDArray

from harness_numpy.arrays import dropout_mask, one_hot_product

Array = Any


@primitive  # type: ignore[untyped-decorator]
def _look_up(W: Array, ids: NDArray[np.integer]) -> Array:
    return W.T[ids]


defvjp(
    _look_up,
    lambda _, W, ids: lambda g: one_hot_product(ids.reshape(-1), g.reshape(-1, W.shape[0]), W.shape[1]),
    argnums=(0,),
)


@primitive  # type: ignore[untyped-decorator]
def _linear(X: Array, W: Array, b: Array | None) -> Array:
    # One product for all steps: np.dot takes the inner products of a sequence one by one.
    product = (_rows(X) @ W.T).reshape(*X.shape[:-1], -1)
    return product if b is None else product + b


def _rows(array: Array) -> Array:
    return array.reshape(-1, array.shape[-1])


def _linear_gradients(argnum: int, _: Array, arguments: Any, __: Any) -> Callable[[Array], Array]:
    X, W, _ = arguments
    return (
        lambda g: (_rows(g) @ W).reshape(X.shape),
        lambda g: _rows(g).T @ _rows(X),
        lambda g: _rows(g).sum(axis=0),
    )[argnum]


defvjp_argnum(_linear, _linear_gradients)


@primitive  # type: ignore[untyped-decorator]
def _sigmoid(x: Array) -> Array:
    return 0.5 * np.tanh(0.5 * x) + 0.5


defvjp(_sigmoid, lambda s, _: lambda g: g * (s * (1 - s)))


@primitive  # type: ignore[untyped-decorator]
def _part(x: Array, index: Any) -> Array:
    return x[index]


def _part_gradient(_: Array, x: Array, index: Any) -> Callable[[Array], SparseObject]:
    space = vspace(x)

    def gradient(g: Array) -> SparseObject:
        def add(into: Array) -> Array:
            # No element is named twice, so that a plain addition does, much faster than autograd's np.add.at.
            into[index] += g
            return into

        return SparseObject(space, add)

    return gradient


defvjp(_part, _part_gradient, argnums=(0,))


@primitive  # type: ignore[untyped-decorator]
def _stack(*arrays: Array) -> Array:
    return np.stack(arrays)


defvjp_argnum(_stack, lambda argnum, *_: lambda g: g[argnum])


class AutogradOps:
    """`harness.contracts.ops.Ops` over autograd's NumPy."""

    exp = staticmethod(anp.exp)
    tanh = staticmethod(anp.tanh)
    sigmoid = staticmethod(_sigmoid)  # the tanh form can't overflow

    def __init__(self, dtype: str) -> None:
        self._dtype = np.dtype(dtype)
        self.generator = np.random.default_rng(0)

    def relu(self, x: Array) -> Array:
        """Return max(x, 0)."""
        return anp.maximum(x, 0)

    def concat(self, arrays: Sequence[Array]) -> Array:
        """Join along the last axis."""
        return anp.concatenate(arrays, axis=-1)

    def split(self, x: Array, parts: int) -> Sequence[Array]:
        """Cut the last axis into equal parts."""
        size = x.shape[-1] // parts
        return [_part(x, (..., slice(i * size, (i + 1) * size))) for i in range(parts)]

    def linear(self, X: Array, W: Array, b: Array | None = None) -> Array:
        """Return X Wᵀ + b, a look-up where X holds ids."""
        if not np.issubdtype(X.dtype, np.integer):
            return _linear(X, W, b)
        product = _look_up(W, X)
        return product if b is None else product + b

    def zeros(self, shape: tuple[int, ...]) -> Array:
        """Return zeros."""
        return np.zeros(shape, self._dtype)

    def scan(self, step: Callable[[Array, Any], tuple[Array, Any]], inputs: Array, state: Any) -> tuple[Array, Any]:
        """Loop over the first axis."""
        outputs = []
        for t in range(inputs.shape[0]):
            output, state = step(_part(inputs, t), state)
            outputs.append(output)
        return _stack(*outputs), state

    def dropout(self, x: Array, rate: float) -> Array:
        """Apply an inverted dropout mask."""
        return x * dropout_mask(self.generator, x.shape, rate, self._dtype)
