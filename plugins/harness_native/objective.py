"""The loss over the compiled kernels: softmax, cross-entropy, its gradient and the accuracies in one pass."""

from typing import Any

import numpy as np

from harness.contracts.backends import Ids
from harness_native.kernels import Array, Kernels
from harness_numpy.model import Figures


class NativeObjective:
    """`harness_numpy.model.Objective` through the kernels; the logits become the gradient."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._kernels = Kernels(dtype)

    def __call__(self, logits: Array, Y: Ids, *, with_gradient: bool) -> tuple[Figures, Array | None]:
        """Return the figures, and the gradient where it is asked for."""
        figures = np.empty(3)
        targets = np.ascontiguousarray(Y, np.int64)
        vocab_size = logits.shape[-1]
        self._kernels.call("cross_entropy", targets.size, vocab_size, logits, targets, int(with_gradient), figures)
        loss, accuracy, top5_accuracy = figures.tolist()
        return (loss, accuracy, top5_accuracy), logits if with_gradient else None
