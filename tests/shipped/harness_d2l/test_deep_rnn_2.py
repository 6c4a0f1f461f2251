import dataclasses
import math

import pytest
from invented_answers import ask, finish, time
from invented_runs import trial

SEEDS = (0, 1, 2)
NOISE = (0.01, -0.02, 0.01)


def grid(depths=(1, 2), seeds=SEEDS):
    return [trial(cell, depth, seed=seed) for cell in ("gru", "lstm") for depth in depths for seed in seeds]


def run_of(gru, lstm, *, gru_rate=100.0, lstm_rate=100.0, seeds=SEEDS, timed=True):
    """Record both cells at about these perplexities and speeds."""

    def record(ledger):
        for each in grid(seeds=seeds):
            own, rate = (gru, gru_rate) if each.cell == "gru" else (lstm, lstm_rate)
            noise = NOISE[each.seed] * (1 if each.cell == "gru" else -1)
            finish(ledger, each, (2 * own, own + noise))
            if timed:
                time(ledger, each, [rate * (1 + 0.001 * (i % 3)) for i in range(12)])

    return record


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gru", "lstm", "gru_rate", "lstm_rate", "verdict"),
    [
        (6.0, 7.0, 150, 100, "GRU has the lower perplexity; GRU trains faster"),
        (7.0, 6.0, 100, 150, "LSTM has the lower perplexity; LSTM trains faster"),
        (6.0, 6.0, 100, 100, "perplexity not decided; speed not decided"),
    ],
)
def test_the_verdict_follows_the_numbers(tmp_path, gru, lstm, gru_rate, lstm_rate, verdict):
    record = run_of(gru, lstm, gru_rate=gru_rate, lstm_rate=lstm_rate)
    answer = ask("deep-rnn-2", tmp_path / "run", grid(), record)
    assert answer.verdict == verdict
    assert answer.figure is not None


@pytest.mark.slow
def test_the_difference_and_its_interval_are_those_of_the_pairs(tmp_path):
    answer = ask("deep-rnn-2", tmp_path / "run", grid(), run_of(6.0, 7.0, gru_rate=150))
    whole = answer.evidence.iloc[0]
    # Differences -1 + 2 * noise by seed, the same at both depths: mean -1, and t(2) = 4.302653.
    differences = [-1 + 2 * noise for noise in NOISE]
    mean = sum(differences) / 3
    deviation = math.sqrt(sum((value - mean) ** 2 for value in differences) / 2)
    assert whole["perplexity_difference"] == pytest.approx(mean)
    assert whole["perplexity_difference_high"] == pytest.approx(mean + 4.302653 * deviation / math.sqrt(3))
    assert whole["speed_ratio"] == pytest.approx(1.5, rel=0.01)
    assert (whole["n"], whole["pairs"]) == (3, 6)


@pytest.mark.slow
def test_the_same_model_on_a_second_backend_is_no_further_seed(tmp_path):
    both = [dataclasses.replace(each, backend=name) for each in grid() for name in ("numpy", "torch")]

    def record(ledger):
        for each in both:
            noise = NOISE[each.seed] * (1 if each.cell == "gru" else -1)
            finish(ledger, each, (9.0, (6.0 if each.cell == "gru" else 7.0) + noise))

    alone = ask("deep-rnn-2", tmp_path / "one", grid(), run_of(6.0, 7.0, timed=False)).evidence.iloc[0]
    twice = ask("deep-rnn-2", tmp_path / "two", both, record).evidence.iloc[0]
    assert (twice["n"], twice["pairs"]) == (3, 12)
    assert twice["perplexity_difference_low"] == pytest.approx(alone["perplexity_difference_low"])


@pytest.mark.slow
def test_one_seed_at_one_depth_gives_no_interval_and_says_so(tmp_path):
    trials = grid(depths=(1,), seeds=(0,))
    answer = ask(
        "deep-rnn-2", tmp_path / "run", trials, lambda ledger: [finish(ledger, each, (9, 8)) for each in trials]
    )
    assert answer.verdict == "perplexity not decided; speed not decided"
    assert "one seed, which gives no interval" in answer.answer
    assert any("more than one seed" in sentence for sentence in answer.missing)
    assert any("--timing" in sentence for sentence in answer.missing)


@pytest.mark.slow
def test_the_same_number_of_parameters_is_a_comparison_of_its_own(tmp_path):
    larger = [trial("gru", depth, seed=seed, num_hiddens=296) for depth in (1, 2) for seed in SEEDS]

    def record(ledger):
        for each in grid():
            finish(
                ledger, each, (9.0, 6.5 if each.cell == "lstm" else 7.0), num_params=300 if each.cell == "lstm" else 230
            )
        for each in larger:
            finish(ledger, each, (9.0, 6.0 + NOISE[each.seed]), num_params=302)

    answer = ask("deep-rnn-2", tmp_path / "run", [*grid(), *larger], record)
    assert list(answer.evidence["at"]) == ["equal hidden units"] * 3 + ["equal parameters"]
    assert "At equal parameters GRU is ahead: -0.500 (" in answer.answer
    assert "in accuracy" in answer.answer.split("At equal parameters")[1]
    assert "77% of LSTM's parameters" in answer.answer


@pytest.mark.slow
def test_pairs_on_another_text_are_not_averaged_in(tmp_path):
    others = [trial(cell, corpus="brackets", corpus_digest="other") for cell in ("gru", "lstm")]

    def record(ledger):
        run_of(6.0, 7.0)(ledger)
        for each in others:
            finish(ledger, each, (3.0, 2.0 if each.cell == "lstm" else 90.0))

    answer = ask("deep-rnn-2", tmp_path / "run", [*others, *grid()], record)
    assert answer.evidence["pairs"].iloc[0] == 6
    assert answer.verdict.startswith("GRU has the lower perplexity")


def test_one_cell_alone_answers_nothing(tmp_path):
    trials = [trial("gru")]
    answer = ask("deep-rnn-2", tmp_path / "run", trials, lambda ledger: finish(ledger, trials[0], (9, 8)))
    assert (answer.verdict, answer.answered) == ("not answered", False)
