"""Announces the TensorFlow backend and Keras's recurrent layers."""

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from harness.contracts.hooks import Backend, Implementation, hookimpl


@hookimpl
def harness_backends() -> Sequence[Backend]:
    """Return the backend."""
    return [
        Backend(
            name="tensorflow",
            title="TensorFlow / Keras 3",
            requirements=(f"{_distribution()}>=2.19", "numpy>=1.26", "safetensors>=0.4.3"),
            gpu_requirements=("tensorflow[and-cuda]>=2.19", "numpy>=1.26", "safetensors>=0.4.3"),
            target="harness_tensorflow.backend:TensorflowBackend",
            preference=6,
            uses_gpus=True,
        )
    ]


@hookimpl
def harness_implementations() -> Sequence[Implementation]:
    """Return SimpleRNN, GRU and LSTM."""
    return [
        Implementation(cell=cell, backend="tensorflow", name="fused", target=f"harness_tensorflow.fused:build_{cell}")
        for cell in ("rnn", "gru", "lstm")
    ]


def _distribution() -> str:
    """Return which distribution of TensorFlow is here: two bring the same module, only one of them GPUs."""
    try:
        version("tensorflow")
    except PackageNotFoundError:
        return "tensorflow-cpu"
    return "tensorflow"
