"""Announces the PyTorch backend and its own recurrent layers."""

from collections.abc import Sequence

from harness.contracts.hooks import Backend, Implementation, hookimpl


@hookimpl
def harness_backends() -> Sequence[Backend]:
    """Return the backend."""
    return [
        Backend(
            name="torch",
            title="PyTorch",
            requirements=("torch>=2.6", "numpy>=1.26", "safetensors>=0.4.3"),
            target="harness_torch.backend:TorchBackend",
            preference=20,
            uses_gpus=True,
        )
    ]


@hookimpl
def harness_implementations() -> Sequence[Implementation]:
    """Return nn.RNN, nn.GRU and nn.LSTM."""
    return [
        Implementation(cell=cell, backend="torch", name="fused", target=f"harness_torch.fused:build_{cell}")
        for cell in ("rnn", "gru", "lstm")
    ]
