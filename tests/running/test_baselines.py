"""Baselines beside cells: planned once a text, run by real workers, recorded in the same ledger."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import CorpusError, PluginError, UsageError
from harness.record.folder import RunFolder
from harness.record.ledger import LedgerReader
from harness.report import write_report
from harness.running import run, sampling

Prepare = Callable[..., run.PreparedRun]
Train = Callable[..., Any]


def test_a_baseline_is_planned_once_a_text_whatever_the_grid(prepare: Prepare) -> None:
    axes = {"layers": (1, 2), "seeds": (0, 1), "hiddens": (8, 16), "lr": (0.1, 0.2)}
    planned = prepare("rnn,ngram-2,numpy", **axes).plan
    assert [trial.cell for trial in planned.runnable] == ["rnn"] * 16 + ["ngram-2"]
    assert planned.slug == "rnn+ngram-2_1-2-layers_numpy_text.txt"
    assert planned.backends == ["numpy"]


def test_a_family_is_all_its_baselines_each_once_and_needs_neither_cell_nor_backend(prepare: Prepare) -> None:
    planned = prepare("ngram-2,ngram").plan
    assert [trial.cell for trial in planned.runnable] == [
        "ngram-2", "ngram-1", "ngram-3", "ngram-4", "ngram-5", "ngram-6",
    ]  # fmt: skip
    assert planned.slug == "ngram-2+ngram-1+ngram-3+ngram-4+ngram-5+ngram-6_text.txt"


def test_no_baseline_runs_unasked(prepare: Prepare) -> None:
    assert not any(trial.is_baseline for trial in prepare("numpy").plan.runnable)


def test_a_short_text_is_enough_for_a_baseline(prepare: Prepare, here: Path) -> None:
    (here / "short.txt").write_text("to be or not to be")
    assert prepare("ngram-2", corpora=("short.txt",), batch_size=(1000,)).plan.runnable


def test_a_held_out_part_with_nothing_to_predict_from_is_refused(prepare: Prepare, here: Path) -> None:
    # Of ten letters one validates: without a token before it its perplexity would be that of no token at all, 1.
    (here / "short.txt").write_text("abcdefghij")
    with pytest.raises(CorpusError, match=r"'short.txt': the validation part of short is a single token"):
        prepare("ngram-2", corpora=("short.txt",))


def test_a_misspelt_baseline_is_told_with_the_closest(prepare: Prepare) -> None:
    with pytest.raises(PluginError, match=r"no cell, backend or baseline 'ngrams'\. Did you mean .*'ngram'"):
        prepare("rnn,ngrams")


def test_a_baseline_without_its_requirement_is_skipped_with_what_mends_it(prepare: Prepare) -> None:
    planned = prepare("guesses", "tiny_baseline").plan
    assert [trial.cell for trial in planned.runnable] == ["guess"]
    assert planned.skips == {
        "The lucky-guess baseline needs no-such-library>=1: pip install 'no-such-library>=1'": 1,
    }


def test_a_baseline_s_name_is_no_cell_s_too(prepare: Prepare) -> None:
    with pytest.raises(PluginError, match=r"Two plugins bring the \w+ 'guess'"):
        prepare("guess", "tiny_baseline", "second_guess")


@pytest.mark.slow
def test_a_baseline_lands_in_the_ledger_beside_the_cells_with_one_epoch(train: Train) -> None:
    trained = train("rnn,ngram-3,guess,numpy", "tiny_baseline")
    assert set(trained.outcome.statuses.values()) == {"ok"}
    ngram, guess = trained.trial("ngram-3"), trained.trial("guess")
    assert (ngram["backend"], ngram["implementation"], ngram["num_layers"]) == ("none", "baseline", 0)
    assert ngram["num_params"] > 0
    assert len(ngram["sample"]) > 200
    assert guess["sample"] == ""
    with LedgerReader(trained.folder / "run.sqlite") as ledger:
        epochs = {row["trial_id"]: row for row in ledger.epochs()}
        assert not any(row["trial_id"].startswith(("ngram", "guess")) for row in ledger.timings())
    row = epochs[ngram["trial_id"]]
    assert row["epoch"] == 1
    assert row["train_loss"] < row["valid_loss"] < epochs[guess["trial_id"]]["valid_loss"]
    assert row["valid_bits_per_char"] == pytest.approx(row["valid_loss"] / math.log(2))
    assert row["grad_norm"] is None


@pytest.mark.slow
def test_tokens_are_counted_as_a_network_counts_them(train: Train) -> None:
    """An n-gram predicts all but a part's first token, as a network does of whole windows; a compressor codes all."""
    folder = train("rnn,ngram-3,bz2,numpy", batch_size=(1,)).folder
    with LedgerReader(folder / "run.sqlite") as ledger:
        parts = [(row["trial_id"].split("-")[0], row["part"], row["num_tokens"]) for row in ledger.evaluations()]
        trained = {row["trial_id"].split("-")[0]: row["train_tokens"] for row in ledger.epochs() if row["epoch"] == 1}
    for kind in ("valid", "test"):
        counted = {model: tokens for model, part, tokens in parts if part == kind}
        assert counted["ngram"] == counted["bz2"] - 1
        assert counted["rnn"] == counted["ngram"] // 5 * 5
    assert trained["ngram"] == trained["bz2"] - 1


@pytest.mark.slow
def test_a_finished_baseline_is_not_fitted_again(train: Train) -> None:
    first = train("guess", "tiny_baseline").trial("guess")
    assert train("guess", "tiny_baseline").trial("guess")["attempts"] == first["attempts"] == 1


@pytest.mark.slow
def test_a_checkpoint_is_not_asked_of_a_baseline(train: Train) -> None:
    folder = train("guess", "tiny_baseline").folder
    with pytest.raises(UsageError, match=r"is a baseline, of which no checkpoint is kept: samples\.txt"):
        sampling.find_trial(RunFolder(folder), "guess")


@pytest.mark.slow
def test_a_run_of_baselines_alone_has_a_report(train: Train) -> None:
    folder = train("guess,ngram-1", "tiny_baseline").folder
    assert write_report(folder).stat().st_size > 10_000


def test_a_baseline_that_is_no_distribution_or_has_no_loss_is_a_failure_with_its_fault(train: Train) -> None:
    trained = train("honest,generous,later", "cheating_baselines")
    honest, generous, later = (trained.trial(name) for name in ("honest", "generous", "later"))
    assert (honest["status"], generous["status"], later["status"]) == ("ok", "failed", "failed")
    assert "generous is no sound baseline: its probabilities sum to more than one" in generous["reason"]
    assert "the baseline's loss on the training text is no number" in later["reason"]
    with LedgerReader(trained.folder / "run.sqlite") as ledger:
        assert {row["trial_id"] for row in ledger.epochs()} == {honest["trial_id"]}
