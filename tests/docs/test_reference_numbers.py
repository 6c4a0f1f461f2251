"""Figures in README and docs are those of the runs in reports/reference/, as they stand there."""

import re
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "reports" / "reference"


def rows_of_table(text: str, heading: str) -> list[list[str]]:
    """Return the cells of the table whose heading begins so, bold ones as plain ones."""
    lines = text[text.index(heading) :].splitlines()[2:]
    table = lines[: next(number for number, line in enumerate([*lines, ""]) if not line.startswith("|"))]
    return [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in table]


def test_the_ranking_of_the_first_run_is_that_of_its_trials() -> None:
    trials = pd.read_csv(REFERENCE / "trials.csv").set_index(["num_layers", "cell"])
    rows = rows_of_table((ROOT / "README.md").read_text(encoding="utf-8"), "| layers | LSTM: perplexity")
    assert len(rows) == 4
    for layers, *figures in rows:
        for cell, perplexity, rate in (("lstm", *figures[:2]), ("gru", *figures[2:])):
            trial = trials.loc[(int(layers), cell)]
            assert perplexity == f"{trial['valid_perplexity']:.2f}"
            assert rate == f"{trial['tokens_per_s'] / 1000:.0f} k"


def test_the_perplexities_by_rate_are_those_of_the_search() -> None:
    trials = pd.read_csv(REFERENCE / "exercises" / "trials.csv", low_memory=False)
    of = {"role": "search", "train_tokens": 300_000, "num_hiddens": 128, "num_epochs": 6, "authors": "all"}
    points = trials[(trials[list(of)] == pd.Series(of)).all(axis=1)]
    reached = points.set_index(["learning_rate", "cell", "num_layers"])["valid_perplexity"]
    text = (ROOT / "docs" / "tuning.md").read_text(encoding="utf-8")
    rows = rows_of_table(text, "| learning rate | GRU, 1 layer")
    assert len(rows) == 4
    for rate, *figures in rows:
        known = [reached.loc[(float(rate), cell, depth)] for depth in (1, 2) for cell in ("gru", "lstm")]
        assert figures == [f"{float(value):.2f}" for value in known]


def test_the_verdicts_of_the_docs_are_the_reference_run_s() -> None:
    answers = pd.read_csv(REFERENCE / "exercises" / "exercises.csv").set_index("exercise_id")["verdict"]
    text = (ROOT / "docs" / "exercises.md").read_text(encoding="utf-8")
    quoted = dict(re.findall(r"^\| `((?:deep-)?rnn-\d)` \| “(.+)” \|$", text, re.MULTILINE))
    assert quoted == answers.to_dict()
