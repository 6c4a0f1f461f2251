import math

import numpy as np
import pytest
from invented_answers import ask, finish
from invented_runs import trial
from scipy import stats

from harness.worker.trial import BASELINE, NO_BACKEND

STATE = trial("lstm")
WINDOW = trial("ngram-3", 0, backend=NO_BACKEND, implementation=BASELINE, num_hiddens=0)
FADING = {0: 2.0, 1: 0.5, 8: 0.01, 48: 1e-6}
ENDING = {0: 2.0, 1: 0.5, 8: 0.0, 48: 0.0}


def influence(curves):
    def record(ledger):
        for each, curve in curves.items():
            finish(ledger, each, (9.0, 8.0))
            ledger.probed(each.trial_id, "influence", [("kl", k, value, value, 128) for k, value in curve.items()])

    return record


@pytest.mark.parametrize(
    ("state", "window", "verdict"),
    [
        (FADING, ENDING, "a state carries every token probed; a window nothing beyond its end"),
        (ENDING, FADING, "no state carries every token probed; a window did not end"),
    ],
)
def test_the_verdict_follows_the_numbers(tmp_path, state, window, verdict):
    answer = ask("rnn-2", tmp_path / "run", [STATE, WINDOW], influence({STATE: state, WINDOW: window}))
    assert answer.verdict == verdict
    assert answer.figure is not None


def test_zero_is_said_and_not_drawn_on_a_logarithmic_axis(tmp_path):
    answer = ask("rnn-2", tmp_path / "run", [STATE, WINDOW], influence({STATE: FADING, WINDOW: ENDING}))
    assert answer.evidence["exactly_zero_from"].tolist()[1] == 8
    assert "exactly zero beyond it: ngram-3 from 8 steps" in answer.answer
    assert "2 points of zero or unknown value cannot be drawn" in answer.figure.caption


def test_without_a_recurrent_model_nothing_is_decided(tmp_path):
    answer = ask("rnn-2", tmp_path / "run", [WINDOW], influence({WINDOW: ENDING}))
    assert answer.verdict.startswith("not decided")


def test_without_probes_it_is_not_answered(tmp_path):
    answer = ask("rnn-2", tmp_path / "run", [STATE], lambda ledger: finish(ledger, STATE, (9, 8)))
    assert not answer.answered


def test_several_seeds_are_one_model_with_an_interval_over_them(tmp_path):
    seeds = [trial("lstm", seed=seed) for seed in (0, 1, 2)]
    newest = [1.0, 2.0, 4.0]
    curves = {each: FADING | {0: value} for each, value in zip(seeds, newest, strict=True)}
    answer = ask("rnn-2", tmp_path / "run", [*seeds, WINDOW], influence(curves | {WINDOW: ENDING}))
    row = answer.evidence.iloc[0]
    assert answer.evidence["seeds"].tolist() == [3, 1]
    # A geometric mean; the errors over seeds and over contexts add in squares.
    logs = np.log(newest)
    over_seeds = stats.t.ppf(0.975, 2) * logs.std(ddof=1) / math.sqrt(3)
    over_contexts = stats.t.ppf(0.975, 127) / math.sqrt(128)
    assert row["newest_token_kl"] == pytest.approx(2)
    assert row["newest_token_high"] == pytest.approx(2 * math.exp(math.hypot(over_seeds, over_contexts)))
    assert "(n = 128 contexts of held-out text, 3 seeds)" in answer.answer
    assert "over seeds and contexts" in answer.figure.caption


def test_an_unknown_spread_over_contexts_gives_no_interval(tmp_path):
    seeds = [trial("lstm", seed=seed) for seed in (0, 1, 2)]

    def record(ledger):
        for each in seeds:
            finish(ledger, each, (9.0, 8.0))
            ledger.probed(each.trial_id, "influence", [("kl", k, v, math.inf, 128) for k, v in FADING.items()])

    assert math.isnan(ask("rnn-2", tmp_path / "run", seeds, record).evidence["newest_token_low"].iloc[0])


def test_one_seed_that_still_depends_is_no_exact_zero(tmp_path):
    seeds = [trial("mlp", seed=seed) for seed in (0, 1)]
    curves = {STATE: FADING, seeds[0]: ENDING, seeds[1]: FADING}
    answer = ask("rnn-2", tmp_path / "run", [STATE, *seeds], influence(curves))
    assert answer.verdict == "a state carries every token probed; a window did not end"
