"""The PyTorch backend inside a worker. Its GPU path has never run on a GPU."""

import platform
import time

import torch

from harness.contracts.backends import Model
from harness.contracts.cells import Equations
from harness.contracts.network import Architecture
from harness.contracts.training import Training
from harness_torch.model import TorchModel
from harness_torch.scratch import ScratchNetwork


class TorchBackend:
    """`harness.contracts.backends.Backend` on the CPU or one CUDA device."""

    def __init__(self, device: str, num_threads: int) -> None:
        self.device = torch.device(device)
        if self.device.type == "cuda" and not torch.cuda.is_available():
            raise RuntimeError(
                f"this PyTorch ({torch.__version__}) sees no GPU for {device}: install a CUDA build of it, "
                "or run with --devices cpu"
            )
        torch.set_num_threads(num_threads)
        if torch.get_num_interop_threads() != 1:  # may be set once a process
            torch.set_num_interop_threads(1)
        # TF32 rounds products to 10 bits: not the model the other backends train.
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
            torch.cuda.reset_peak_memory_stats(self.device)
            self.device_name = torch.cuda.get_device_name(self.device)
        else:
            self.device_name = platform.processor() or "cpu"

    def versions(self) -> dict[str, str]:
        """Return torch's version, and CUDA's and cuDNN's on a GPU."""
        versions = {"torch": torch.__version__}
        if self.device.type == "cuda":
            versions["cuda"] = str(torch.version.cuda)
            versions["cudnn"] = str(torch.backends.cudnn.version())
        return versions

    def scratch(self, equations: Equations, architecture: Architecture, training: Training) -> Model:
        """Build the model from the cell's equations."""
        return TorchModel(ScratchNetwork(equations, architecture, self.device), training, self.device)

    def product_seconds(self, size: int) -> float:
        """Time one product."""
        matrix = torch.ones(size, size, device=self.device)
        product = torch.zeros_like(matrix)
        self._wait()
        since = time.perf_counter()
        torch.mm(matrix, matrix, out=product)
        self._wait()
        return time.perf_counter() - since

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def peak_device_bytes(self) -> int | None:
        """Return the allocator's high-water mark on a GPU, None on the CPU."""
        return torch.cuda.max_memory_allocated(self.device) if self.device.type == "cuda" else None
