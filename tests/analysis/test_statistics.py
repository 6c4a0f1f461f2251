import math

import numpy as np
import pytest
from scipy import stats

from harness.analysis.statistics import Interval, mean_interval, mean_margin, median_interval, median_ranks


def coverage(n: int, low: int) -> float:
    """The probability that the median lies between the ordered observations low and n - 1 - low, by counting."""
    return sum(math.comb(n, k) for k in range(low + 1, n - low)) / 2**n


def test_a_mean_has_the_t_interval_of_the_closed_form():
    # s = 1, t(0.975; 2 degrees of freedom) = 4.302653, so the margin is 4.302653 / √3.
    assert mean_interval([1, 2, 3]) == Interval(
        2.0, pytest.approx(2 - 4.302653 / math.sqrt(3), abs=1e-6), pytest.approx(2 + 4.302653 / math.sqrt(3), abs=1e-6)
    )


def test_a_lower_confidence_gives_a_narrower_interval():
    assert mean_interval([1, 2, 3], 0.5).high < mean_interval([1, 2, 3], 0.95).high
    assert median_interval(range(50), 0.5).high < median_interval(range(50), 0.95).high


def test_one_observation_has_a_mean_but_no_interval():
    interval = mean_interval([5.0])
    assert interval.estimate == 5.0
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)


def test_equal_observations_have_an_interval_of_no_width():
    assert mean_interval([2.0, 2.0, 2.0]) == Interval(2.0, 2.0, 2.0)


@pytest.mark.parametrize("interval_of", [mean_interval, median_interval])
def test_an_empty_sample_has_neither_estimate_nor_interval(interval_of):
    interval = interval_of([])
    assert all(math.isnan(value) for value in (interval.estimate, interval.low, interval.high))


def test_a_median_lies_between_two_of_the_observations():
    # The second and the ninth of ten: the textbook's ranks for 95 %.
    assert median_interval([9, 1, 5, 3, 7, 2, 8, 4, 6, 0]) == Interval(4.5, 1.0, 8.0)


def test_five_observations_are_too_few_for_a_median_interval_and_six_suffice():
    assert math.isnan(median_interval(range(5)).low)
    assert median_interval(range(6)) == Interval(2.5, 0.0, 5.0)


@pytest.mark.parametrize("n", [6, 7, 8, 9, 20, 59, 60, 173, 1000])
def test_median_ranks_are_the_narrowest_that_reach_the_confidence(n):
    low, high = (int(rank[0]) for rank in median_ranks([n]))
    assert high == n - 1 - low
    assert coverage(n, low) >= 0.95
    assert coverage(n, low + 1) < 0.95


def test_many_groups_at_once_agree_with_one_at_a_time():
    samples = [np.arange(n) ** 1.5 for n in (2, 3, 10)]
    margins = mean_margin([sample.std(ddof=1) for sample in samples], [len(sample) for sample in samples])
    one_by_one = [mean_interval(sample) for sample in samples]
    assert margins == pytest.approx([interval.high - interval.estimate for interval in one_by_one])


def test_intervals_are_those_of_scipy():
    sample = np.random.default_rng(7).lognormal(size=23)
    t = stats.ttest_1samp(sample, 0).confidence_interval(0.95)
    quantile = stats.quantile_test(sample, q=0, p=0.5).confidence_interval(0.95)
    mean, median = mean_interval(sample), median_interval(sample)
    assert (mean.low, mean.high) == pytest.approx((t.low, t.high))
    assert (median.low, median.high) == (quantile.low, quantile.high)
