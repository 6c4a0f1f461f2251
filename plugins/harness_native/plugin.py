"""Announces the compiled layers, where there is a compiler to make them."""

from collections.abc import Sequence

from harness.contracts.hooks import Implementation, hookimpl
from harness_native.compiling import find_compiler


@hookimpl
def harness_implementations() -> Sequence[Implementation]:
    """Return the compiled layers of the NumPy backend; none without a C compiler."""
    if find_compiler() is None:
        return []
    return [
        Implementation(
            cell=cell, backend="numpy", name="native", target=f"harness_native.model:build_{cell}", preference=10
        )
        for cell in ("rnn", "gru", "lstm")
    ]
