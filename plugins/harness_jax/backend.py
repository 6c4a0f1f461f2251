"""The JAX backend inside a worker. Its GPU path has never run on a GPU."""

import os
import platform
import time

import jax
import jaxlib
import numpy as np

from harness.contracts.backends import Model
from harness.contracts.cells import Equations
from harness.contracts.network import Architecture, canonical_shapes
from harness.contracts.training import Training
from harness_jax.model import JaxModel
from harness_jax.scratch import ScratchNetwork


class JaxBackend:
    """`harness.contracts.backends.Backend` on the CPU or one CUDA device."""

    def __init__(self, device: str, num_threads: int) -> None:
        # XLA reads all of these when its first device is opened, not at import.
        # NPROC sizes its CPU thread pool; --xla_cpu_multi_thread_eigen=false and
        # intra_op_parallelism_threads=1 in XLA_FLAGS leave products on every core.
        # Compiling still takes a second one, in the first step.
        os.environ["NPROC"] = str(num_threads)
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        if device == "cpu":
            jax.config.update("jax_platforms", "cpu")
        # Less would be TF32 on a GPU, which rounds products to 10 bits: not the model the other backends train.
        jax.config.update("jax_default_matmul_precision", "highest")
        self._device = _open(device)
        jax.config.update("jax_default_device", self._device)
        self.device_name = (platform.processor() or "cpu") if device == "cpu" else self._device.device_kind

    def versions(self) -> dict[str, str]:
        """Return JAX's version and its compiler's, and the GPU platform's where there is one."""
        versions = {"jax": jax.__version__, "jaxlib": jaxlib.__version__}
        if self._device.platform != "cpu":
            versions["xla"] = self._device.client.platform_version
        return versions

    def scratch(self, equations: Equations, architecture: Architecture, training: Training) -> Model:
        """Build the model from the cell's equations."""
        if architecture.dtype == "float64":
            jax.config.update("jax_enable_x64", True)
        # The network holds no more than the forward pass needs: trainings of one shape share compiled functions.
        network = ScratchNetwork(equations, architecture)
        return JaxModel(network, canonical_shapes(equations, architecture), architecture, training)

    def product_seconds(self, size: int) -> float:
        """Time one product; the caller's first one compiles it."""
        matrix = jax.device_put(np.ones((size, size), np.float32), self._device).block_until_ready()
        since = time.perf_counter()
        (matrix @ matrix).block_until_ready()
        return time.perf_counter() - since

    def peak_device_bytes(self) -> int | None:
        """Return the allocator's high-water mark on a GPU, None on the CPU."""
        if self._device.platform == "cpu":
            return None
        return int(self._device.memory_stats()["peak_bytes_in_use"])


def _open(device: str) -> jax.Device:
    platform_name, _, index = device.partition(":")
    try:
        return jax.devices(platform_name)[int(index or 0)]
    except (RuntimeError, IndexError):
        raise RuntimeError(
            f"this JAX ({jax.__version__}) sees no GPU for {device}: install its CUDA plugin "
            "(pip install 'jax[cuda12]'), or run with --devices cpu"
        ) from None
