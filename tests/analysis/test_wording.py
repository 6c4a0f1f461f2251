import math

import pandas as pd
import pytest

from harness.analysis import wording


@pytest.mark.parametrize(
    ("value", "worded"),
    [(5.1234, "5.123"), (1234.5678, "1234.568"), (2.5e7, "2.50e+07"), (math.inf, "∞"), (math.nan, "–"), (pd.NA, "–")],
)
def test_a_perplexity_has_three_digits_after_the_point(value, worded):
    assert wording.perplexity(value) == worded


@pytest.mark.parametrize(
    ("value", "worded"),
    [(25_123, "25.1 k"), (999_960, "1.0 M"), (999_900, "999.9 k"), (1.24e6, "1.2 M"), (87.25, "87.2"), (math.nan, "–")],
)
def test_a_rate_has_its_unit_and_one_digit(value, worded):
    assert wording.rate(value).replace(wording.NARROW, " ") == worded


@pytest.mark.parametrize(
    ("value", "worded"), [(0.1234, "0.12"), (12.34, "12.3"), (1234.5, "1 234"), (math.nan, "–"), (math.inf, "–")]
)
def test_seconds_are_finer_the_shorter_they_are(value, worded):
    assert wording.seconds(value).replace(wording.NARROW, " ") == worded


def test_sizes_are_in_decimal_units():
    assert wording.megabytes(253_400_000) == "253"
    assert wording.gigabytes(25_276_510_208).replace(wording.NARROW, " ") == "25.3 GB"
    assert wording.megabytes(pd.NA) == "–"


def test_an_interval_needs_both_bounds():
    assert wording.bracket(1.0, 2.0, wording.perplexity) == "1.000 to 2.000"
    assert wording.bracket(math.nan, 2.0, wording.perplexity) == ""


@pytest.mark.parametrize(
    ("names", "worded"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "b"], "a and b"),
        (list("abc"), "a, b and c"),
        (list("abcde"), "a, b and 3 others"),
    ],
)
def test_a_list_reads_as_one(names, worded):
    assert wording.enumerate_names(names, most=3 if len(names) > 3 else 6) == worded


@pytest.mark.parametrize(
    ("numbers", "worded"),
    [([1, 2, 3, 4], "1–4"), ([2, 1], "1 and 2"), ([8, 1, 2], "1, 2 and 8"), ([1, 2, 3, 8], "1–3 and 8")],
)
def test_runs_of_numbers_read_as_ranges(numbers, worded):
    assert wording.enumerate_numbers(numbers) == worded


def test_a_label_counts_one_as_one():
    frame = pd.DataFrame({"num_layers": [1, 2], "num_epochs": [1, 11]})
    assert [text.replace("\u00a0", " ") for text in wording.label(frame, ["num_layers", "num_epochs"])] == [
        "1 layer · 1 epoch",
        "2 layers · 11 epochs",
    ]


def test_a_label_names_what_differs():
    frame = pd.DataFrame({"cell": ["lstm", "gru"], "num_layers": [1, 2], "train_tokens": [10_000, 20_000]})
    labels = [text.replace(wording.NARROW, " ").replace("\u00a0", " ") for text in wording.label(frame, list(frame))]
    assert labels == ["lstm · 1 layer · 10 000 training tokens", "gru · 2 layers · 20 000 training tokens"]


def worded(values, **others):
    return [word.replace(wording.NARROW, " ") for word in wording.column(values, **others)]


def test_the_figures_of_a_column_have_as_many_digits_after_the_point():
    assert worded([10.4, 9.907, math.nan]) == ["10.40", "9.91", "–"]
    assert worded([-0.87541, 0.5], beside=[-1.256]) == ["−0.875", "0.500"]


def test_whole_numbers_stay_whole_and_what_would_read_zero_is_a_power_of_ten():
    assert worded([10_000, 28]) == ["10 000", "28"]
    assert worded([0.25, 3.912e-05, 0.0]) == ["0.2500", "3.9 × 10⁻⁵", "0"]
    assert worded([9.85e11, 8.3]) == ["9.8 × 10¹¹", "8"]
