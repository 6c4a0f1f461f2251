"""The JAX backend: every cell's equations under `lax.scan`."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from harness.machine.devices import available_cores, find_gpus
from harness.testing import BackendContract
from harness.testing.models import BATCH_SIZE, SMALL, TRAINING, loaded, minibatches, train
from harness.worker.targets import resolve

jax = pytest.importorskip("jax", reason="JAX is not installed: pip install 'jax>=0.6'")

from harness_jax.backend import JaxBackend  # noqa: E402 (after the skip)
from harness_jax.ops import JaxOps  # noqa: E402
from harness_numpy.backend import NumpyBackend  # noqa: E402

CORES_USED = """
import time
from harness_jax.backend import JaxBackend
JaxBackend("cpu", {num_threads})
import jax
x = jax.numpy.ones((1024, 1024))
product = jax.jit(lambda x: x @ x * 1e-3)
product(x).block_until_ready()
cpu, wall = time.process_time(), time.perf_counter()
for _ in range(20):
    x = product(x)
x.block_until_ready()
print((time.process_time() - cpu) / (time.perf_counter() - wall))
"""


class TestScratch(BackendContract):
    def open_backend(self):
        return JaxBackend("cpu", 1)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_a_checkpoint_of_one_backend_goes_on_in_the_other(optimizer):
    equations = resolve("harness_lstm.cell")
    training = replace(TRAINING, optimizer=optimizer, learning_rate=0.01)
    batches = minibatches(5)
    in_numpy = loaded(NumpyBackend("cpu", 1).scratch, equations, SMALL, training)
    train(in_numpy, batches)
    in_jax = JaxBackend("cpu", 1).scratch(equations, SMALL, training)
    in_jax.load(in_numpy.weights())
    in_jax.load_optimizer_state(in_numpy.optimizer_state())
    assert np.allclose(train(in_numpy, batches), train(in_jax, batches), rtol=1e-9)


def test_a_step_takes_nothing_from_the_caller():
    # Parameters and moments are donated to the step; the caller's state and what it copied out are not.
    equations = resolve("harness_lstm.cell")
    model = loaded(
        JaxBackend("cpu", 1).scratch, equations, SMALL, replace(TRAINING, optimizer="adam", learning_rate=0.01)
    )
    batch = minibatches(1)
    state, weights, moments = model.initial_state(BATCH_SIZE), model.weights(), model.optimizer_state()
    copies = {name: array.copy() for name, array in (weights | moments).items()}
    for _ in range(3):
        model.train_step(batch.inputs[0], batch.targets[0], state)
    assert all(np.array_equal(array, copies[name]) for name, array in (weights | moments).items())


def test_dropout_zeroes_its_share_and_scales_the_rest():
    JaxBackend("cpu", 1)
    xp = JaxOps("float32", jax.random.key(0))
    ones = np.ones((100, 100), np.float32)
    first, second = (np.asarray(xp.dropout(jax.numpy.asarray(ones), 0.2)) for _ in range(2))
    assert set(np.unique(first)) == {np.float32(0), np.float32(1.25)}
    assert abs((first == 0).mean() - 0.2) < 0.02
    assert not np.array_equal(first, second)


@pytest.mark.skipif(available_cores() < 2, reason="one core alone can't tell")
def test_one_thread_is_one_core():
    code = CORES_USED.format(num_threads=1)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1.2


@pytest.mark.skipif(bool(find_gpus()), reason="this machine has a GPU")
def test_a_gpu_that_jax_does_not_see_is_one_sentence():
    with pytest.raises(RuntimeError, match="sees no GPU for cuda:0: install its CUDA plugin"):
        JaxBackend("cuda:0", 1)
