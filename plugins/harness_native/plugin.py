"""Announces the compiled layers, where there is a compiler to make them."""

import os
import shutil
from collections.abc import Sequence

from harness.hookspecs import Implementation, hookimpl


@hookimpl
def harness_implementations() -> Sequence[Implementation]:
    """Return the compiled layers of the NumPy backend; none without a C compiler."""
    if not any(shutil.which(compiler) for compiler in (os.environ.get("CC", ""), "cc", "gcc", "clang") if compiler):
        return []
    return [
        Implementation(
            cell=cell, backend="numpy", name="native", target=f"harness_native.model:build_{cell}", preference=10
        )
        for cell in ("rnn", "gru", "lstm")
    ]
