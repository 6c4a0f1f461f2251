"""A trial's name: the hash of all that decides its figures, and what came later changes no earlier name."""

import dataclasses
import json

import pytest

from harness.contracts.training import Training
from harness.worker.trial import Trial

# As a ledger of the first version has it, under the name it had there.
EARLIER = json.loads(
    """{"cell": "lstm", "backend": "numpy", "implementation": "fused", "corpus": "bronte", "authors": "all",
    "text": "d2l", "tokens": "char", "train_tokens": 1000, "corpus_digest": "abc", "vocab_size": 28, "num_layers": 2,
    "num_hiddens": 16, "num_steps": 35, "batch_size": 32, "partition": "sequential", "optimizer": "adam",
    "learning_rate": 0.003, "grad_clip": 1.0, "dropout": 0.0, "num_epochs": 2, "seed": 0}"""
)
EARLIER_ID = "lstm-2-numpy-fused-dbaacd4722"


def test_an_earlier_trial_still_loads_and_keeps_its_name():
    trial = Trial.from_dict(EARLIER)
    assert trial.trial_id == EARLIER_ID
    assert (trial.init, trial.lr_decay, trial.lr_decay_after, trial.rmsprop_decay) == ("uniform", 1.0, 0, 0.99)


@pytest.mark.parametrize(
    "change",
    [{"init": "normal:0.01"}, {"lr_decay": 0.95}, {"lr_decay_after": 10}, {"rmsprop_decay": 0.95}, {"seed": 1}],
)
def test_every_setting_is_part_of_the_name(change):
    assert dataclasses.replace(Trial.from_dict(EARLIER), **change).trial_id != EARLIER_ID


def test_the_learning_rate_falls_from_the_epoch_after_the_one_named():
    training = Training(learning_rate=2e-3, lr_decay=0.95, lr_decay_after=10)
    rates = [training.learning_rate_in(epoch) for epoch in (0, 1, 10, 11, 12, 50)]
    assert rates == pytest.approx([2e-3, 2e-3, 2e-3, 2e-3 * 0.95, 2e-3 * 0.95**2, 2e-3 * 0.95**40])
