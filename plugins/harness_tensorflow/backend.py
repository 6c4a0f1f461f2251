"""The TensorFlow backend inside a worker. Its GPU path has never run on a GPU."""

import os
import platform
import time

# Both are read at import. A user's own Keras may stand on another framework.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # warnings and errors

import keras
import tensorflow as tf

from harness.contracts.backends import Model
from harness.contracts.cells import Equations
from harness.contracts.network import Architecture
from harness.contracts.training import Training
from harness_tensorflow.model import TensorflowModel
from harness_tensorflow.scratch import ScratchNetwork


class TensorflowBackend:
    """`harness.contracts.backends.Backend` on the CPU or one CUDA device."""

    def __init__(self, device: str, num_threads: int) -> None:
        tf.config.threading.set_intra_op_parallelism_threads(num_threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        # TF32 rounds products to 10 bits: not the model the other backends train.
        tf.config.experimental.enable_tensor_float_32_execution(False)
        self._gpu = None if device == "cpu" else _open(device)
        tf.config.set_visible_devices([] if self._gpu is None else [self._gpu], "GPU")
        self.device_name = platform.processor() or "cpu"
        if self._gpu is not None:
            tf.config.experimental.set_memory_growth(self._gpu, True)
            self.device_name = tf.config.experimental.get_device_details(self._gpu)["device_name"]

    def versions(self) -> dict[str, str]:
        """Return TensorFlow's version and Keras's, and CUDA's and cuDNN's on a GPU."""
        versions = {"tensorflow": tf.__version__, "keras": keras.__version__}
        if self._gpu is not None:
            build = tf.sysconfig.get_build_info()
            versions |= {"cuda": str(build["cuda_version"]), "cudnn": str(build["cudnn_version"])}
        return versions

    def scratch(self, equations: Equations, architecture: Architecture, training: Training) -> Model:
        """Build the model from the cell's equations."""
        return TensorflowModel(ScratchNetwork(equations, architecture), architecture, training)

    def product_seconds(self, size: int) -> float:
        """Time one product; reading an element of it waits for the device."""
        matrix = tf.ones((size, size))
        float(matrix[0, 0])
        since = time.perf_counter()
        float(tf.matmul(matrix, matrix)[0, 0])
        return time.perf_counter() - since

    def peak_device_bytes(self) -> int | None:
        """Return the allocator's high-water mark on a GPU, None on the CPU."""
        # Only the one GPU is visible, so it is the first.
        return None if self._gpu is None else int(tf.config.experimental.get_memory_info("GPU:0")["peak"])


def _open(device: str) -> tf.config.PhysicalDevice:
    gpus = tf.config.list_physical_devices("GPU")
    number = int(device.partition(":")[2] or 0)
    if number >= len(gpus):
        raise RuntimeError(
            f"this TensorFlow ({tf.__version__}) sees no GPU for {device}: install its CUDA build "
            "(pip install 'tensorflow[and-cuda]'), or run with --devices cpu"
        )
    return gpus[number]
