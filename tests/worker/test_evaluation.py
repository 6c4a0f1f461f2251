"""What a trained model reaches on held-out parts, long and short."""

import math
from dataclasses import replace

import numpy as np
import pytest
from test_training import CYCLE, TRIAL, build

from harness.worker.evaluation import evaluate_best_epoch, evaluate_held_out
from harness.worker.events import Evaluated, Progress
from harness.worker.figures import evaluate
from harness.worker.job import HeldOutPart
from harness.worker.minibatches import evaluation_minibatches
from harness.worker.training import Course, Parts, train


def events_of(tmp_path, tokens, *parts, trial=TRIAL):
    np.save(tmp_path / "held-out.npy", tokens)
    events = []
    held_out = [
        HeldOutPart(
            author="Ann", part="test", path=str(tmp_path / "held-out.npy"), start=a, stop=b, chars_per_token=2.0
        )
        for a, b in parts
    ]
    evaluate_held_out(build(trial), trial, held_out, events.append, last_is_best=False)
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
    assert part.measures["loss"] == pytest.approx(expected.means["loss"])


def test_the_best_epoch_is_tested_on_the_trial_s_own_authors_alone(tmp_path):
    np.save(tmp_path / "held-out.npy", CYCLE)
    plain = {"path": str(tmp_path / "held-out.npy"), "start": 0, "stop": 200, "chars_per_token": 1.0}
    parts = [
        HeldOutPart(author=author, part=part, **plain)
        for author in ("Ann", "Bob", "Cleo")
        for part in ("valid", "test")
    ]
    trial = replace(TRIAL, authors="Ann+Bob")
    events = []
    evaluate_held_out(build(trial), trial, parts, events.append, last_is_best=True)
    best = [event for event in events if event.part == "best_epoch_test"]
    assert [event.author for event in best] == ["Ann", "Bob"]
    assert replace(best[0], part="test") in events
    events.clear()
    evaluate_held_out(build(trial), trial, parts, events.append, last_is_best=False)
    assert {event.part for event in events} == {"valid", "test"}
    events.clear()
    evaluate_best_epoch(build(trial), trial, parts, events.append)
    assert events == best


def test_blocks_of_a_text_add_up_to_its_loss_and_are_the_same_for_other_minibatches(tmp_path):
    text = np.r_[CYCLE[:300], np.random.default_rng(0).integers(0, 5, 320).astype(np.uint8)]
    trained, events = build(TRIAL), []
    texts = Parts(train=CYCLE, valid=CYCLE[:100], valid_chars_per_token=1.0)
    for _ in range(3):
        train(trained, TRIAL, texts, events.append, Course(report_seconds=1e9))
    by_shape = {}
    for batch_size, num_steps in ((1, 5), (4, 5), (3, 9)):
        figures = evaluate(trained, text, batch_size, num_steps)
        tokens, losses = np.array(figures.blocks).T
        assert len(tokens) == len(text) // 50
        minibatches = evaluation_minibatches(text, batch_size, num_steps, "sequential")
        assert tokens.sum() == minibatches.num_predicted
        assert tokens @ losses / tokens.sum() == pytest.approx(figures.means["loss"])
        # The first half is learnt, the second is noise.
        assert losses[:5].max() < 0.5 * losses[7:].min()
        by_shape[batch_size, num_steps] = losses
    # A stretch that lies in two blocks blurs them a little.
    assert np.allclose(by_shape[1, 5][7:], by_shape[4, 5][7:], rtol=0.2)


def test_losses_weigh_tokens_whatever_the_minibatches():
    """The noise at the end fills the last, short minibatch, and a mean of means counts it for more."""
    text = np.r_[CYCLE[:300], np.random.default_rng(0).integers(0, 5, 30).astype(np.uint8)]
    model = build(TRIAL)
    read = {size: evaluate(model, text, size, 5, "windows") for size in (7, 60, 320)}
    assert len({round(figures.means["loss"], 6) for figures in read.values()}) == 1
    assert len({round(figures.minibatch_loss, 4) for figures in read.values()}) == 3
    logits = [
        model.logits(np.asarray(text[i : i + 5, None], np.int64), model.initial_state(1))[0][:, 0] for i in range(325)
    ]
    expected = [
        np.log(np.exp(row).sum()) - row[target]
        for i, rows in enumerate(logits)
        for row, target in zip(rows, text[i + 1 : i + 6], strict=True)
    ]
    assert read[60].means["loss"] == pytest.approx(np.mean(expected))
