"""The loss over the compiled kernels: softmax, cross-entropy, its gradient and the accuracies in one pass."""

from typing import Any

import numpy as np

from harness.contracts.backends import Ids
from harness.contracts.measures import RANKS
from harness_native.kernels import Array, Kernels, require_rows
from harness_numpy.model import Outcome


class NativeObjective:
    """`harness_numpy.model.Objective` through the kernels; the logits become the gradient."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._kernels = Kernels(dtype)
        self._ranks = np.array(RANKS, np.int64)

    def __call__(self, logits: Array, Y: Ids, *, with_gradient: bool) -> Outcome:
        """Return the figures, and the gradient where it is asked for."""
        figures, row_losses = np.empty(1 + len(self._ranks)), np.empty(Y.shape[-1])
        targets = np.ascontiguousarray(Y, np.int64)
        require_rows(targets, logits.shape[-1])
        sizes = (targets.size, len(row_losses), logits.shape[-1], len(self._ranks))
        outputs = (figures, row_losses)
        self._kernels.call("cross_entropy", *sizes, logits, targets, self._ranks, int(with_gradient), *outputs)
        return Outcome(tuple(figures.tolist()), row_losses.tolist(), logits if with_gradient else None)
