"""What the version before left (tests/fixtures/version_before) holds: names, figures, columns, and a run begun.

The figures were recorded on one machine. There they come out again bit for bit; elsewhere NumPy's products and the
compiler's kernels round otherwise, so the tests here allow a relative 1e-6.
"""

import csv
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.record.ledger import LedgerReader

Harness = Callable[..., subprocess.CompletedProcess[str]]

BEFORE = Path(__file__).parents[1] / "fixtures" / "version_before"
RECORD = json.loads((BEFORE / "grids.json").read_text())
TINY = ("--hiddens", 8, "--steps", 5, "--batch-size", 4, "--corpus", "text.txt")
BEGUN = ("run", *TINY, "--plugins", "gru,lstm,numpy", "--implementation", "scratch", "--layers", "1,2", "--epochs", 3)
BUILT_IN = ("rnn", "gru", "gru-textbook", "lstm", "mlp", "ngram", "numpy", "mxnet", "tensorflow", "jax")


def close(value: float) -> Any:
    return pytest.approx(value, rel=1e-6)


@pytest.fixture
def before(here: Path) -> Path:
    """The working folder of the version before."""
    shutil.copy(BEFORE / "text.txt", here)
    shutil.copytree(BEFORE / "interrupted", here / "run")
    return here


@pytest.fixture(scope="module")
def trained(harness_once: Callable[[], tuple[Path, Harness]]) -> Path:
    """Every cell, baseline and implementation on NumPy, two layers, with the settings of a part of the record."""
    folder, harness = harness_once()
    shutil.copy(BEFORE / "text.txt", folder)
    settings = ("--implementation", "all", "--layers", 2, "--optimizer", "adam", "--seed", 3)
    harness("run", *TINY, *settings, "--plugins", ",".join(BUILT_IN), "--out", folder / "out")
    return folder / "out"


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def losses(folder: Path) -> dict[tuple[str, int], tuple[float, float]]:
    with LedgerReader(folder / "run.sqlite") as ledger:
        return {(row["trial_id"], row["epoch"]): (row["train_loss"], row["valid_loss"]) for row in ledger.epochs()}


def statuses(folder: Path) -> dict[str, str]:
    with LedgerReader(folder / "run.sqlite") as ledger:
        return {row["trial_id"]: row["status"] for row in ledger.trials()}


def backend_of(trial_id: str) -> str:
    """Return the backend in a trial's id; a baseline's has none."""
    named = re.fullmatch(r".+-\d-(numpy|torch|mxnet|tensorflow|jax)-\w+-[0-9a-f]{10}", trial_id)
    return named[1] if named else ""


@pytest.mark.parametrize("grid", RECORD["grids"], ids=["cells", "frameworks", "training", "budgets"])
def test_the_same_command_plans_the_same_trials(grid: dict[str, Any], before: Path, harness: Harness) -> None:
    """Trials of a backend that can't run here are not printed; `test_skipped_trials_keep_their_names` has them."""
    planned = harness("run", *grid["command"], "--dry-run")
    if planned.returncode == 2 and "env create" in planned.stderr:
        pytest.skip("none of these backends can run here")
    ids = re.findall(r"^(\S+-[0-9a-f]{10})  ", planned.stdout, re.MULTILINE)
    here = {backend_of(trial_id) for trial_id in ids}
    recorded = {name: figures for name, figures in grid["trials"].items() if backend_of(name) in here}
    assert ids == [trial_id for trial_id in recorded if trial_id in ids]
    # Where there is one layer dropout has nothing to lie between: what was trained twice is planned once.
    for trial_id in recorded.keys() - set(ids):
        assert "-1-" in trial_id
        assert recorded[trial_id] in [recorded[planned] for planned in ids]


@pytest.mark.slow
def test_skipped_trials_keep_their_names(trained: Path) -> None:
    """Without their environments, too."""
    assert set(RECORD["grids"][1]["trials"]) < {row["trial_id"] for row in rows(trained / "trials.csv")}


@pytest.mark.slow
def test_the_same_trials_reach_the_same_figures_and_certificates(trained: Path) -> None:
    recorded = RECORD["grids"][0]["trials"]
    again = [row for row in rows(trained / "trials.csv") if row["backend"] in ("numpy", "none")]
    assert len(again) == 11 + 6
    with LedgerReader(trained / "run.sqlite") as ledger:
        norms = {row["trial_id"]: row["grad_norm"] for row in ledger.epochs()}
    for row in again:
        train_loss, valid_loss, grad_norm, test_loss, certified = recorded[row["trial_id"]]
        assert float(row["train_loss"]) == close(train_loss), row["trial_id"]
        assert float(row["valid_loss"]) == close(valid_loss), row["trial_id"]
        assert norms[row["trial_id"]] == (grad_norm if grad_norm is None else close(grad_norm))
        assert float(row["test_loss"]) == close(test_loss)
        assert (row["parity_certified"] == "True") == bool(certified)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(RECORD["headers"]))
def test_every_column_of_before_is_still_there_and_in_its_order(name: str, trained: Path) -> None:
    """New columns come after them."""
    with (trained / name).open(newline="") as lines:
        header = next(csv.reader(lines))
    recorded = RECORD["headers"][name]
    assert header[: len(recorded)] == recorded


def test_a_run_begun_with_the_version_before_is_listed_as_it_stands(before: Path) -> None:
    assert sorted(statuses(before / "run").values()) == ["ok", "ok", "running", "waiting"]
    assert len(losses(before / "run")) == 3 + 3 + 1


@pytest.mark.slow
def test_a_run_begun_with_the_version_before_is_reported_continued_and_compared(before: Path, harness: Harness) -> None:
    had, stood = losses(before / "run"), statuses(before / "run")
    finished = {trial_id for trial_id, status in stood.items() if status == "ok"}
    assert harness("report", "run").returncode == 0
    assert {row["trial_id"] for row in rows(before / "run" / "trials.csv") if row["status"] == "ok"} == finished
    assert all(trial_id in (before / "run" / "index.html").read_text() for trial_id in finished)

    continued = harness(*BEGUN, "--out", "run")
    assert continued.returncode == 0
    assert "2 of 4 trials: finished already" in continued.stdout
    assert harness(*BEGUN, "--out", "fresh").returncode == 0
    assert statuses(before / "run") == dict.fromkeys(stood, "ok") == statuses(before / "fresh")
    now, anew = losses(before / "run"), losses(before / "fresh")
    assert [now[key] for key in had if key[0] in finished] == [had[key] for key in had if key[0] in finished]
    assert now == {key: (close(train), close(valid)) for key, (train, valid) in anew.items()}

    assert harness("compare", "run", "fresh", "--csv", "differences.csv").returncode == 0
    compared = {
        (row["model"], row["verdict"])
        for row in rows(before / "differences.csv")
        if row["measure"] == "valid_perplexity"
    }
    models = ("gru · 1 layer", "gru · 2 layers", "lstm · 1 layer", "lstm · 2 layers")
    assert compared == {(model, "same within noise") for model in models}
