"""Tuned models: their points are trained, the best by validation again under fresh seeds, and only that is a result."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.analysis import evidence
from harness.analysis.frames import Run, read_run
from harness.analysis.one_text import compare
from harness.grid.cost import Prediction
from harness.grid.tuning import SEARCH_SEED
from harness.record.folder import RunFolder
from harness.running import run

Train = Callable[..., Any]


def of_role(folder: Path, role: str) -> list[dict[str, Any]]:
    found = read_run(folder)
    trials = pd.concat([found.trials, found.apart["trials"]])
    return trials[trials["role"] == role].to_dict("records")


@pytest.mark.slow
def test_the_best_point_by_validation_is_trained_again_under_fresh_seeds_and_alone_is_a_result(train: Train) -> None:
    trained = train("rnn,gru,numpy", tune=4, seeds=2)
    assert trained.outcome.exit_code == 0
    found: Run = read_run(trained.folder)
    points = of_role(trained.folder, "search")
    assert len(points) == 8
    assert {point["seed"] for point in points} == {SEARCH_SEED}
    assert len(found.trials) == 4
    for cell, finals in found.trials.groupby("cell"):
        own = [point for point in points if point["cell"] == cell]
        best = min(own, key=lambda point: point["valid_loss"])
        assert set(finals["learning_rate"]) == {best["learning_rate"]}
        assert sorted(finals["seed"]) == [0, 1]
        assert set(finals["num_points"]) == {4}
        assert set(finals["tuned"]) == {"learning_rate"}
    assert list(found.tuning["best_trial_id"]) == [
        min((p for p in points if p["cell"] == cell), key=lambda p: p["valid_loss"])["trial_id"]
        for cell in ("rnn", "gru")
    ]
    assert list(found.best_of_n.groupby("search_id", sort=False).size()) == [4, 4]
    assert list(found.summary["num_seeds"]) == [2, 2]
    assert set(found.samples) == set(found.trials["trial_id"])
    assert set(found.transfer["trial_id"]) == set(found.trials["trial_id"])
    (comparison,) = compare(found)
    assert len(comparison.ranked) == 4 - comparison.trials["rank"].isna().sum()
    assert set(comparison.trials["label"].str.contains("0.0")) == {False}  # no rate tells tuned models apart


@pytest.mark.slow
def test_more_points_extend_a_search_and_a_new_choice_supersedes_the_old_final_trials(train: Train) -> None:
    first = train("rnn,numpy", tune=2, seeds=2)
    before = {row["trial_id"]: row for row in first.trials}
    more = train("rnn,numpy", tune=5, seeds=2)
    points, finals, old = (of_role(more.folder, role) for role in ("search", "final", "superseded"))
    assert len(points) == 5
    assert {row["trial_id"] for row in more.trials if row["attempts"] > 1} == set()
    best = min(points, key=lambda point: point["valid_loss"])
    assert {final["learning_rate"] for final in finals} == {best["learning_rate"]}
    if best["trial_id"] not in before:
        assert {row["trial_id"] for row in old} == {
            trial_id for trial_id, row in before.items() if row["seed"] != SEARCH_SEED
        }
    assert list(read_run(more.folder).summary["num_seeds"]) == [2]


@pytest.mark.slow
def test_a_wider_space_supersedes_the_points_of_the_narrow_one(train: Train) -> None:
    train("rnn,numpy", tune=2, seeds=1)
    wide = train("rnn,numpy", tune=2, seeds=1, tune_over="lr=0.001:0.5")
    points = of_role(wide.folder, "search")
    assert len(points) == 2
    assert len(of_role(wide.folder, "superseded")) == 3
    assert len(read_run(wide.folder).tuning) == 1
    assert "0.001 to 0.5" in read_run(wide.folder).tuning["space"].iloc[0]


@pytest.mark.slow
def test_a_search_cut_short_has_no_result_and_the_same_command_ends_it(
    prepare: Callable[..., run.PreparedRun], execute: Callable[..., Any]
) -> None:
    prepared = prepare("rnn,numpy", tune=3, seeds=1)
    cut = replace(prepared.plan, trials=prepared.plan.trials[:2], searches=())
    execute(replace(prepared, plan=cut, prediction=Prediction(prepared.prediction.trial_seconds[:2])))
    done = execute(prepared)
    assert {row["attempts"] for row in done.trials} == {1}
    assert len(of_role(done.folder, "search")) == 3
    again = execute(prepared)
    assert again.trials == done.trials
    assert again.outcome.exit_code == 0


@pytest.mark.slow
def test_a_search_whose_points_all_diverge_says_so_and_ranks_nothing(
    harness: Callable[..., Any], here: Path, small: tuple[str, ...]
) -> None:
    done = harness(*small, "--plugins", "rnn,numpy", "--optimizer", "sgd", "--clip", 0, "--tune", 2,
                   "--tune-over", "lr=1e30:1e35", "--out", "out")  # fmt: skip
    assert "nothing is ranked for it" in done.stdout
    assert done.returncode == 1
    found = read_run(here / "out")
    assert found.trials.empty
    assert list(found.tuning["num_diverged"]) == [2]


@pytest.mark.slow
def test_points_that_diverge_count_as_spent_and_the_manifest_can_be_run_again(
    harness: Callable[..., Any], here: Path, small: tuple[str, ...]
) -> None:
    asked = ("--plugins", "rnn,numpy", "--optimizer", "sgd", "--clip", 0, "--tune", 4, "--tune-over", "lr=0.001:1e6")
    done = harness(*small, *asked, "--seeds", 1, "--out", "out")
    assert done.returncode == 0, done.stdout
    found = read_run(here / "out")
    assert found.tuning["num_diverged"].iloc[0] > 0
    assert found.tuning["num_points"].iloc[0] == 4
    assert found.trials["num_points"].iloc[0] == 4
    experiment = json.loads((here / "out/manifest.json").read_text())["experiment"]["run"]
    assert experiment["tune"] == 4
    again = harness("run", "out/manifest.json", "--out", "again")
    assert again.returncode == 0
    assert list(read_run(here / "again").every_trial["trial_id"]) == list(found.every_trial["trial_id"])


@pytest.mark.slow
def test_tuned_models_are_paired_whatever_rate_was_chosen_for_each(train: Train) -> None:
    found = read_run(train("rnn,gru,numpy", tune=3, seeds=2).folder)
    assert found.trials["learning_rate"].nunique() <= 2
    pairs = evidence.pairs(found.trials, "cell", "rnn", "gru")
    assert sorted(pairs["seed"]) == [0, 1]


@pytest.mark.slow
def test_timing_is_of_final_trials(train: Train, execute: Callable[..., Any], prepare: Callable[..., Any]) -> None:
    trained = execute(prepare("rnn,numpy", tune=2, seeds=1), timing="quick")
    with_timing = {row["trial_id"] for row in trained.trials if row.get("timed_by")}
    assert with_timing == {row["trial_id"] for row in of_role(trained.folder, "final")}
    assert RunFolder(trained.folder).checkpoint(next(iter(with_timing))).is_file()
