"""The test figures of the epoch that is best on validation: those of a trial that ended there."""

from collections.abc import Callable
from typing import Any

import pytest

from harness.analysis.frames import read_run

GROWING = {"optimizer": ("sgd",), "lr": (1.0,), "clip": (5.0,), "lr_decay": (10.0,), "lr_decay_after": (2,)}
"""From the third epoch on the steps are far too large."""


@pytest.mark.slow
def test_they_are_those_of_the_same_trial_ended_there_and_the_last_epoch_s_stay(train: Callable[..., Any]) -> None:
    longer = read_run(train("rnn,numpy", epochs=(4,), out="longer", **GROWING).folder).trials.iloc[0]
    ended = read_run(train("rnn,numpy", epochs=(2,), out="ended", **GROWING).folder).trials.iloc[0]
    assert (longer["best_epoch"], ended["best_epoch"]) == (2, 2)
    for name in ("loss", "perplexity", "accuracy", "bits_per_char"):
        assert longer[f"best_epoch_test_{name}"] == ended[f"best_epoch_test_{name}"] == ended[f"test_{name}"]
    assert longer["test_loss"] > longer["best_epoch_test_loss"]


@pytest.mark.slow
def test_a_baseline_s_only_epoch_is_its_best(train: Callable[..., Any]) -> None:
    trial = read_run(train("ngram-2").folder).trials.iloc[0]
    assert trial["best_epoch_test_loss"] == trial["test_loss"] > 0
