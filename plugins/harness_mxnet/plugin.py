"""Announces the MXNet backend and its own recurrent layers."""

from collections.abc import Sequence

from harness.contracts.hooks import Backend, Implementation, hookimpl


@hookimpl
def harness_backends() -> Sequence[Backend]:
    """Return the backend."""
    return [
        Backend(
            name="mxnet",
            title="Apache MXNet",
            # MXNet 1.9.1 is the last release and needs `np.bool`, which NumPy 1.24 took away.
            requirements=("mxnet==1.9.1", "numpy==1.23.5", "safetensors>=0.4.3"),
            gpu_requirements=("mxnet-cu112==1.9.1", "numpy==1.23.5", "safetensors>=0.4.3"),
            # NumPy 1.23.5 has no wheel for Python 3.12.
            requires_python=">=3.11,<3.12",
            target="harness_mxnet.backend:MXNetBackend",
            preference=5,
            uses_gpus=True,
            # Its OpenBLAS (0.3.13) knows no newer processor than that: a user may have named one for it.
            environment=("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"),
        )
    ]


@hookimpl
def harness_implementations() -> Sequence[Implementation]:
    """Return MXNet's fused RNN operator in its three modes."""
    return [
        Implementation(cell=cell, backend="mxnet", name="fused", target=f"harness_mxnet.fused:build_{cell}")
        for cell in ("rnn", "gru", "lstm")
    ]
