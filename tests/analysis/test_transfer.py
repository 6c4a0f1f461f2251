import csv
import math

import pytest
from html_reading import read_html
from invented_runs import evaluate, finish, older_ledger, trial

from harness.analysis.frames import read_run
from harness.report import page as page_module
from harness.report import write_report

ANN, BEN = "Ann Lee", "Ben Oak"


@pytest.fixture(scope="module", autouse=True)
def without_vega():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page_module, "vega_script", lambda: "/* Vega */")
        yield


@pytest.fixture
def folder(build_run):
    """Trials on Ann, on Ben and on both with two seeds each, and one that did not finish."""
    planned = [trial(authors=authors, seed=seed) for authors in (ANN, "all", BEN) for seed in (0, 1)]
    planned.append(trial("gru"))

    def record(ledger):
        for each in planned:
            finish(ledger, each)
            own = 4.0 + each.seed
            figures = {author: own if each.authors in ("all", author) else 2 * own for author in (BEN, ANN)}
            evaluate(ledger, each, figures)
            evaluate(ledger, each, {author: value + 1 for author, value in figures.items()}, "test")
        ledger.ended(planned[-1].trial_id, "failed", "the worker was killed")

    return build_run(planned, record)


@pytest.mark.slow
def test_transfer_csv_has_a_row_for_each_finished_trial_and_author(folder):
    write_report(folder)
    with (folder / "transfer.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:5] == ["trained_on", "evaluated_on", "perplexity", "bits_per_char", "accuracy"]
    found = [(row["trained_on"], row["evaluated_on"], row["seed"], float(row["perplexity"])) for row in rows]
    assert [row[:3] for row in found] == [
        (trained_on, author, seed) for trained_on in (ANN, "all", BEN) for seed in "01" for author in (BEN, ANN)
    ]
    assert [row[3] for row in found[:6]] == pytest.approx([8.0, 4.0, 10.0, 5.0, 4.0, 4.0])
    assert float(rows[0]["test_perplexity"]) == pytest.approx(9.0)
    assert float(rows[0]["bits_per_char"]) == pytest.approx(3.0)
    assert {row["cell"] for row in rows} == {"lstm"}
    assert len({row["trial_id"] for row in rows}) == 6


def test_a_trial_s_test_figures_are_of_its_own_authors_alone(folder):
    figures = read_run(folder).trials.set_index(["authors", "seed"])["test_perplexity"]
    assert figures[ANN, 0] == pytest.approx(5.0)
    assert figures["all", 1] == pytest.approx(6.0)


def test_test_parts_of_several_authors_count_by_their_tokens_and_characters(build_run):
    of = trial(authors=f"{ANN}+{BEN}")

    def record(ledger):
        finish(ledger, of)
        evaluate(ledger, of, {ANN: math.e**2}, "test", num_tokens=3_000, num_chars=6_000.0)
        evaluate(ledger, of, {BEN: math.e**4}, "test", accuracy=0.8)
        evaluate(ledger, of, {"Cid": math.e**9}, "test")

    (row,) = read_run(build_run([of], record)).trials.to_dict("records")
    assert row["test_loss"] == pytest.approx(2.5)
    assert row["test_perplexity"] == pytest.approx(math.exp(2.5))
    assert row["test_accuracy"] == pytest.approx(0.5)
    assert row["test_bits_per_char"] == pytest.approx((3_000 * 2 + 1_000 * 4) / math.log(2) / 7_000)


def test_a_loss_that_is_not_a_number_is_a_missing_figure(build_run):
    def record(ledger):
        finish(ledger, trial())
        evaluate(ledger, trial(), {ANN: 2.0}, "test")
        evaluate(ledger, trial(), {BEN: 2.0}, "test", loss=math.nan)

    run = read_run(build_run([trial()], record))
    assert math.isnan(run.trials["test_perplexity"].iloc[0])
    assert math.isnan(run.transfer["test_perplexity"].iloc[1])


@pytest.mark.slow
def test_the_page_sets_each_author_s_text_beside_the_others(folder):
    page = read_html(write_report(folder).read_text(encoding="utf-8"))
    (table,) = [each for each in page.all("table") if "each author's text" in each.one("caption").text]
    rows = [[cell.text for cell in row.children if not isinstance(cell, str)] for row in table.all("tr")]
    assert rows[0] == ["Model", "Trained on", "Seeds", BEN, ANN]
    assert [row[1:] for row in rows[1:]] == [
        [ANN, "2", "9.000", "4.500 own text"],
        ["all authors", "2", "4.500 own text", "4.500 own text"],
        [BEN, "2", "4.500 own text", "9.000"],
    ]
    assert page.all("div", class_="matrix")[0].attributes["aria-label"].startswith("Heat map of validation perplexity")


@pytest.mark.slow
def test_one_author_s_text_has_no_table_of_transfer(build_run):
    def record(ledger):
        finish(ledger, trial())
        evaluate(ledger, trial(), {ANN: 2.0})

    folder = build_run([trial()], record)
    assert "On whose text" not in write_report(folder).read_text(encoding="utf-8")
    assert len((folder / "transfer.csv").read_text().splitlines()) == 2


@pytest.mark.slow
def test_a_run_of_an_older_version_is_still_reported(folder):
    with older_ledger(folder / "run.sqlite") as db:
        db.execute("DROP TABLE evaluations")
        db.execute("UPDATE trials SET trial=json_remove(trial, '$.mix')")
    run = read_run(folder)
    assert run.transfer.empty
    assert run.trials["test_perplexity"].isna().all()
    assert len(run.summary) == 3
    write_report(folder)
    assert len((folder / "transfer.csv").read_text().splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("figures", [{"loss": 1e3}, {"loss": math.nan}], ids=["infinite", "missing"])
def test_a_page_is_made_of_perplexities_without_a_place_on_a_scale(build_run, figures):
    def record(ledger):
        finish(ledger, trial())
        evaluate(ledger, trial(), {ANN: 2.0, BEN: 3.0}, **figures)

    assert "On whose text" in write_report(build_run([trial()], record)).read_text(encoding="utf-8")
