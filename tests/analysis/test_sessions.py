"""Intervals over correlated blocks and over sessions, where the truth is known."""

import math

import numpy as np
import pytest
from scipy import stats

from harness.analysis.sessions import SessionSpeed, middle, serial_correlation, session_speed, speed_ratio
from harness.analysis.statistics import median_interval


def correlated(chance: np.random.Generator, correlation: float, shape: tuple[int, int]) -> np.ndarray:
    """Return first-order autoregressions of deviation 1 around 0, one a row."""
    noise = chance.normal(size=shape)
    rows = noise.copy()
    for step in range(1, shape[1]):
        rows[:, step] = correlation * rows[:, step - 1] + math.sqrt(1 - correlation**2) * noise[:, step]
    return rows


@pytest.mark.parametrize("correlation", [0.0, 0.11, 0.23, 0.5])
def test_the_correlation_of_short_series_is_estimated_without_bias(correlation):
    rows = correlated(np.random.default_rng(1), correlation, (2000, 30))
    estimate = serial_correlation(rows.ravel(), np.repeat(np.arange(2000), 30))
    assert estimate == pytest.approx(correlation, abs=0.04)


def test_blocks_that_are_all_alike_or_few_are_not_correlated():
    assert serial_correlation(np.ones(20), np.zeros(20)) == 0
    assert serial_correlation([1, 2, 3, 4, 5], np.zeros(5)) == 0
    assert serial_correlation([], []) == 0


@pytest.mark.slow
@pytest.mark.parametrize("correlation", [0.0, 0.11, 0.23])
@pytest.mark.parametrize("num_blocks", [10, 20, 35])
def test_a_median_of_correlated_blocks_is_covered(correlation, num_blocks):
    rows = correlated(np.random.default_rng(2), correlation, (1500, num_blocks))
    intervals = [median_interval(row, correlation=serial_correlation(row, np.zeros(num_blocks))) for row in rows]
    covered = np.mean([each.low <= 0 <= each.high for each in intervals])
    assert 0.93 <= covered <= 0.995  # of ten blocks even independent ones are covered to 98 %


def test_correlated_blocks_have_a_wider_interval_that_stays_within_the_extremes():
    narrow, wide, widest = (median_interval(range(20), correlation=each) for each in (0.0, 0.5, 0.9))
    assert wide.high - wide.low > narrow.high - narrow.low
    assert (widest.low, widest.high) == (0.0, 19.0)


def test_several_sessions_have_the_t_interval_of_their_medians():
    rates = [100.0] * 5 + [110.0] * 5 + [105.0] * 5
    interval = middle(rates, [1] * 5 + [2] * 5 + [3] * 5)
    logs = np.log([100, 110, 105])
    margin = stats.t.ppf(0.975, 2) * logs.std(ddof=1) / math.sqrt(3)
    assert interval.estimate == pytest.approx(math.exp(logs.mean()))
    assert (interval.low, interval.high) == pytest.approx(
        (math.exp(logs.mean() - margin), math.exp(logs.mean() + margin))
    )


@pytest.mark.slow
@pytest.mark.parametrize("num_sessions", [2, 3, 5, 10])
@pytest.mark.parametrize("deviation", [0.02, 0.05])
def test_a_ratio_over_sessions_is_covered(num_sessions, deviation):
    chance = np.random.default_rng(3)
    covered = 0
    for _ in range(2000):
        groups = [[SessionSpeed(float(x), 0.0, 20) for x in chance.normal(0, deviation, num_sessions)] for _ in "ab"]
        interval = speed_ratio(*groups).interval
        covered += interval.low <= 1 <= interval.high
    assert 0.935 <= covered / 2000 <= 0.965


def test_a_ratio_is_scipys_t_test_of_the_sessions_logarithms():
    first, second = ([SessionSpeed(math.log(x), 0.0, 20) for x in each] for each in ((1.0, 1.1, 1.05), (1.3, 1.2)))
    ratio = speed_ratio(first, second)
    logs = [[each.log_rate for each in side] for side in (second, first)]
    expected = stats.ttest_ind(*logs)
    assert ratio.p_value == pytest.approx(expected.pvalue)
    bounds = expected.confidence_interval(0.95)
    assert (ratio.interval.low, ratio.interval.high) == pytest.approx((math.exp(bounds.low), math.exp(bounds.high)))


def test_sessions_that_agree_by_chance_are_no_more_certain_than_their_blocks():
    alike = [SessionSpeed(0.0, 0.02, 20)] * 3
    interval = speed_ratio(alike, alike).interval
    assert math.log(interval.high) == pytest.approx(stats.t.ppf(0.975, 4) * 0.02 * math.sqrt(2 / 3))


def test_a_sessions_error_grows_with_the_correlation_of_its_blocks():
    rates = np.exp(np.random.default_rng(4).normal(0, 0.01, 1000))
    plain, correlated_blocks = (session_speed(rates, each).error for each in (0.0, 0.2))
    assert plain == pytest.approx(math.sqrt(math.pi / 2) * 0.01 / math.sqrt(1000), rel=0.1)
    assert correlated_blocks == pytest.approx(plain * math.sqrt(1.2 / 0.8))
