"""The TensorFlow backend: every cell's equations in a graph, and Keras's own layers."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from harness.machine.devices import available_cores, find_gpus
from harness.testing import BackendContract, ModelContract
from harness.testing.models import (
    BATCH_SIZE,
    SMALL,
    TRAINING,
    largest_difference,
    loaded,
    minibatches,
    reference_model,
    train,
)
from harness.worker.targets import resolve

tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed: pip install 'tensorflow-cpu>=2.19'")

from harness_numpy.backend import NumpyBackend  # noqa: E402 (after the skip)
from harness_tensorflow import ops  # noqa: E402
from harness_tensorflow.backend import TensorflowBackend  # noqa: E402

FUSED = ("rnn", "gru", "lstm")

CORES_USED = """
import time
from harness_tensorflow.backend import TensorflowBackend
TensorflowBackend("cpu", {num_threads})
import tensorflow as tf
x = tf.ones((1024, 1024))
x @ x
cpu, wall = time.process_time(), time.perf_counter()
for _ in range(20):
    x = x @ x * 1e-3
x.numpy()
print((time.process_time() - cpu) / (time.perf_counter() - wall))
"""


def build_fused(cell, *model):
    return resolve(f"harness_tensorflow.fused:build_{cell}")(TensorflowBackend("cpu", 1), *model)


class TestScratch(BackendContract):
    def open_backend(self):
        return TensorflowBackend("cpu", 1)


class TestFused(ModelContract):
    @pytest.fixture(params=FUSED)
    def equations(self, request):
        self.cell = request.param
        return resolve(f"harness_{request.param}.cell")

    def build(self, equations, architecture, training):
        return build_fused(self.cell, equations, architecture, training)


def test_a_loop_left_in_the_graph_computes_what_an_unrolled_one_does(monkeypatch):
    monkeypatch.setattr(ops, "_UNROLLED_STEPS", 0)
    equations = resolve("harness_lstm.cell")
    batch = minibatches(1)
    results = []
    for build in (TensorflowBackend("cpu", 1).scratch, reference_model):
        model = loaded(build, equations, SMALL)
        results.append(model.gradients(batch.inputs[0], batch.targets[0], model.initial_state(BATCH_SIZE)))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-12)
    assert largest_difference(results[0][1], results[1][1]) < 1e-12


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_a_checkpoint_of_one_backend_goes_on_in_the_other(optimizer):
    equations = resolve("harness_lstm.cell")
    training = replace(TRAINING, optimizer=optimizer, learning_rate=0.01)
    batches = minibatches(5)
    in_numpy = loaded(NumpyBackend("cpu", 1).scratch, equations, SMALL, training)
    train(in_numpy, batches)
    in_tensorflow = TensorflowBackend("cpu", 1).scratch(equations, SMALL, training)
    in_tensorflow.load(in_numpy.weights())
    in_tensorflow.load_optimizer_state(in_numpy.optimizer_state())
    assert np.allclose(train(in_numpy, batches), train(in_tensorflow, batches), rtol=1e-9)


def test_dropout_zeroes_its_share_and_scales_the_rest():
    xp = ops.TensorflowOps("float32", tf.constant([0, 1]))
    first, second = (xp.dropout(tf.ones((100, 100)), 0.2).numpy() for _ in range(2))
    assert set(np.unique(first)) == {np.float32(0), np.float32(1.25)}
    assert abs((first == 0).mean() - 0.2) < 0.02
    assert not np.array_equal(first, second)


@pytest.mark.skipif(available_cores() < 2, reason="one core alone can't tell")
def test_one_thread_is_one_core():
    code = CORES_USED.format(num_threads=1)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1.2


@pytest.mark.skipif(bool(find_gpus()), reason="this machine has a GPU")
def test_a_gpu_that_tensorflow_does_not_see_is_one_sentence():
    with pytest.raises(RuntimeError, match="sees no GPU for cuda:0: install its CUDA build"):
        TensorflowBackend("cuda:0", 1)
