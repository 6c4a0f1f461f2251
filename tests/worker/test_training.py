"""The training loop on a real model: figures, clocks, divergence, learning."""

import math
from dataclasses import replace

import numpy as np
import pytest

from harness.contracts.backends import COLUMNS
from harness.contracts.network import canonical_shapes
from harness.contracts.weights import initial_weights
from harness.testing.trials import small_trial
from harness.worker.events import EpochEnded, Progress
from harness.worker.figures import evaluate
from harness.worker.minibatches import training_minibatches
from harness.worker.targets import resolve
from harness.worker.training import Course, DivergedError, Parts, train
from harness_numpy.backend import NumpyBackend

TRIAL = small_trial(
    cell="rnn",
    train_tokens=600,
    vocab_size=5,
    num_layers=1,
    num_hiddens=8,
    num_steps=5,
    batch_size=4,
    optimizer="adam",
    learning_rate=0.02,
    num_epochs=6,
)
CYCLE = (np.arange(600) % 5).astype(np.uint8)
"""A text whose next token is always known: its entropy rate is zero."""


def build(trial):
    equations = resolve("harness_rnn.cell")
    model = NumpyBackend("cpu", 1).scratch(equations, trial.architecture, trial.training)
    model.load(initial_weights(canonical_shapes(equations, trial.architecture), 8, trial.seed))
    return model


def events_of(trial, model=None, **options):
    events = []
    parts = Parts(train=CYCLE, valid=CYCLE[:200], valid_chars_per_token=2.0)
    course = Course(**{"report_seconds": 1e9} | options)
    first_step = train(model or build(trial), trial, parts, events.append, course)
    return [event for event in events if isinstance(event, EpochEnded)], events, first_step


@pytest.mark.slow
def test_a_cycle_is_learnt_to_its_entropy():
    epochs, _, _ = events_of(replace(TRIAL, num_epochs=25))
    assert [event.epoch for event in epochs] == list(range(1, 26))
    assert epochs[0].measures["train_loss"] > 0.5
    assert epochs[-1].measures["valid_loss"] < 0.01
    assert epochs[-1].measures["valid_accuracy"] == 1.0
    assert epochs[0].measures["train_top5_accuracy"] == 1.0  # there are five symbols


def test_bits_per_character_count_the_characters_behind_a_token():
    epochs, _, _ = events_of(replace(TRIAL, num_epochs=1))
    assert epochs[0].measures["valid_bits_per_char"] == pytest.approx(
        epochs[0].measures["valid_loss"] / math.log(2) / 2.0
    )


def test_blocks_add_up_to_the_epoch_and_the_first_step_is_one_of_its_own():
    epochs, _, first_step = events_of(replace(TRIAL, num_epochs=1))
    (event,) = epochs
    assert event.blocks[0] == (20, pytest.approx(first_step))
    assert sum(tokens for tokens, _ in event.blocks) == event.measures["train_tokens"]
    assert sum(seconds for _, seconds in event.blocks) == pytest.approx(event.measures["train_seconds"])


def test_progress_is_reported_within_the_time_asked_for():
    _, events, _ = events_of(replace(TRIAL, num_epochs=1), report_seconds=0.0)
    progress = [event for event in events if isinstance(event, Progress)]
    steps = sum(1 for event in events if isinstance(event, Progress))
    assert steps > 20
    assert [event.fraction for event in progress] == sorted(event.fraction for event in progress)
    assert progress[-1].fraction == pytest.approx(1.0)


class SlowToRead:
    """A device that returns from each step at once and does its work only when the figures are read."""

    def __init__(self, model, seconds):
        self._model = model
        self._seconds = seconds

    def __getattr__(self, name):
        return getattr(self._model, name)

    def read(self, handles):
        import time

        time.sleep(self._seconds * len(handles))
        return self._model.read(handles)


def test_the_clock_is_read_after_the_device_is_done():
    trial = replace(TRIAL, num_epochs=1)
    (event,), _, _ = events_of(trial, SlowToRead(build(trial), 0.005))
    steps = event.measures["train_tokens"] / 20
    assert event.measures["train_seconds"] >= steps * 0.005


class OneFigureShort:
    """A model of before the last figure was added."""

    def __init__(self, model):
        self._model = model

    def __getattr__(self, name):
        return getattr(self._model, name)

    def read(self, handles):
        return self._model.read(handles)[:, :-1]


def test_a_model_that_gives_other_figures_than_the_rows_name_is_refused():
    with pytest.raises(ValueError, match=f"gives {len(COLUMNS) - 1} figures a step, not these: loss, accuracy"):
        events_of(TRIAL, OneFigureShort(build(TRIAL)))


def test_a_loss_that_is_not_finite_ends_the_trial_as_diverged():
    trial = replace(TRIAL, optimizer="sgd", learning_rate=1e38, grad_clip=0.0)
    with (
        pytest.raises(DivergedError, match=r"the loss became (nan|inf) in epoch 1: try a smaller --lr"),
        np.errstate(all="ignore"),
    ):
        events_of(trial)


@pytest.mark.slow
def test_training_goes_on_from_a_later_epoch_as_if_never_stopped():
    whole, _, _ = events_of(TRIAL)
    model = build(TRIAL)
    saved = {}

    def save(epoch, _, __):
        if epoch == 3:
            saved["weights"], saved["optimizer"] = model.weights(), model.optimizer_state()

    events_of(replace(TRIAL, num_epochs=3), model, after_epoch=save)
    resumed = build(TRIAL)
    resumed.load(saved["weights"])
    resumed.load_optimizer_state(saved["optimizer"])
    rest, _, _ = events_of(TRIAL, resumed, first_epoch=4)
    assert [event.measures["valid_loss"] for event in rest] == [event.measures["valid_loss"] for event in whole[3:]]


def test_the_random_partition_starts_each_minibatch_with_a_zero_state():
    trial = replace(TRIAL, partition="random", num_epochs=1)
    model = build(trial)
    states = []
    step = model.train_step
    model.train_step = lambda X, Y, state: (states.append(state), step(X, Y, state))[1]
    events_of(trial, model)
    assert len(states) > 2
    assert all(np.all(part == 0) for state in states for layer in state for part in layer)


def test_evaluation_reads_all_whole_windows_once():
    model = build(TRIAL)
    seen = []
    step = model.evaluate_step
    model.evaluate_step = lambda X, Y, state: (seen.append(X), step(X, Y, state))[1]
    evaluate(model, CYCLE, 4, 5)
    assert len(seen) == (599 // 4) // 5


def test_a_short_last_minibatch_weighs_as_many_tokens_as_it_has():
    trial = replace(TRIAL, partition="windows", batch_size=500, num_epochs=1, learning_rate=1e-9)
    (event,), _, _ = events_of(trial)
    whole, short = 500, 595 - 500
    model = build(trial)
    losses = []
    for X, Y in training_minibatches(CYCLE, 500, 5, "windows", trial.seed, 1):
        losses.append(model.read([model.evaluate_step(X, Y, model.initial_state(X.shape[1]))[0]])[0, 0])
    expected = (whole * losses[0] + short * losses[1]) / (whole + short)
    assert event.measures["train_loss"] == pytest.approx(expected, abs=1e-7)
    assert abs(expected - np.mean(losses)) > 1e-4
    assert event.measures["valid_minibatch_perplexity"] == pytest.approx(math.exp(event.measures["valid_loss"]))
    (plain,), _, _ = events_of(replace(TRIAL, num_epochs=1))
    assert "valid_minibatch_perplexity" not in plain.measures
