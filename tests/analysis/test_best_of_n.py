"""The best of n: against all draws counted out, against a simulation with known truth, and where rankings change."""

from itertools import combinations

import numpy as np
import pytest

from harness.analysis.best_of_n import curve, expected_best, leaders, weights


def test_the_expectation_is_that_over_all_draws_counted_out() -> None:
    losses = [2.5, 1.5, 3.25, 1.75, 2.0]
    for n in range(1, 6):
        counted = np.mean([min(draw) for draw in combinations(losses, n)])
        assert expected_best(losses)[n - 1] == pytest.approx(counted)


def test_each_n_s_chances_sum_to_one() -> None:
    assert weights(16).sum(axis=1) == pytest.approx(np.ones(16))


def test_a_point_that_diverged_is_spent_and_spoils_what_it_may_be_the_best_of() -> None:
    expected = expected_best([np.nan, 1.0, 3.0])
    assert expected.tolist() == [np.inf, pytest.approx(5 / 3), 1.0]


@pytest.mark.slow
def test_the_estimate_is_unbiased() -> None:
    # Of n exponential variables the smallest has the mean 1 / n.
    generator = np.random.default_rng(0)
    estimates = np.mean([expected_best(generator.exponential(size=12)) for _ in range(20_000)], axis=0)
    assert estimates == pytest.approx(1 / np.arange(1, 13), rel=0.03)


@pytest.mark.slow
def test_the_interval_covers_the_truth_where_n_is_well_below_the_number_of_points() -> None:
    generator = np.random.default_rng(1)
    covered = np.zeros(4)
    for _ in range(200):
        table = curve(generator.exponential(size=32)).head(4)
        truth = 1 / table["n"]
        covered += (table["low"] <= truth) & (truth <= table["high"])
    assert (covered / 200 > 0.86).all()


def test_a_lead_that_changes_with_the_budget_is_shown_at_both_ends() -> None:
    generator = np.random.default_rng(4)
    robust, fickle = generator.normal(2.0, 0.05, 32), np.tile([1.5, 3.0, 3.0, 3.0], 8)
    by_n = leaders({"gru": robust, "lstm": fickle})
    assert (by_n[0], by_n[-1]) == ("gru", "lstm")
    assert "" in by_n
    assert by_n.index("lstm") > by_n.index("")


def test_a_lead_that_other_points_might_give_to_the_other_is_not_shown() -> None:
    shown = 0
    for seed in range(100):
        points = np.random.default_rng(seed).normal(2.0, 0.3, (2, 16))
        shown += bool(leaders({"gru": points[0], "lstm": points[1]})[0])
    assert shown <= 12  # 5 % of them, and the luck of a hundred


def test_points_that_are_bad_for_both_hide_no_lead() -> None:
    points = np.random.default_rng(5).normal(2.0, 1.0, 16)
    assert leaders({"gru": points, "lstm": points + 0.01})[:8] == ["gru"] * 8
    assert leaders({"gru": [1.0, np.nan], "lstm": [np.nan, np.nan]})[1] == ""
