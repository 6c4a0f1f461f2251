"""What holds for every exercise: it answers or says what is missing, whatever the run is like."""

import csv
import json
import math

import pytest
from invented_answers import EXERCISES, finish, time
from invented_runs import begin, epoch, make_folder, older_ledger, trial

from harness.report import page as page_module
from harness.report import write_report

IDS = list(EXERCISES)


@pytest.fixture(autouse=True)
def _without_vega(monkeypatch):
    monkeypatch.setattr(page_module, "vega_script", lambda: "/* Vega */")


def read_csv(folder):
    write_report(folder, EXERCISES.values())
    with (folder / "exercises.csv").open(encoding="utf-8", newline="") as file:
        return {row["exercise_id"]: row for row in csv.DictReader(file)}


@pytest.mark.slow
def test_exercises_csv_has_a_row_an_exercise_and_the_page_has_them_first(tmp_path):
    trials = [trial(cell, seed=seed) for cell in ("gru", "lstm") for seed in (0, 1)]
    folder = make_folder(
        tmp_path / "run", trials, lambda ledger: [finish(ledger, t, (9, 8 + t.seed / 10)) for t in trials]
    )
    rows = read_csv(folder)
    assert list(rows) == IDS
    assert list(rows["deep-rnn-2"]) == ["exercise_id", "question", "answer", "verdict", "evidence", "missing"]
    assert json.loads(rows["deep-rnn-2"]["evidence"])[0]["n"] == 2
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert 0 < page.index("Exercise deep-rnn-2: ") < page.index('<h3 id="text-1-ranking"')
    assert 'href="exercises.csv"' in page
    assert "exercise-deep-rnn-2-figure-1-1" in json.loads(page.split('id="drawings">')[1].split("<")[0])["specs"]


def empty(ledger):
    pass


def all_failed(ledger):
    for each in (trial("gru"), trial("lstm")):
        ledger.ended(each.trial_id, "failed", "it broke")


def not_finite(ledger):
    for each, value in ((trial("gru"), math.nan), (trial("lstm"), math.inf)):
        changes = {"train_loss": value, "valid_loss": value, "valid_accuracy": value, "grad_norm": value}
        finish(ledger, each, (9.0, 8.0), **changes)
        time(ledger, each, [1e-300] * 8)


def half_done(ledger):
    begin(ledger, trial("gru"), [epoch(1)])


@pytest.mark.slow
@pytest.mark.parametrize("record", [empty, all_failed, not_finite, half_done])
@pytest.mark.parametrize("planned", [[], [trial("gru"), trial("lstm")]], ids=["no trials", "two trials"])
def test_a_run_without_usable_figures_gets_no_invented_answer(tmp_path, record, planned):
    folder = make_folder(tmp_path / "run", planned, record if planned else empty)
    for row in read_csv(folder).values():
        assert row["verdict"] == "not answered" or "not" in row["verdict"] or row["exercise_id"] == "rnn-1", row
        assert row["missing"], row


@pytest.mark.slow
def test_a_ledger_older_than_the_probes_is_read(tmp_path):
    folder = make_folder(tmp_path / "run", [trial()], lambda ledger: finish(ledger, trial(), (9, 8)))
    with older_ledger(folder / "run.sqlite") as db:
        db.execute("DROP TABLE probes")
    assert set(read_csv(folder)) == set(IDS)


@pytest.mark.slow
def test_a_ledger_that_lacks_measures_of_today_is_read(tmp_path):
    trials = [trial(cell, seed=seed) for cell in ("gru", "lstm") for seed in (0, 1)]
    folder = make_folder(tmp_path / "run", trials, lambda ledger: [finish(ledger, t, (9, 8 + t.seed)) for t in trials])
    with older_ledger(folder / "run.sqlite") as db:
        for column in ("valid_accuracy", "valid_top5_accuracy", "grad_norm"):
            db.execute(f"ALTER TABLE epochs DROP COLUMN {column}")
    answer = read_csv(folder)["deep-rnn-2"]
    assert answer["verdict"] == "perplexity: equivalent; accuracy: not enough runs; speed not decided"
    assert "and not known, P(GRU better) = " in answer["answer"]
