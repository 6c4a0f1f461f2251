import numpy as np
import pytest
from scipy import stats

from harness.analysis.statistics import (
    Interval,
    holm,
    mean_p_values,
    paired_difference,
    sign_beyond,
    t_margin,
    t_p_value,
    welch_p_value,
)


def test_paired_differences_are_scipys():
    first, second = np.array([5.0, 5.2, 4.9, 5.4]), np.array([5.5, 5.6, 5.6, 5.6])
    difference = paired_difference([*first, np.nan], [*second, 1.0])
    own = stats.ttest_rel(first, second)
    low, high = own.confidence_interval(0.95)
    assert (difference.interval.low, difference.interval.high) == pytest.approx((low, high))
    assert difference.p_value == pytest.approx(own.pvalue)
    assert difference.wilcoxon_p_value == pytest.approx(stats.wilcoxon(first, second).pvalue)
    assert (difference.num_pairs, difference.sign) == (4, -1)


def test_one_pair_has_no_interval_and_no_sign():
    difference = paired_difference([1.0], [2.0])
    assert difference.interval.estimate == -1
    assert np.isnan(difference.interval.low)
    assert np.isnan(difference.p_value)
    assert difference.sign == 0
    assert paired_difference([], []).num_pairs == 0


def test_pairs_that_differ_by_the_same_have_no_test():
    assert np.isnan(paired_difference([1.1, 2.1, 3.1], [1.0, 2.0, 3.0]).p_value)


def test_holm_steps_down():
    # Holm 1979's own rule, by hand: 0.01·4, 0.02·3, 0.03·2 raised to the former, 0.04·1 likewise.
    assert holm([0.04, 0.01, np.nan, 0.03, 0.02]) == pytest.approx([0.06, 0.04, np.nan, 0.06, 0.06], nan_ok=True)
    assert holm([0.9, 0.8]).tolist() == [1.0, 1.0]


def test_the_sign_needs_the_whole_interval():
    assert [sign_beyond(Interval(1, low, high), 1.0) for low, high in ((1.1, 2), (0.5, 0.9), (0.5, 2))] == [1, -1, 0]
    assert sign_beyond(Interval(1, np.nan, np.nan), 0.0) == 0


def test_many_means_are_tested_at_once_as_scipy_tests_each():
    samples = [[0.1, 0.3, 0.2], [-1.0, 2.0, 0.5, 0.1], [5.0], [0.2, 0.2, 0.2]]
    found = mean_p_values(
        [np.mean(sample) for sample in samples],
        [np.std(sample, ddof=1) if len(sample) > 1 else np.nan for sample in samples],
        [len(sample) for sample in samples],
    )
    assert found[:2] == pytest.approx([stats.ttest_1samp(sample, 0).pvalue for sample in samples[:2]])
    assert np.isnan(found[2:]).all()


def test_a_slope_has_the_test_and_the_interval_of_its_standard_error():
    x, y = [1.0, 2.0, 3.0, 4.0, 5.0], [0.2, 0.1, 0.5, 0.4, 0.8]
    line = stats.linregress(x, y)
    assert t_p_value(line.slope, line.stderr, 3) == pytest.approx(line.pvalue)
    assert t_p_value(-line.slope, line.stderr, 3) == pytest.approx(line.pvalue)
    # The t table: 3.182446 at 97.5 % and 3 degrees of freedom.
    assert t_margin(0.5, 3) == pytest.approx(0.5 * 3.182446, abs=1e-6)


def test_two_estimates_are_told_apart_as_scipy_tells_two_samples():
    first, second = [1.0, 1.4, 0.9, 1.1], [2.0, 3.5, 1.2, 2.2, 2.9]
    errors, freedoms = [stats.sem(each) for each in (first, second)], [len(each) - 1 for each in (first, second)]
    found = welch_p_value(np.mean(second) - np.mean(first), errors, freedoms)
    assert found == pytest.approx(stats.ttest_ind(first, second, equal_var=False).pvalue)
