"""Announces the NumPy backend and its hand-written layers."""

from collections.abc import Sequence

from harness.contracts.hooks import Backend, Implementation, hookimpl


@hookimpl
def harness_backends() -> Sequence[Backend]:
    """Return the backend."""
    return [
        Backend(
            name="numpy",
            title="NumPy",
            requirements=("numpy>=1.26", "autograd>=1.7", "safetensors>=0.4.3"),
            target="harness_numpy.backend:NumpyBackend",
            environment=("CC",),
            preference=30,  # its compiled layers lead on a CPU; a GPU goes before
        )
    ]


@hookimpl
def harness_implementations() -> Sequence[Implementation]:
    """Return the fused layers."""
    return [
        Implementation(cell=cell, backend="numpy", name="fused", target=f"harness_numpy.fused:build_{cell}")
        for cell in ("rnn", "gru", "lstm")
    ]
