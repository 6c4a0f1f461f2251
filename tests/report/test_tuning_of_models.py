"""What the page and tables say of tuned models: searches apart from results, and no mean over nuisances."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from invented_runs import begin, epoch, finish, make_folder, trial

from harness.analysis import evidence, recipes
from harness.analysis.frames import read_run
from harness.analysis.one_text import compare
from harness.contracts.settings import Range
from harness.grid.tuning import SEARCH_SEED
from harness.record.ledger import Ledger
from harness.report import write_report
from harness.report.tuning import tuned_texts
from harness.worker.trial import Trial

RATES = (0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.03, 0.1)
REACHED = {
    "lstm": (12.0, 11.0, 9.0, 8.0, 7.0, 7.5, 8.0, None),
    "gru": (10.0, 9.5, 9.0, 8.5, 8.0, 7.8, 7.5, 6.5),
}
"""By point; None diverged. The GRU's best is at the edge."""


def points(cell: str) -> list[Trial]:
    return [trial(cell, learning_rate=rate, seed=SEARCH_SEED) for rate in RATES]


def best(cell: str) -> Trial:
    return points(cell)[4 if cell == "lstm" else 7]


def record(ledger: Ledger) -> None:
    for position, cell in enumerate(REACHED):
        search = f"{cell}-search"
        finals = [replace(best(cell), seed=seed) for seed in (0, 1)]
        ledger.add(finals, after=20)
        ledger.searches.enter(search, position, points(cell), {"learning_rate": Range(low=0.001, high=0.1)})
        for each, reached in zip(points(cell), REACHED[cell], strict=True):
            if reached is None:
                begin(ledger, each)
                ledger.ended(each.trial_id, "diverged", "the loss became inf")
            else:
                finish(ledger, each, (20.0, reached))
        for final in finals:
            finish(ledger, final, (20.0, 7.2 + final.seed))
        ledger.searches.settle(search, best(cell), finals)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "run", [*points("lstm"), *points("gru")], record)


def test_points_are_in_no_ranking_and_no_mean_and_their_rates_in_no_label(folder: Path) -> None:
    run = read_run(folder)
    assert len(run.points) == 2 * len(RATES)
    assert len(run.every_trial) == 2 * len(RATES) + 4
    (comparison,) = compare(run)
    assert set(comparison.ranked["seed"]) == {0, 1}
    assert list(run.summary["num_seeds"]) == [2, 2]
    assert set(comparison.summary["label"]) == {"lstm\u00a0· 1 layer", "gru\u00a0· 1 layer"}
    assert "learning_rate" in comparison.factors


def test_the_page_has_each_search_and_its_figures_and_says_what_lies_at_the_edge(folder: Path) -> None:
    page = write_report(folder).read_text(encoding="utf-8")
    assert "Sensitivity to learning rate" in page
    assert "Best of n" in page
    assert "at the edge: widen it by --tune-over lr=0.001:1" in page
    (text,) = tuned_texts(read_run(folder))
    assert [row["at_edge"] for row in text.rows] == ["", "widen it by --tune-over lr=0.001:1"]
    assert [row["num_diverged"] for row in text.rows] == [1, 0]
    drawn = text.drawn.datasets["tuning-1-points"]
    assert [point["x"] for point in drawn if point["diverged"]] == [0.1]
    assert sorted(point["x"] for point in drawn if point["chosen"]) == [0.01, 0.1]
    assert (folder / "tuning.csv").is_file()
    assert (folder / "best_of_n.csv").is_file()


def test_a_lead_that_rests_on_single_points_is_not_shown(folder: Path) -> None:
    # Of one point the LSTM's may be the diverged one; of all of them one point makes the GRU's lower.
    assert tuned_texts(read_run(folder))[0].changes == (
        "At no number of points does a model lead beyond what other points might give."
    )


def test_a_lead_at_every_point_is_said_with_where_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REACHED, "lstm", tuple(reached + 1 for reached in REACHED["gru"]))
    folder = make_folder(tmp_path / "run", [*points("lstm"), *points("gru")], record)
    (text,) = tuned_texts(read_run(folder))
    assert re.fullmatch(r"gru.· 1 layer leads from n = 1 to \d in expected perplexity, beyond what .*", text.changes)


def test_a_model_tried_at_several_rates_is_paired_at_its_best_and_never_averaged_over_them(tmp_path: Path) -> None:
    reached = {("lstm", 0.003): 9.0, ("lstm", 0.01): 7.0, ("gru", 0.003): 8.0, ("gru", 0.01): 12.0}
    planned = {(*key, seed): trial(key[0], learning_rate=key[1], seed=seed) for key in reached for seed in (0, 1)}

    def tried(ledger: Ledger) -> None:
        for (cell, rate, seed), each in planned.items():
            finish(ledger, each, (20.0, reached[cell, rate] + seed / 100))

    run = read_run(make_folder(tmp_path / "run", list(planned.values()), tried))
    assert len(run.summary) == 4
    pairs = evidence.pairs(run.trials, "cell", "lstm", "gru").sort_values("seed")
    assert list(pairs["seed"]) == [0, 1]
    assert list(pairs["valid_perplexity_first"].round(2)) == [7.0, 7.01]
    assert list(pairs["valid_perplexity_second"].round(2)) == [8.0, 8.01]
    assert set(pairs["tuned_first"]) == {"learning_rate"}


def test_a_trial_that_was_given_one_rate_is_paired_as_ever(tmp_path: Path) -> None:
    planned = [trial(cell, seed=seed) for cell in ("lstm", "gru") for seed in (0, 1)]

    def tried(ledger: Ledger) -> None:
        for each in planned:
            finish(ledger, each)

    run = read_run(make_folder(tmp_path / "run", planned, tried))
    pairs = evidence.pairs(run.trials, "cell", "lstm", "gru")
    assert len(pairs) == 2
    assert "learning_rate" in pairs


@pytest.mark.parametrize(("high", "num_points", "num_pairs"), [(0.1, len(RATES), 2), (1.0, len(RATES), 0), (0.1, 4, 0)])
def test_models_are_paired_only_where_they_were_tuned_by_as_many_points_of_the_same_space(
    tmp_path: Path, high: float, num_points: int, num_pairs: int
) -> None:
    def other(ledger: Ledger) -> None:
        record(ledger)
        finals = [replace(best("gru"), seed=seed) for seed in (0, 1)]
        of_gru = [*points("gru")[: num_points - 1], best("gru")]
        ledger.searches.enter("gru-search", 1, of_gru, {"learning_rate": Range(low=0.001, high=high)})
        ledger.searches.settle("gru-search", best("gru"), finals)

    run = read_run(make_folder(tmp_path / "run", [*points("lstm"), *points("gru")], other))
    assert len(evidence.pairs(run.trials, "cell", "gru", "lstm")) == num_pairs


def test_points_of_a_space_that_was_given_up_are_counted_as_spent(tmp_path: Path) -> None:
    given_up = [trial("gru", learning_rate=rate, seed=SEARCH_SEED) for rate in (0.004, 0.006)]

    def widened(ledger: Ledger) -> None:
        ledger.searches.enter("gru-search", 1, given_up, {"learning_rate": Range(low=0.004, high=0.006)})
        for each in given_up:
            finish(ledger, each, (20.0, 9.0))
        record(ledger)

    run = read_run(make_folder(tmp_path / "run", [*points("lstm"), *points("gru"), *given_up], widened))
    assert dict(zip(run.tuning["search_id"], run.tuning["num_earlier_points"], strict=True)) == {
        "lstm-search": 0,
        "gru-search": 2,
    }
    recipe = recipes.word_recipe(run, run.trials)
    assert "tuned, 8 points a model, after 2 points of spaces that were given up, the best" in recipe


def test_tuned_and_untuned_models_are_told_apart_where_an_answer_rests_on_both(tmp_path: Path) -> None:
    untuned = [trial("rnn", learning_rate=0.5, seed=seed) for seed in (0, 1)]

    def both(ledger: Ledger) -> None:
        record(ledger)
        for each in untuned:
            finish(ledger, each)

    run = read_run(make_folder(tmp_path / "run", [*points("lstm"), *points("gru"), *untuned], both))
    recipe = recipes.word_recipe(run, run.trials)
    assert recipe.startswith("Learning rates were tuned, 8 points a model, the best by validation")
    assert "; 2 more models at one untuned learning rate, 0.5 (sgd): another may reverse it; " in recipe


def test_a_search_under_way_has_no_final_trials(tmp_path: Path) -> None:
    def half(ledger: Ledger) -> None:
        record(ledger)
        more = trial("gru", learning_rate=0.05, seed=SEARCH_SEED)
        ledger.add([more], after=30)
        ledger.searches.enter("gru-search", 1, [*points("gru"), more], {"learning_rate": Range(low=0.001, high=0.1)})
        ledger.searches.reopen("gru-search")
        begin(ledger, more, [epoch(1)])

    run = read_run(make_folder(tmp_path / "run", [*points("lstm"), *points("gru")], half))
    assert set(run.trials["cell"]) == {"lstm"}
    assert list(run.tuning["best_trial_id"] == "") == [False, True]
    assert len(run.best_of_n) == len(RATES)
