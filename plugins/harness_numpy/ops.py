"""The operations of cell equations on NumPy arrays under `autograd`, a well-kept autodiff library."""

from collections.abc import Callable, Sequence
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd.extend import defvjp, primitive
from numpy.typing import NDArray

Array = Any


def one_hot_product(ids: NDArray[np.integer], rows: NDArray[np.floating], vocab_size: int) -> NDArray[np.floating]:
    """Return rowsᵀ · one_hot(ids): the gradient of a look-up.

    Shapes: ids (n,), rows (n, d), result (d, vocab_size).
    """
    if vocab_size <= 256:
        one_hot = np.zeros((len(ids), vocab_size), rows.dtype)
        one_hot[np.arange(len(ids)), ids] = 1
        return rows.T @ one_hot
    # A product with mostly zeros would cost more than sorting the rows by id and adding runs.
    order = np.argsort(ids, kind="stable")
    sorted_ids = ids[order]
    starts = np.flatnonzero(np.r_[True, sorted_ids[1:] != sorted_ids[:-1]])
    product = np.zeros((rows.shape[1], vocab_size), rows.dtype)
    product[:, sorted_ids[starts]] = np.add.reduceat(rows[order], starts, axis=0).T
    return product


@primitive  # type: ignore[untyped-decorator]
def _look_up(W: Array, ids: NDArray[np.integer]) -> Array:
    return W.T[ids]


defvjp(
    _look_up,
    lambda _, W, ids: lambda g: one_hot_product(ids.reshape(-1), g.reshape(-1, W.shape[0]), W.shape[1]),
    argnums=(0,),
)


class AutogradOps:
    """`harness.worker.ops.Ops` over autograd's NumPy."""

    exp = staticmethod(anp.exp)
    tanh = staticmethod(anp.tanh)

    def __init__(self, dtype: str) -> None:
        self._dtype = np.dtype(dtype)
        self.generator = np.random.default_rng(0)

    def sigmoid(self, x: Array) -> Array:
        """Return the logistic function; the tanh form can't overflow."""
        return 0.5 * anp.tanh(0.5 * x) + 0.5

    def relu(self, x: Array) -> Array:
        """Return max(x, 0)."""
        return anp.maximum(x, 0)

    def concat(self, arrays: Sequence[Array]) -> Array:
        """Join along the last axis."""
        return anp.concatenate(arrays, axis=-1)

    def split(self, x: Array, parts: int) -> Sequence[Array]:
        """Cut the last axis into equal parts."""
        size = x.shape[-1] // parts
        return [x[..., i * size : (i + 1) * size] for i in range(parts)]

    def linear(self, X: Array, W: Array, b: Array | None = None) -> Array:
        """Return X Wᵀ + b, a look-up where X holds ids."""
        product = _look_up(W, X) if np.issubdtype(X.dtype, np.integer) else anp.dot(X, W.T)
        return product if b is None else product + b

    def zeros(self, shape: tuple[int, ...]) -> Array:
        """Return zeros."""
        return np.zeros(shape, self._dtype)

    def scan(self, step: Callable[[Array, Any], tuple[Array, Any]], inputs: Array, state: Any) -> tuple[Array, Any]:
        """Loop over the first axis."""
        outputs = []
        for t in range(inputs.shape[0]):
            output, state = step(inputs[t], state)
            outputs.append(output)
        return anp.stack(outputs), state

    def dropout(self, x: Array, rate: float) -> Array:
        """Apply an inverted dropout mask."""
        return x * dropout_mask(self.generator, x.shape, rate, self._dtype)


def dropout_mask(
    generator: np.random.Generator, shape: tuple[int, ...], rate: float, dtype: np.dtype[Any]
) -> NDArray[np.floating]:
    """Return zeros with probability ``rate`` and 1 / (1 - rate) elsewhere."""
    kept = generator.random(shape, dtype=np.float32) >= rate
    mask: NDArray[np.floating] = kept.astype(dtype) / dtype.type(1.0 - rate)
    return mask
