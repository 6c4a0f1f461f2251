"""Verdicts: against SciPy and statsmodels' published figures, and in simulations with known truth."""

import math

import numpy as np
import pytest
import scipy

from harness.analysis.verdicts import (
    EQUIVALENCE,
    detectable_difference,
    judge,
    pairs_needed,
    power_of,
    probability_of_being_lower,
)


def test_a_clear_difference_is_different_and_says_who_is_better() -> None:
    verdict = judge([1.0, 1.02, 0.99, 1.01], [1.2, 1.25, 1.18, 1.22])
    assert verdict.kind == "different"
    assert verdict.difference.high < 0
    assert verdict.first_is_better.estimate == 1.0
    assert not verdict.is_negligible


def test_a_difference_that_is_significant_and_small_is_different_and_negligible() -> None:
    base = np.array([1.0, 1.1, 1.2, 1.3, 1.4])
    verdict = judge(base + 0.004 + np.array([1, -1, 0, 1, -1]) * 1e-4, base)
    assert (verdict.kind, verdict.is_negligible) == ("different", True)


def test_losses_within_a_percent_of_perplexity_are_equivalent() -> None:
    noise = np.array([1, -1, 0.5, -0.5, 0.2]) * 1e-3
    assert judge(1.0 + noise, np.ones(5)).kind == "equivalent"


def test_wide_spread_is_not_enough_runs_and_says_how_many_would_be() -> None:
    verdict = judge([1.0, 1.3, 0.9], [1.1, 1.1, 1.1])
    assert verdict.kind == "not enough runs"
    assert verdict.detectable > abs(verdict.difference.estimate)
    assert verdict.pairs_needed is not None
    assert verdict.pairs_needed > 3


@pytest.mark.parametrize("losses", [[], [1.0], [math.nan, 1.0]])
def test_fewer_than_two_pairs_decide_nothing(losses: list[float]) -> None:
    verdict = judge(losses, [0.5] * len(losses))
    assert verdict.kind == "not enough runs"
    assert math.isnan(verdict.p_value)
    assert math.isnan(verdict.detectable)
    assert verdict.pairs_needed is None


def test_the_same_difference_under_every_seed_is_told_by_the_margin_alone() -> None:
    assert judge([1.5, 1.6, 1.7], [1.0, 1.1, 1.2]).kind == "different"
    assert judge([1.0, 1.1], [1.0, 1.1]).kind == "equivalent"


def test_power_is_the_textbook_s() -> None:
    # Cohen 1988, and G*Power: paired t test, d = 0.5, 5 % two-sided, 80 % power needs 34 pairs; d = 0.8, 15 pairs.
    assert pairs_needed(0.5, 1.0) == 34
    assert pairs_needed(0.8, 1.0) == 15
    assert power_of(detectable_difference(2.0, 10), 2.0, 10) == pytest.approx(0.8, abs=1e-4)


def test_wilson_s_interval_is_the_published_one() -> None:
    # Newcombe 1998, table I: 15 of 148 is 0.1014 (0.0624 to 0.1605).
    interval = probability_of_being_lower(np.where(np.arange(148) < 15, -1.0, 1.0))
    assert (interval.estimate, interval.low, interval.high) == pytest.approx((0.1014, 0.0624, 0.1605), abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("pairs", [3, 5, 10])
def test_what_is_the_same_is_called_different_at_most_one_time_in_twenty(pairs: int) -> None:
    generator = np.random.default_rng(pairs)
    losses = generator.normal(1.5, 0.02, (2, 1500, pairs))
    different = np.mean([judge(*both).kind == "different" for both in zip(*losses, strict=True)])
    assert different == pytest.approx(0.05, abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("pairs", [3, 5, 10])
def test_what_differs_by_the_margin_is_called_equivalent_at_most_one_time_in_twenty(pairs: int) -> None:
    generator = np.random.default_rng(10 + pairs)
    first, second = generator.normal(1.5, 0.003, (2, 1500, pairs))
    kinds = [judge(a + EQUIVALENCE, b).kind for a, b in zip(first, second, strict=True)]
    assert np.mean([kind == "equivalent" for kind in kinds]) <= 0.07


@pytest.mark.slow
@pytest.mark.parametrize("pairs", [3, 5, 10])
def test_the_interval_of_a_difference_covers_the_truth(pairs: int) -> None:
    generator = np.random.default_rng(20 + pairs)
    first, second = generator.normal(0.0, 0.05, (2, 1500, pairs))
    intervals = [judge(a + 0.1, b).difference for a, b in zip(first, second, strict=True)]
    assert np.mean([interval.low <= 0.1 <= interval.high for interval in intervals]) == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("level", [0.05, 0.005])
@pytest.mark.parametrize(("num_pairs", "effect"), [(2, 1.0), (3, 0.5), (3, 2.0), (5, 1.0), (10, 0.7), (50, 0.3)])
def test_power_is_that_of_drawn_samples(num_pairs: int, effect: float, level: float) -> None:
    samples = np.random.default_rng(1).normal(effect, 1.0, (40_000, num_pairs))
    share = np.mean(scipy.stats.ttest_1samp(samples, 0.0, axis=1).pvalue <= level)
    assert power_of(effect, 1.0, num_pairs, level) == pytest.approx(share, abs=0.01)


def test_the_fewest_pairs_are_those_of_a_search_one_by_one() -> None:
    for effect in np.random.default_rng(2).uniform(0.15, 3.0, 60):
        fewest = next(number for number in range(2, 1000) if power_of(effect, 1.0, number) >= 0.8)
        assert pairs_needed(effect, 1.0) == fewest
    # At 517 pairs SciPy's noncentral F has no value.
    assert pairs_needed(1.0, 0.55 / 0.94) == 5
