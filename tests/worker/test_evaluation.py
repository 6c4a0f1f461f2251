"""What a trained model reaches on held-out parts, long and short."""

import math
from dataclasses import replace

import numpy as np
import pytest
from test_training import CYCLE, TRIAL, build

from harness.contracts.backends import LOSS
from harness.worker.evaluation import evaluate_held_out
from harness.worker.events import Evaluated, Progress
from harness.worker.job import HeldOutPart
from harness.worker.training import evaluate


def events_of(tmp_path, tokens, *parts, trial=TRIAL):
    np.save(tmp_path / "held-out.npy", tokens)
    events = []
    held_out = [
        HeldOutPart(
            author="Ann", part="test", path=str(tmp_path / "held-out.npy"), start=a, stop=b, chars_per_token=2.0
        )
        for a, b in parts
    ]
    evaluate_held_out(build(trial), trial, held_out, events.append)
    return events


def test_a_part_is_read_from_its_start_to_its_stop(tmp_path):
    noise = np.random.default_rng(0).integers(0, 5, 600).astype(np.uint8)
    (alone,) = events_of(tmp_path, CYCLE[:90], (0, 90))
    (inside,) = events_of(tmp_path, np.r_[noise, CYCLE[:90], noise], (600, 690))
    assert alone == inside
    assert (alone.author, alone.part, alone.num_tokens, alone.num_chars) == ("Ann", "test", 80, 160.0)
    assert alone.measures["bits_per_char"] == pytest.approx(alone.measures["loss"] / math.log(2) / 2)


def test_a_part_shorter_than_a_minibatch_is_read_in_fewer_rows(tmp_path):
    (short,) = events_of(tmp_path, CYCLE, (0, 13))
    assert short.num_tokens == 2 * TRIAL.num_steps
    (shortest,) = events_of(tmp_path, CYCLE, (0, TRIAL.num_steps + 1))
    assert shortest.num_tokens == TRIAL.num_steps


def test_a_long_part_gives_signs_of_life(tmp_path):
    long = np.tile(CYCLE, 5)
    *alive, last = events_of(tmp_path, long, (0, len(long)), trial=replace(TRIAL, batch_size=4))
    assert len(alive) == (len(long) // 20 - 1) // 64 > 1
    assert all(isinstance(event, Progress) for event in alive)
    assert isinstance(last, Evaluated)


def test_windows_of_stride_1_are_evaluated_on_such_windows_too(tmp_path):
    trial = replace(TRIAL, partition="windows")
    (part,) = events_of(tmp_path, CYCLE, (5, 60), trial=trial)
    assert part.num_tokens == (55 - TRIAL.num_steps) * TRIAL.num_steps
    expected = evaluate(build(trial), CYCLE[5:60], trial.batch_size, trial.num_steps, "windows")
    assert part.measures["loss"] == pytest.approx(expected[LOSS])
