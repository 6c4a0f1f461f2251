"""The operations of cell equations on torch tensors."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


class TorchOps:
    """`harness.contracts.ops.Ops` under torch's autograd."""

    exp = staticmethod(torch.exp)
    tanh = staticmethod(torch.tanh)
    sigmoid = staticmethod(torch.sigmoid)
    relu = staticmethod(torch.relu)

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        self._dtype = dtype
        self._device = device

    def concat(self, arrays: Sequence[Tensor]) -> Tensor:
        """Join along the last axis."""
        return torch.cat(tuple(arrays), dim=-1)

    def split(self, x: Tensor, parts: int) -> Sequence[Tensor]:
        """Cut the last axis into equal parts."""
        pieces: Sequence[Tensor] = x.chunk(parts, dim=-1)
        return pieces

    def linear(self, X: Tensor, W: Tensor, b: Tensor | None = None) -> Tensor:
        """Return X Wᵀ + b, a look-up where X holds ids."""
        if X.is_floating_point():
            return functional.linear(X, W, b)
        product = functional.embedding(X, W.t())
        return product if b is None else product + b

    def zeros(self, shape: tuple[int, ...]) -> Tensor:
        """Return zeros on the model's device."""
        return torch.zeros(shape, dtype=self._dtype, device=self._device)

    def scan(self, step: Callable[[Tensor, Any], tuple[Tensor, Any]], inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Loop over the first axis."""
        outputs = []
        for x in inputs.unbind(0):
            output, state = step(x, state)
            outputs.append(output)
        return torch.stack(outputs), state

    def dropout(self, x: Tensor, rate: float) -> Tensor:
        """Apply an inverted dropout mask."""
        return functional.dropout(x, rate, training=True)
