import math

import numpy as np
import pytest
from invented_answers import ask, finish
from invented_runs import trial
from scipy import stats

TRIALS = [trial("rnn"), trial("lstm"), trial("rnn", grad_clip=0.0)]
DISTANCES = (1, 2, 4, 8, 16, 32)


def gradients(rates, wobble=0.0, distances=DISTANCES):
    def record(ledger):
        for each, rate in zip(TRIALS, rates, strict=True):
            finish(ledger, each, (9.0, 8.0))
            rows = [
                (f"log_norm_{stage}", k, k * math.log(rate) + wobble * (-1) ** i, 0.1, 32)
                for stage in ("init", "trained")
                for i, k in enumerate(distances)
            ]
            ledger.probed(each.trial_id, "gradients", rows)
            clipped = float(each.grad_clip > 0)
            ledger.probed(each.trial_id, "clipping", [("clipped_trained", 0, clipped, 0.0, 8)])

    return record


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rates", "wobble", "verdict"),
    [
        ((0.8, 0.95, 0.8), 0.01, "it vanishes in every model"),
        ((1.3, 1.1, 1.2), 0.01, "it explodes in every model"),
        (
            (0.8, 1.1, 1.0),
            0.01,
            "it vanishes in 2, explodes in 2 and does neither beyond chance in 2 of 6 measurements",
        ),
        ((1.0, 1.0, 1.0), 3.0, "not decided"),
    ],
)
def test_the_verdict_follows_the_numbers(tmp_path, rates, wobble, verdict):
    answer = ask("rnn-3", tmp_path / "run", TRIALS, gradients(rates, wobble))
    assert answer.verdict == verdict


@pytest.mark.slow
def test_the_rate_is_fitted_with_its_interval_and_half_life(tmp_path):
    answer = ask("rnn-3", tmp_path / "run", TRIALS, gradients((0.5, 0.9, 0.8)))
    table = answer.evidence
    assert table["factor_a_step"].tolist() == pytest.approx([0.5, 0.5, 0.9, 0.9, 0.8, 0.8])
    assert table["halves_in_steps"].iloc[0] == pytest.approx(1)
    assert "by 0.900 (0.900 to 0.900) in lstm" in answer.answer
    assert "Of 1 pair of trials that differ in clipping alone, 0 without it and 0 with it" in answer.answer
    assert "Clipping cuts 100% to 100%" in answer.answer


def test_too_few_distances_give_no_rate(tmp_path):
    def record(ledger):
        finish(ledger, TRIALS[0], (9.0, 8.0))
        ledger.probed(TRIALS[0].trial_id, "gradients", [("log_norm_init", 1, -1.0, 0.1, 32)])

    answer = ask("rnn-3", tmp_path / "run", TRIALS[:1], record)
    assert answer.verdict == "not decided"
    assert "the rate is not known: too few distances" in answer.answer


FURTHER = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)


def bending(near, far, knee=10):
    """Record a gradient that falls by one factor a step up to the knee and by another beyond it."""

    def record(ledger):
        finish(ledger, TRIALS[1], (9.0, 8.0))
        rows = [
            (
                "log_norm_trained",
                k,
                min(k, knee) * math.log(near) + max(k - knee, 0) * math.log(far) + 0.02 * (-1) ** i,
                0.1,
                32,
            )
            for i, k in enumerate(FURTHER)
        ]
        ledger.probed(TRIALS[1].trial_id, "gradients", rows)

    return record


@pytest.mark.slow
def test_a_bent_curve_has_two_rates_and_goes_on_at_the_far_one(tmp_path):
    answer = ask("rnn-3", tmp_path / "run", TRIALS[1:2], bending(0.5, 0.9))
    row = answer.evidence.iloc[0]
    assert row["shape"] == "bent"
    assert row["near_factor_low"] < 0.5 < row["near_factor_high"]
    assert row["far_factor_low"] < 0.9 < row["far_factor_high"]
    assert row["halves_in_steps"] == pytest.approx(math.log(0.5) / math.log(0.9), rel=0.02)
    assert "1 of 1 curves bend, so no single rate describes them (Welch's t test" in answer.answer
    assert "geometric" not in answer.answer


@pytest.mark.slow
def test_a_curve_that_vanishes_near_and_grows_far_is_judged_by_its_far_part(tmp_path):
    assert ask("rnn-3", tmp_path / "run", TRIALS[1:2], bending(0.5, 1.2)).verdict == "it explodes in every model"
    assert ask("rnn-3", tmp_path / "run2", TRIALS[1:2], bending(1.2, 0.5)).verdict == "it vanishes in every model"


@pytest.mark.slow
def test_a_straight_curve_keeps_its_one_rate(tmp_path):
    answer = ask("rnn-3", tmp_path / "run", TRIALS[1:2], bending(0.8, 0.8))
    row = answer.evidence.iloc[0]
    assert row["shape"] == "no bend shown"
    assert row["halves_in_steps"] == pytest.approx(math.log(0.5) / math.log(0.8), rel=0.02)
    assert "each is given one factor a step" in answer.answer


@pytest.mark.slow
def test_a_curve_without_any_scatter_is_not_taken_for_bent(tmp_path):
    answer = ask("rnn-3", tmp_path / "run", TRIALS, gradients((0.5, 0.9, 0.8), distances=FURTHER))
    assert set(answer.evidence["shape"]) == {"no bend shown"}


@pytest.mark.slow
def test_what_goes_without_clipping_is_held_against_the_same_with_it(tmp_path):
    def record(ledger):
        gradients((0.8, 0.9, 0.8))(ledger)
        finish(ledger, TRIALS[2], (9.0, 1e6))

    answer = ask("rnn-3", tmp_path / "run", TRIALS, record)
    assert "1 without it and 0 with it ended worse than guessing blindly" in answer.answer
    assert "perplexity 8 with clipping and 1e+06 without" in answer.answer


def over_seeds(slopes, far=None, cell="gru"):
    """Record several seeds' gradients, each with its own slope of the logarithm, and another one beyond ten steps."""
    trials = [trial(cell, seed=seed) for seed in range(len(slopes))]

    def record(ledger):
        for each, slope, beyond in zip(trials, slopes, far or slopes, strict=True):
            finish(ledger, each, (9.0, 8.0))
            rows = [("log_norm_trained", k, min(k, 10) * slope + max(k - 10, 0) * beyond, 0.1, 32) for k in FURTHER]
            ledger.probed(each.trial_id, "gradients", rows)

    return trials, record


def test_several_seeds_give_the_rate_its_interval(tmp_path):
    slopes = (-0.4, -0.5, -0.6)
    answer = ask("rnn-3", tmp_path / "run", *over_seeds(slopes))
    row = answer.evidence.iloc[0]
    margin = stats.t.ppf(0.975, 2) * np.std(slopes, ddof=1) / math.sqrt(3)
    assert len(answer.evidence) == 1
    assert row["seeds"] == 3
    assert row["factor_a_step"] == pytest.approx(math.exp(-0.5))
    assert row["factor_high"] == pytest.approx(math.exp(-0.5 + margin))
    assert "3 seeds; t tests" in answer.answer
    assert "(95 % intervals over seeds)" in answer.answer
    assert "over seeds and contexts" in answer.figure.caption


@pytest.mark.slow
def test_seeds_that_disagree_decide_nothing(tmp_path):
    assert ask("rnn-3", tmp_path / "run", *over_seeds((-0.4, 0.5, 0.1))).verdict == "not decided"


@pytest.mark.slow
def test_many_models_are_judged_together(tmp_path):
    # One curve whose seeds leave out 1 by a little: among ten as even as can be, that is chance.
    almost, even = (-0.1, -0.2, -0.06, -0.25), (-0.1, 0.1, 0.2, -0.2)
    assert ask("rnn-3", tmp_path / "run", *over_seeds(almost)).verdict == "it vanishes in every model"
    trials, records = [], []
    for cell, slopes in zip(("gru", "lstm", "rnn", "gru-textbook"), (almost, even, even, even), strict=True):
        found, record = over_seeds(slopes, cell=cell)
        trials += found
        records.append(record)
    answer = ask("rnn-3", tmp_path / "run2", trials, lambda ledger: [record(ledger) for record in records])
    assert answer.verdict == "not decided"
    assert "t tests after Holm's correction" in answer.answer


@pytest.mark.slow
def test_a_bend_must_show_in_every_seed_alike(tmp_path):
    alike = ask("rnn-3", tmp_path / "run", *over_seeds((-0.5, -0.6, -0.7), (-0.1, -0.21, -0.3)))
    assert alike.evidence["shape"].tolist() == ["bent"]
    assert "t test over seeds of the near and the far half's slopes" in alike.answer
    apart = ask("rnn-3", tmp_path / "run2", *over_seeds((-0.5, -0.6, -0.7), (-0.1, -1.2, -0.7)))
    assert apart.evidence["shape"].tolist() == ["no bend shown"]


@pytest.mark.slow
def test_a_share_of_clipped_minibatches_that_is_not_finite_is_left_out(tmp_path):
    def record(ledger):
        gradients((0.5, 0.9, 0.8))(ledger)
        ledger.probed(TRIALS[1].trial_id, "clipping", [("clipped_trained", 0, math.inf, 0.0, 8)])

    answer = ask("rnn-3", tmp_path / "run", TRIALS, record)
    assert "Clipping cuts 100% to 100%" in answer.answer
