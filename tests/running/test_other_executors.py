"""A third party's executor, in a single file: its slots, its files, and the slots it loses."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import EnvironmentMissing, PluginError
from harness.running import attempts

Train = Callable[..., Any]
Losses = Callable[[Path], dict[Any, Any]]
EPOCHS = 4


@pytest.fixture
def frequent_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a worker write a checkpoint after every epoch."""
    plain = attempts.TrainJob
    monkeypatch.setattr(attempts, "TrainJob", lambda **values: plain(**values, checkpoint_seconds=0.0))


@pytest.mark.slow
def test_workers_that_share_no_folder_with_the_harness_train_the_same(train: Train, losses: Losses) -> None:
    far = train("gru,numpy", "far", executor="far", epochs=EPOCHS)
    here = train("gru,numpy", out="here", epochs=EPOCHS)
    (row,) = far.trials
    assert (row["status"], row["slot"]) == ("ok", "node0")
    assert losses(far.folder) == losses(here.folder)
    assert far.prepared.folder.checkpoint(row["trial_id"]).is_file()


@pytest.mark.slow
@pytest.mark.usefixtures("frequent_checkpoints")
def test_a_trial_whose_slot_is_lost_goes_on_elsewhere_from_its_checkpoint(train: Train, losses: Losses) -> None:
    lost = train("slow,rnn", "far", "slow", executor="far-lost", epochs=EPOCHS)
    whole = train("slow,rnn", "slow", out="whole", epochs=EPOCHS)
    (row,) = lost.trials
    assert (row["status"], row["reason"], row["slot"], row["attempts"]) == ("ok", "", "node1", 2)
    assert row["resumed_epochs"] >= 1, "it began anew"
    assert losses(lost.folder) == losses(whole.folder)


@pytest.mark.slow
@pytest.mark.usefixtures("frequent_checkpoints")
def test_a_trial_that_loses_two_slots_is_given_up_with_that_reason(train: Train) -> None:
    trained = train("slow,rnn", "far", "slow", executor="far-lost-again", epochs=EPOCHS, jobs=3)
    (row,) = trained.trials
    assert (row["status"], row["reason"]) == ("failed", "it lost 2 slots, the last one so: the node went away")
    assert (row["attempts"], trained.outcome.exit_code) == (2, 1)


@pytest.mark.slow
@pytest.mark.usefixtures("frequent_checkpoints")
def test_trials_for_which_no_slot_is_left_are_told_so(train: Train) -> None:
    trained = train("slow,rnn", "far", "slow", executor="far-lost", epochs=EPOCHS, jobs=1, seeds=(0, 1))
    assert {(row["status"], row["reason"]) for row in trained.trials} == {
        ("failed", "no slot is left: the node went away")
    }


def test_a_misspelt_executor_is_told_with_the_closest(prepare: Callable[..., Any]) -> None:
    with pytest.raises(PluginError, match=r"There is no executor 'locl'\. Did you mean 'local'\?"):
        prepare("rnn,numpy", executor="locl")


def test_an_executor_that_lacks_a_library_says_which(prepare: Callable[..., Any]) -> None:
    with pytest.raises(EnvironmentMissing, match="The far-needy executor needs no-such-library>=7: pip install"):
        prepare("rnn,numpy", "far", executor="far-needy")
