import math

import pytest

from harness.analysis.evidence import interval_columns, read_interval, word_bounds, word_interval
from harness.analysis.statistics import Interval


@pytest.mark.parametrize(
    ("interval", "bounds", "sentence"),
    [
        (Interval(-0.0004, -0.0014, 0.0004), "0.000 (-0.001 to 0.000)", "0.000 (95 % interval -0.001 to 0.000)"),
        (Interval(-1.5, math.nan, math.nan), "-1.500", "-1.500 (no interval: too few observations)"),
        (Interval(math.nan, math.nan, math.nan), "not known", "not known"),
    ],
)
def test_intervals_are_worded_with_their_bounds_and_no_sign_on_zero(interval, bounds, sentence):
    assert word_bounds(interval) == bounds
    assert word_interval(interval) == sentence


@pytest.mark.parametrize(("ends", "columns"), [("", ["a_ratio", "a_ratio_low", "a_ratio_high"]),
                                               ("a", ["a_ratio", "a_low", "a_high"])])  # fmt: skip
def test_an_interval_is_read_from_the_columns_it_is_written_to(ends, columns):
    row = interval_columns("a_ratio", Interval(2.0, 1.0, 4.0), ends)
    assert list(row) == columns
    assert read_interval(row, "a_ratio", ends) == Interval(2.0, 1.0, 4.0)
