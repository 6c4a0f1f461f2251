"""The NumPy backend inside a worker."""

import time
from importlib.metadata import version
from typing import Any

import numpy as np

from harness.contracts.backends import Model
from harness.contracts.cells import Equations
from harness.contracts.network import Architecture, canonical_shapes
from harness.contracts.training import Training
from harness_numpy.model import NumpyModel


class NumpyBackend:
    """`harness.contracts.backends.Backend` on the CPU; the BLAS took its threads from the environment."""

    def __init__(self, device: str, num_threads: int) -> None:  # noqa: ARG002 (the contract's signature)
        if device != "cpu":
            raise ValueError(f"the numpy backend runs on the CPU, not on {device!r}")
        self.device_name = "cpu"
        self.notes: dict[str, str] = {}
        """What an implementation adds to the versions: how its kernels came about, say."""
        self._differentiates = False

    def versions(self) -> dict[str, str]:
        """Return the BLAS NumPy was built with, autograd's where it is used, and what the implementation noted."""
        config: Any = np.show_config(mode="dicts")
        blas = config["Build Dependencies"]["blas"]
        autograd = {"autograd": version("autograd")} if self._differentiates else {}
        return {"blas": f"{blas['name']} {blas['version']}", **autograd, **self.notes}

    def scratch(self, equations: Equations, architecture: Architecture, training: Training) -> Model:
        """Build the model from the cell's equations."""
        # Imported late: layers written by hand are done with before autograd has been loaded.
        from harness_numpy.scratch import ScratchNetwork

        self._differentiates = True
        return NumpyModel(
            ScratchNetwork(equations, architecture), canonical_shapes(equations, architecture), architecture, training
        )

    def product_seconds(self, size: int) -> float:
        """Time one product."""
        matrix = np.ones((size, size), np.float32)
        product = np.empty_like(matrix)
        product.fill(0)  # its pages are there before the clock is read
        since = time.perf_counter()
        np.dot(matrix, matrix, out=product)
        return time.perf_counter() - since

    def peak_device_bytes(self) -> int | None:
        """Return None: there is no device beside the CPU."""
        return None
