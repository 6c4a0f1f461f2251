"""The NumPy backend's model over the compiled layers: what `native` means."""

import sys
from typing import Any

import numpy as np

from harness.contracts.backends import Model
from harness.contracts.cells import Equations
from harness.contracts.network import Architecture
from harness.contracts.training import Training
from harness_native import layers, optimizers
from harness_native.compiling import NoCompilerError
from harness_native.objective import NativeObjective
from harness_numpy import layers as numpy_layers
from harness_numpy.backend import NumpyBackend
from harness_numpy.fused import model_of
from harness_numpy.layers import Layer


def build_rnn(backend: NumpyBackend, equations: Equations, architecture: Architecture, training: Training) -> Model:
    """Build the vanilla RNN's model."""
    return _build("RNN", backend, equations, architecture, training)


def build_gru(backend: NumpyBackend, equations: Equations, architecture: Architecture, training: Training) -> Model:
    """Build the GRU's model."""
    return _build("GRU", backend, equations, architecture, training)


def build_lstm(backend: NumpyBackend, equations: Equations, architecture: Architecture, training: Training) -> Model:
    """Build the LSTM's model."""
    return _build("LSTM", backend, equations, architecture, training)


def _build(
    kind: str, backend: NumpyBackend, equations: Equations, architecture: Architecture, training: Training
) -> Model:
    stack: list[Layer]
    try:
        compiled: Any = getattr(layers, kind)
        dtype = np.dtype(architecture.dtype)
        stack = [compiled(dtype) for _ in range(architecture.num_layers)]
        backend.notes["kernels"] = "compiled"
        return model_of(stack, equations, architecture, training, NativeObjective(dtype), optimizers.create)
    except NoCompilerError as error:
        # The same equations, only slower; the row's versions and the log say so.
        print(f"harness: {error}; the NumPy layers take the kernels' place.", file=sys.stderr)
        backend.notes["kernels"] = f"NumPy: {error}"
        stack = [getattr(numpy_layers, kind)() for _ in range(architecture.num_layers)]
    return model_of(stack, equations, architecture, training)
