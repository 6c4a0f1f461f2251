"""A loss far below what a 6-gram needs on the same text is suspect: unasked, in tables, terminal and page."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from html_reading import read_html

from harness.record.ledger import LedgerReader
from harness.record.yardstick import is_suspect
from harness.report import write_report

Harness = Callable[..., Any]


@pytest.mark.slow
def test_a_cell_that_sees_what_it_predicts_is_suspect_though_nothing_checked_it(
    harness: Harness, here: Path, small: tuple[str, ...], plugin_folder: Callable[..., Path]
) -> None:
    folder = plugin_folder("sees_the_future")
    letters = np.random.default_rng(0).choice(list("abcdefgh"), 6_000)
    (here / "text.txt").write_text("".join(letters))
    learns = ("--epochs", "6", "--lr", "0.03", "--hiddens", "32", "--steps", "20", "--parity-steps", "0")
    named = ("--plugins", "oracle,rnn,numpy", "--plugins-dir", folder, "--out", "out")
    done = harness(*small, *named, *learns)
    assert done.returncode == 0, done.stderr
    with (here / "out" / "trials.csv").open(newline="") as file:
        rows = {row["cell"]: row for row in csv.DictReader(file)}
    needed = float(rows["rnn"]["yardstick_valid_loss"])
    assert needed == float(rows["oracle"]["yardstick_valid_loss"]) > 1
    assert float(rows["oracle"]["valid_loss"]) < needed / 2 < float(rows["rnn"]["valid_loss"])
    assert (rows["oracle"]["leakage_suspected"], rows["rnn"]["leakage_suspected"]) == ("True", "False")
    said = " ".join(done.stdout.split())
    assert f"Suspect, and not ranked: {rows['oracle']['trial_id']} needs less than half" in said
    page = read_html(write_report(here / "out").read_text(encoding="utf-8")).text
    assert "Suspect: a held-out loss of its lies below half" in page
    assert "1 trial better than the text allows" in page


def test_what_the_yardstick_needs_is_recorded_and_is_that_of_the_6_gram_itself(train: Callable[..., Any]) -> None:
    trained = train("rnn,ngram-6,numpy")
    rnn, ngram = trained.trial("rnn"), trained.trial("ngram-6")
    with LedgerReader(trained.folder / "run.sqlite") as ledger:
        losses = {row["trial_id"]: row["valid_loss"] for row in ledger.epochs()}
    assert rnn["yardstick_valid_loss"] == losses[ngram["trial_id"]]
    assert "yardstick_valid_loss" not in ngram


@pytest.mark.parametrize(("loss", "yardstick", "suspect"), [(0.99, 2.0, True), (1.01, 2.0, False), (0.01, 0.1, False)])
def test_half_of_it_is_too_good_unless_the_text_is_known_by_heart(loss: float, yardstick: float, suspect: bool) -> None:
    assert bool(is_suspect(loss, yardstick)) is suspect
