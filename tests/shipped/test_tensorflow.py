"""The TensorFlow backend: every cell's equations in a graph, and Keras's own layers."""

import pytest

from harness.testing import BackendContract, ImplementationContract
from harness.testing.models import (
    BATCH_SIZE,
    SMALL,
    largest_difference,
    loaded,
    minibatches,
    reference_model,
)
from harness.worker.targets import resolve

tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed: pip install 'tensorflow-cpu>=2.19'")

from harness_tensorflow import ops  # noqa: E402
from harness_tensorflow.backend import TensorflowBackend  # noqa: E402

FUSED = ("rnn", "gru", "lstm")


class TestScratch(BackendContract):
    target = "harness_tensorflow.backend:TensorflowBackend"


class TestFused(ImplementationContract):
    backend = "harness_tensorflow.backend:TensorflowBackend"
    target = "harness_tensorflow.fused:build_{cell}"
    cells = FUSED


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
