"""The MXNet backend inside a worker. Its GPU path has never run on a GPU."""

import platform
import time

import mxnet as mx

from harness.contracts.backends import Model
from harness.contracts.cells import Equations
from harness.contracts.network import Architecture
from harness.contracts.training import Training
from harness_mxnet.model import MXNetModel
from harness_mxnet.scratch import ScratchNetwork

_LIBRARIES = ("BLAS_OPEN", "BLAS_MKL", "MKLDNN", "CUDA", "CUDNN")


class MXNetBackend:
    """MXNet on the CPU or one CUDA device; OpenMP took its threads from the environment."""

    def __init__(self, device: str, num_threads: int) -> None:  # noqa: ARG002 (the contract's signature)
        kind, _, number = device.partition(":")
        if kind == "cpu":
            self.device = mx.cpu()
            self.device_name = platform.processor() or "cpu"
            return
        if mx.context.num_gpus() == 0:
            raise RuntimeError(
                f"this MXNet ({mx.__version__}) sees no GPU for {device}: install a CUDA build of it (mxnet-cu112), "
                "or run with --devices cpu"
            )
        self.device = mx.gpu(int(number or 0))
        self.device_name = str(self.device)
        self._free_bytes = self._free()

    def versions(self) -> dict[str, str]:
        """Return MXNet's version and the libraries it computes with."""
        features = mx.runtime.Features()
        return {"mxnet": mx.__version__, "libraries": ", ".join(filter(features.is_enabled, _LIBRARIES))}

    def scratch(self, equations: Equations, architecture: Architecture, training: Training) -> Model:
        """Build the model from the cell's equations."""
        return MXNetModel(ScratchNetwork(equations, architecture, self.device), architecture, training, self.device)

    def product_seconds(self, size: int) -> float:
        """Time one product."""
        matrix = mx.nd.ones((size, size), ctx=self.device)
        matrix.wait_to_read()
        since = time.perf_counter()
        mx.nd.dot(matrix, matrix).wait_to_read()
        return time.perf_counter() - since

    def peak_device_bytes(self) -> int | None:
        """Return what the GPU has less free than before, None on the CPU: MXNet's pool gives nothing back."""
        return self._free_bytes - self._free() if self.device.device_type == "gpu" else None

    def _free(self) -> int:
        free, _ = mx.context.gpu_memory_info(self.device.device_id)
        return int(free)
