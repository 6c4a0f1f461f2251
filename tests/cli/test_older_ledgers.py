"""A ledger that lacks columns of today, or has others, is reported as it is and gets what it lacks when continued."""

import csv
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from invented_runs import older_ledger

pytestmark = pytest.mark.slow

Harness = Callable[..., subprocess.CompletedProcess[str]]

COMMAND = ("run", "--plugins", "gru,numpy", "--hiddens", 8, "--steps", 5, "--batch-size", 4, "--epochs", 1)
DROPPED = {"epochs": "valid_top5_accuracy", "evaluations": "top5_accuracy"}


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.fixture
def older(here: Path, harness: Harness) -> Path:
    """A finished run whose ledger lacks a column of two tables, and has one of another's making in each."""
    assert harness(*COMMAND, "--corpus", "text.txt", "--seeds", 1, "--out", "run").returncode == 0
    with older_ledger(here / "run" / "run.sqlite") as db:
        for table, column in DROPPED.items():
            db.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        for table in (*DROPPED, "trials", "timings", "probes"):
            db.execute(f"ALTER TABLE {table} ADD COLUMN mood TEXT DEFAULT 'fair'")
    return here / "run"


def test_it_is_reported_without_what_it_lacks(older: Path, harness: Harness) -> None:
    assert harness("report", older).returncode == 0
    (trial,), (epoch,) = rows(older / "trials.csv"), rows(older / "epochs.csv")
    for name in ("valid_top5_accuracy", "test_top5_accuracy"):
        assert trial[name] == ""
    assert trial["valid_accuracy"] == epoch["valid_accuracy"] != ""
    assert "mood" not in epoch


def test_it_gets_its_columns_when_the_run_is_continued(older: Path, harness: Harness) -> None:
    continued = harness(*COMMAND, "--corpus", "text.txt", "--seeds", 2, "--out", older)
    assert continued.returncode == 0, continued.stderr
    before, after = rows(older / "trials.csv")
    for name in ("valid_top5_accuracy", "test_top5_accuracy"):
        assert before[name] == ""
        assert 0 < float(after[name]) <= 1


def test_a_setting_of_a_newer_version_is_refused_by_its_name(older: Path, harness: Harness) -> None:
    with sqlite3.connect(older / "run.sqlite") as db:
        db.execute("UPDATE trials SET trial = json_set(trial, '$.weight_decay', 0.7)")
    refused = harness("report", older)
    assert refused.returncode == 2
    assert "newer harness" in refused.stderr
    assert "'weight_decay'" in refused.stderr


@pytest.mark.parametrize(("partition", "anew"), [("windows", True), ("random", False)])
def test_losses_that_weighed_minibatches_are_trained_anew_where_one_was_short(
    partition: str, anew: bool, here: Path, harness: Harness
) -> None:
    command = (*COMMAND, "--corpus", "text.txt", "--train-tokens", 300, "--partition", partition, "--out", "run")
    assert harness(*command).returncode == 0
    with older_ledger(here / "run" / "run.sqlite") as db:
        db.execute("UPDATE trials SET facts = json_remove(facts, '$.loss_weighting')")
    again = harness(*command)
    assert again.returncode == 0, again.stderr
    said = " ".join(again.stdout.split())
    assert ("whose losses counted a short last minibatch like a whole one" in said) is anew
    trials = rows(here / "run" / "trials.csv")
    assert [bool(trial["superseded"]) for trial in trials] == ([False, True] if anew else [False])
    assert "trained anew" not in harness(*command).stdout
