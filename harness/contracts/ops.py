"""The operations a cell's equations may use, which every backend supplies as ``xp``.

Beside these, equations may use the arithmetic operators and slicing of the arrays themselves.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

Array = Any
"""The backend's own array."""


class Ops(Protocol):
    """An Array-API-like subset under the backend's automatic differentiation."""

    def exp(self, x: Array) -> Array:
        """Return e to the power of x, elementwise."""
        ...

    def tanh(self, x: Array) -> Array:
        """Return the hyperbolic tangent, elementwise."""
        ...

    def sigmoid(self, x: Array) -> Array:
        """Return the logistic function, elementwise."""
        ...

    def relu(self, x: Array) -> Array:
        """Return max(x, 0), elementwise."""
        ...

    def concat(self, arrays: Sequence[Array]) -> Array:
        """Join arrays along their last axis."""
        ...

    def split(self, x: Array, parts: int) -> Sequence[Array]:
        """Cut the last axis into equal parts."""
        ...

    def linear(self, X: Array, W: Array, b: Array | None = None) -> Array:
        """Return X Wᵀ + b.

        Shapes: X (…, num_inputs), W (num_outputs, num_inputs), b (num_outputs,). Integer X of shape
        (…) stands for one-hot rows: the product is a look-up of W's columns.
        """
        ...

    def zeros(self, shape: tuple[int, ...]) -> Array:
        """Return zeros of the model's dtype on its device."""
        ...

    def scan(self, step: Callable[[Array, Any], tuple[Array, Any]], inputs: Array, state: Any) -> tuple[Array, Any]:
        """Carry ``state`` through ``step`` over ``inputs``' first axis; return stacked outputs and last state."""
        ...

    def dropout(self, x: Array, rate: float) -> Array:
        """Zero each element with probability ``rate`` and scale the others by 1 / (1 - rate)."""
        ...
