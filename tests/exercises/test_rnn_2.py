import pytest
from invented_answers import ask, finish
from invented_runs import trial

from harness.worker.trial import BASELINE, NO_BACKEND

STATE = trial("lstm")
WINDOW = trial("ngram-3", 0, backend=NO_BACKEND, implementation=BASELINE, num_hiddens=0)
FADING = {0: 2.0, 1: 0.5, 8: 0.01, 48: 1e-6}
ENDING = {0: 2.0, 1: 0.5, 8: 0.0, 48: 0.0}


def influence(curves):
    def record(ledger):
        for each, curve in curves.items():
            finish(ledger, each, (9.0, 8.0))
            ledger.probed(each.trial_id, "influence", [("kl", k, value, 0.1, 128) for k, value in curve.items()])

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
