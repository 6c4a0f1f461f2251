"""The MXNet backend, against the reference and MXNet's own layers, and against its own asynchrony."""

import time
from dataclasses import dataclass, replace

import numpy as np
import pytest

from harness.contracts.network import Architecture, layer_params
from harness.testing import BackendContract, ImplementationContract
from harness.testing.models import (
    BATCH_SIZE,
    NUM_STEPS,
    SMALL,
    largest_difference,
    loaded,
    minibatches,
    train,
)
from harness.testing.trials import small_trial
from harness.worker import training
from harness.worker.events import EpochEnded
from harness.worker.targets import resolve

mx = pytest.importorskip("mxnet", reason="MXNet 1.9.1 needs an environment of its own: Python 3.11 and numpy 1.23.5")

from harness_mxnet.backend import MXNetBackend  # noqa: E402 (after the skip)

FUSED = ("rnn", "gru", "lstm")


def build_scratch(*model):
    return MXNetBackend("cpu", 1).scratch(*model)


def build_fused(cell, *model):
    return resolve(f"harness_mxnet.fused:build_{cell}")(MXNetBackend("cpu", 1), *model)


class TestScratch(BackendContract):
    target = "harness_mxnet.backend:MXNetBackend"
    # MXNet's Adam operator holds rate, β and ε in single precision; gradients agree to 1e-16.
    tolerance = 1e-8


class TestFused(ImplementationContract):
    backend = "harness_mxnet.backend:MXNetBackend"
    target = "harness_mxnet.fused:build_{cell}"
    cells = FUSED
    tolerance = 1e-8


class TestScratchInSinglePrecision(TestScratch):
    """What trials run on: oneDNN's kernels, which know no float64. Its log-softmax is off by up to 4e-6."""

    dtype = "float32"
    tolerance = 1e-5


class TestFusedInSinglePrecision(TestFused):
    dtype = "float32"
    tolerance = 1e-5


@pytest.mark.parametrize(("cell", "layer"), [("rnn", "RNN"), ("gru", "GRU"), ("lstm", "LSTM")])
def test_the_fused_layers_are_gluons(cell, layer):
    architecture = replace(SMALL, dtype="float32")
    model = loaded(lambda *parts: build_fused(cell, *parts), resolve(f"harness_{cell}.cell"), architecture)
    activation = {"activation": "tanh"} if cell == "rnn" else {}
    layers = getattr(mx.gluon.rnn, layer)(SMALL.num_hiddens, SMALL.num_layers, **activation)
    layers.initialize()
    X = minibatches(1).inputs[0]
    one_hot = mx.nd.one_hot(mx.nd.array(X), SMALL.vocab_size)
    layers(one_hot)
    weights = model.weights()
    gluons = {"W_x": "i2h_weight", "W_h": "h2h_weight", "b_x": "i2h_bias", "b_h": "h2h_bias"}
    for number in range(SMALL.num_layers):
        for name, array in layer_params(weights, number).items():
            getattr(layers, f"l{number}_{gluons[name]}").set_data(mx.nd.array(array))
    expected = layers(one_hot).asnumpy() @ weights["output.W"].T + weights["output.b"]
    logits, _ = model.logits(X, model.initial_state(BATCH_SIZE))
    assert np.allclose(logits, expected, atol=1e-6)


@pytest.mark.parametrize("build", [build_scratch, lambda *parts: build_fused("lstm", *parts)], ids=["scratch", "fused"])
def test_evaluation_and_generation_between_steps_change_nothing(build):
    """Let the layers be wide enough that oneDNN keeps weights in a layout of its own."""
    architecture = Architecture(vocab_size=SMALL.vocab_size, num_layers=2, num_hiddens=128)
    plain, disturbed = (loaded(build, resolve("harness_lstm.cell"), architecture) for _ in range(2))
    batches = minibatches(4)
    state = disturbed.initial_state(BATCH_SIZE)
    handles = []
    for X, Y in zip(batches.inputs, batches.targets, strict=True):
        disturbed.evaluate_step(X, Y, disturbed.initial_state(BATCH_SIZE))
        disturbed.logits(X[:1, :1], disturbed.initial_state(1))
        handle, state = disturbed.train_step(X, Y, state)
        handles.append(handle)
    assert np.array_equal(train(plain, batches), disturbed.read(handles))
    assert largest_difference(plain.weights(), disturbed.weights()) == 0


@dataclass
class Clocks:
    """When a block of steps began, when all were started, when they were read, and when MXNet had nothing to do."""

    begun: float
    started: float
    read: float = 0.0
    idle: float = 0.0


class Watched:
    """A model that notes the clock around each block of training steps."""

    def __init__(self, model):
        self._model = model
        self._begun = None
        self.blocks = []

    def __getattr__(self, name):
        return getattr(self._model, name)

    def train_step(self, X, Y, state):
        self._begun = self._begun or time.perf_counter()
        return self._model.train_step(X, Y, state)

    def read(self, handles):
        if self._begun is None:  # an evaluation
            return self._model.read(handles)
        clocks = Clocks(self._begun, time.perf_counter())
        figures = self._model.read(handles)
        clocks.read = time.perf_counter()
        mx.nd.waitall()
        clocks.idle = time.perf_counter()
        self.blocks.append(clocks)
        self._begun = None
        return figures


def wide_lstm():
    architecture = Architecture(vocab_size=28, num_layers=2, num_hiddens=256)
    return loaded(lambda *parts: build_fused("lstm", *parts), resolve("harness_lstm.cell"), architecture)


def test_the_time_reported_ends_when_the_engine_is_done_and_an_unread_loss_would_end_it_long_before():
    batch_size, num_steps, num_minibatches = 64, 35, 4
    tokens = np.random.default_rng(0).integers(0, 28, batch_size * num_steps * (num_minibatches + 1), dtype=np.uint8)
    trial = small_trial(train_tokens=len(tokens), num_steps=num_steps, batch_size=batch_size)
    model = Watched(wide_lstm())
    events = []
    valid = tokens[: batch_size * (num_steps + 1) + 1]
    parts = training.Parts(train=tokens, valid=valid, valid_chars_per_token=1.0)
    training.train(model, trial, parts, events.append, training.Course(report_seconds=60))
    (epoch,) = (event for event in events if isinstance(event, EpochEnded))
    rest = model.blocks[1]  # all steps but the first, which is a block of its own
    assert len(epoch.blocks) == 2
    for (_, seconds), clocks in zip(epoch.blocks, model.blocks, strict=True):
        assert seconds >= clocks.read - clocks.begun
    duration = rest.read - rest.begun
    assert rest.idle - rest.read < duration / 4  # reading left nothing to wait for
    assert rest.started - rest.begun < duration * 0.7  # the trap: a clock read here is too fast


def test_the_engine_is_never_many_steps_behind():
    """Else a training loop that reads once a second would wait minutes for what it started in one."""
    model = wide_lstm()
    batch = minibatches(1, vocab_size=28)
    X, Y = (np.tile(ids, (35 // NUM_STEPS, 4)) for ids in (batch.inputs[0], batch.targets[0]))
    state = model.initial_state(X.shape[1])
    model.read([model.train_step(X, Y, state)[0]])
    begun = time.perf_counter()
    handles = []
    for _ in range(40):
        handle, state = model.train_step(X, Y, state)
        handles.append(handle)
    started = time.perf_counter()
    model.read(handles)
    assert time.perf_counter() - started < (started - begun) / 2
