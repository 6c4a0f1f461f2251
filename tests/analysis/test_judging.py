"""Judging: families of tests with known truth, units, and what is said of an outcome."""

import math
import re

import numpy as np
import pandas as pd
import pytest

from harness.analysis.judging import (
    ACCURACY,
    BITS,
    PERPLEXITY,
    Compared,
    Scale,
    by_seed,
    judge_primary,
    judge_secondary,
    word_difference,
    word_reach,
    word_verdict,
)
from harness.analysis.statistics import Floats, holm
from harness.analysis.verdicts import power_of
from harness.contracts.exercises import PrimaryTest

STATED = [PrimaryTest(name=name, compares="A minus B") for name in ("loss", "accuracy")]
SPREAD = np.array([0.01, -0.02, 0.015, -0.01, 0.005])


def compared(test: str, scale: Scale, first: Floats, second: Floats) -> Compared:
    return Compared(test=test, scale=scale, first=first, second=second, of={})


def test_a_test_that_was_not_stated_is_no_primary_one() -> None:
    made_up = compared("speed", PERPLEXITY, SPREAD, -SPREAD)
    with pytest.raises(ValueError, match="'speed' was not stated as primary"):
        judge_primary(STATED, [made_up])
    assert judge_secondary([made_up])[0].role == "secondary"


@pytest.mark.parametrize(("shift", "ahead", "words"), [(-0.1, 1, "A has"), (0.1, -1, "B has")])
def test_opposite_data_give_opposite_verdicts_and_each_test_has_its_own(shift: float, ahead: int, words: str) -> None:
    loss, accuracy = judge_primary(
        STATED,
        [
            compared("loss", PERPLEXITY, 1.5 + SPREAD + shift, np.full(5, 1.5)),
            compared("accuracy", ACCURACY, 0.4 + SPREAD + shift, np.full(5, 0.4)),
        ],
    )
    # More accuracy is better: the same shift favours the other side.
    assert (loss.ahead, accuracy.ahead) == (ahead, -ahead)
    assert word_verdict(loss, "A", "B", "perplexity") == f"{words} the lower perplexity"
    assert loss.difference.estimate == pytest.approx(100 * math.expm1(shift))
    assert accuracy.difference.estimate == pytest.approx(100 * shift)
    assert accuracy.difference.low < accuracy.difference.estimate < accuracy.difference.high
    assert loss.verdict.first_is_better.estimate == (1.0 if ahead > 0 else 0.0)


def test_a_family_is_corrected_over_its_own_tests_alone() -> None:
    pairs = [compared("loss", PERPLEXITY, 1.5 + SPREAD + shift, np.full(5, 1.5)) for shift in (0.012, 0.02, 0.001)]
    primary, secondary = judge_primary(STATED, pairs[:1]), judge_secondary(pairs[1:])
    assert primary[0].verdict.p_value == primary[0].p_value
    expected = holm([each.p_value for each in secondary])
    assert [each.verdict.p_value for each in secondary] == pytest.approx(expected.tolist())


def test_a_row_says_what_the_runs_found_and_could_have_found() -> None:
    (judged,) = judge_secondary([compared("bits", BITS, 2.003 + SPREAD, np.full(5, 2.0))])
    row = judged.row()
    assert (row["unit"], row["n"], row["verdict"]) == ("bits per character", 5, "not enough runs")
    assert row["smallest_detectable"] > 0.014
    assert row["seeds_needed"] > 5
    assert word_difference(judged).startswith("0.003 bits per character (-0.0")
    assert re.fullmatch(
        r"5 seeds like these find a difference of 0\.02\d bits per character in 80 % of such runs; "
        r"one as large as observed would take about \d+ seeds",
        word_reach(judged),
    )


def test_what_could_have_been_found_is_by_the_corrected_test() -> None:
    pairs = [compared("bits", BITS, 2.003 + SPREAD, np.full(5, 2.0)) for _ in range(10)]
    alone, of_ten = judge_secondary(pairs[:1])[0].verdict, judge_secondary(pairs)[0].verdict
    assert of_ten.detectable > 1.5 * alone.detectable
    deviation = float(SPREAD.std(ddof=1))
    assert power_of(of_ten.detectable, deviation, 5, 0.05 / 10) == pytest.approx(0.8, abs=1e-3)
    assert of_ten.pairs_needed > alone.pairs_needed


def test_what_pairs_of_one_seed_have_is_averaged_first() -> None:
    rows = pd.DataFrame({"seed": [0, 0, 1, 1], "a": [1.0, 3.0, 4.0, 4.0], "b": [2.0, 2.0, 5.0, 7.0]})
    both = by_seed(rows, "loss", PERPLEXITY, "a", "b", at="all")
    assert (both.first.tolist(), both.second.tolist(), both.of) == ([2.0, 4.0], [2.0, 6.0], {"at": "all"})


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_of_several_tests_without_a_difference_any_is_called_different_at_most_one_time_in_twenty(seeds: int) -> None:
    generator = np.random.default_rng(seeds)
    stated = [PrimaryTest(name="loss", compares="A minus B", subjects="each author")]

    def any_differs() -> bool:
        first, second = generator.normal(1.5, 0.02, (2, 4, seeds))
        family = [compared("loss", PERPLEXITY, a, b) for a, b in zip(first, second, strict=True)]
        return any(judged.kind == "different" for judged in judge_primary(stated, family))

    assert np.mean([any_differs() for _ in range(1000)]) == pytest.approx(0.05, abs=0.022)
