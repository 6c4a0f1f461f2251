"""What both kinds of layers compute on plain arrays: the gradient of a look-up, and masks for dropout."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


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


def dropout_mask(
    generator: np.random.Generator, shape: tuple[int, ...], rate: float, dtype: np.dtype[Any]
) -> NDArray[np.floating]:
    """Return zeros with probability ``rate`` and 1 / (1 - rate) elsewhere."""
    passes = generator.random(shape, dtype=np.float32) >= rate
    mask: NDArray[np.floating] = passes.astype(dtype) / dtype.type(1.0 - rate)
    return mask
