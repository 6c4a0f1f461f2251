import dataclasses
import itertools
import math
import re

import pytest
from invented_answers import ask, finish, time
from invented_runs import trial

from harness.contracts.settings import Range

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
        (6.0, 7.0, 150, 100, "GRU has the lower perplexity; accuracy: equivalent; GRU trains faster"),
        (7.0, 6.0, 100, 150, "LSTM has the lower perplexity; accuracy: equivalent; LSTM trains faster"),
        (6.0, 6.0, 100, 100, "perplexity: equivalent; accuracy: equivalent; speed not decided"),
    ],
)
def test_the_verdict_follows_the_numbers(tmp_path, gru, lstm, gru_rate, lstm_rate, verdict):
    record = run_of(gru, lstm, gru_rate=gru_rate, lstm_rate=lstm_rate)
    answer = ask("deep-rnn-2", tmp_path / "run", grid(), record)
    assert answer.verdict == verdict
    assert answer.answer.startswith(f"At equal hidden units: {'; '.join(verdict.split('; ')[:2])}. ")
    assert answer.figure is not None


def rows_of(answer, **of):
    table = answer.evidence
    for name, value in of.items():
        table = table[table[name] == value]
    return table


def test_the_difference_and_its_interval_are_those_of_the_pairs(tmp_path):
    answer = ask("deep-rnn-2", tmp_path / "run", grid(), run_of(6.0, 7.0, gru_rate=150))
    (whole,) = rows_of(answer, role="primary", test="perplexity").to_dict("records")
    # Differences of losses by seed, the same at both depths, and t(2) = 4.302653.
    differences = [math.log((6.0 + noise) / (7.0 - noise)) for noise in NOISE]
    mean = sum(differences) / 3
    deviation = math.sqrt(sum((value - mean) ** 2 for value in differences) / 2)
    assert whole["difference"] == pytest.approx(100 * math.expm1(mean))
    high = mean + 4.302653 * deviation / math.sqrt(3)
    assert whole["difference_high"] == pytest.approx(100 * math.expm1(high))
    assert (whole["n"], whole["gru"]) == (3, pytest.approx(6.0, rel=1e-3))
    assert whole["chance_first_is_better"] == 1.0
    assert rows_of(answer, test="tokens a second")["difference"].tolist() == pytest.approx([1.5], rel=0.01)


def test_the_same_model_on_a_second_backend_is_no_further_seed(tmp_path):
    both = [dataclasses.replace(each, backend=name) for each in grid() for name in ("numpy", "torch")]

    def record(ledger):
        for each in both:
            noise = NOISE[each.seed] * (1 if each.cell == "gru" else -1)
            finish(ledger, each, (9.0, (6.0 if each.cell == "gru" else 7.0) + noise))

    alone = ask("deep-rnn-2", tmp_path / "one", grid(), run_of(6.0, 7.0, timed=False)).evidence.iloc[0]
    twice = ask("deep-rnn-2", tmp_path / "two", both, record).evidence.iloc[0]
    assert twice["n"] == 3
    assert twice["difference_low"] == pytest.approx(alone["difference_low"])


def test_one_seed_at_one_depth_gives_no_interval_and_says_so(tmp_path):
    trials = grid(depths=(1,), seeds=(0,))
    answer = ask(
        "deep-rnn-2", tmp_path / "run", trials, lambda ledger: [finish(ledger, each, (9, 8)) for each in trials]
    )
    assert answer.verdict == "perplexity: not enough runs; accuracy: not enough runs; speed not decided"
    assert "One seed, which gives no interval" in answer.answer
    assert any("more than one seed" in sentence for sentence in answer.missing)
    assert any("--timing" in sentence for sentence in answer.missing)


def at_depths(depths, accuracies, folder):
    """Answer a run whose perplexities scatter and whose accuracies are these of the GRU and of the LSTM."""
    trials = grid(depths=depths, seeds=range(5))
    scatter = (0.5, -0.4, 0.4, -0.3, 0.3)

    def record(ledger):
        for each in trials:
            noise = scatter[each.seed] * (1 if each.cell == "gru" else -1)
            accuracy = accuracies[each.cell] + 0.005 * noise
            finish(ledger, each, (9.0, 6.0 + noise), valid_accuracy=accuracy)

    return ask("deep-rnn-2", folder, trials, record)


@pytest.mark.parametrize(("gru", "lstm", "better"), [(0.42, 0.38, "GRU"), (0.38, 0.42, "LSTM")])
def test_a_clear_accuracy_beside_an_open_perplexity_is_said_to_differ(tmp_path, gru, lstm, better):
    answer = at_depths((1,), {"gru": gru, "lstm": lstm}, tmp_path / "run")
    assert answer.verdict.startswith(f"perplexity: not enough runs; {better} has the higher accuracy; ")
    (row,) = rows_of(answer, role="primary", test="accuracy").to_dict("records")
    assert row["p_corrected"] < 0.05
    assert row["verdict"] == "different"
    assert "beyond chance" not in answer.answer


def test_one_depth_is_not_counted_twice(tmp_path):
    answer = at_depths((1,), {"gru": 0.42, "lstm": 0.38}, tmp_path / "one")
    judged = answer.evidence.dropna(subset=["p"])
    assert judged["role"].tolist() == ["primary", "primary"]
    (perplexity, accuracy) = judged["p"]
    assert judged["p_corrected"].tolist() == pytest.approx([perplexity, 2 * accuracy])
    several = at_depths((1, 2), {"gru": 0.42, "lstm": 0.38}, tmp_path / "two").evidence.dropna(subset=["p"])
    assert several["role"].tolist() == ["primary"] * 2 + ["secondary"] * 4
    assert several["p_corrected"].tolist()[:2] == pytest.approx([perplexity, 2 * accuracy])


def test_an_open_answer_says_what_the_runs_could_have_shown_and_how_many_it_takes(tmp_path):
    answer = at_depths((1,), {"gru": 0.4, "lstm": 0.4}, tmp_path / "run").answer
    assert re.search(r"5 seeds like these find a difference of \d\S* % of perplexity in 80 % of such runs; one", answer)
    assert "P(GRU better) = " in answer


def test_the_first_sentences_name_the_one_rate_and_say_that_models_were_still_learning(tmp_path):
    answer = ask("deep-rnn-2", tmp_path / "run", grid(), run_of(6.0, 7.0)).answer
    first = ". ".join(answer.split(". ")[:2])
    assert "All at one untuned learning rate, 1 (sgd): another may reverse it" in first
    assert "12 of 12 models were still learning at the end" in first


def test_models_whose_loss_rose_again_are_not_called_still_learning(tmp_path):
    trials = grid()

    def record(ledger):
        for each in trials:
            finish(ledger, each, (9.0, 6.0, 6.05, 6.1 + NOISE[each.seed]))

    assert "none of the 12 models was still learning" in ask("deep-rnn-2", tmp_path / "run", trials, record).answer


def test_several_rates_are_never_averaged_each_cell_is_at_its_best(tmp_path):
    trials = [dataclasses.replace(each, learning_rate=rate) for each in grid(depths=(1,)) for rate in (0.1, 1.0)]
    # At the lower rate the GRU wins, at the higher one the LSTM, whose best is the best of all.
    reached = {("gru", 0.1): 6.0, ("gru", 1.0): 9.0, ("lstm", 0.1): 9.0, ("lstm", 1.0): 5.0}

    def record(ledger):
        for each in trials:
            noise = NOISE[each.seed] * (1 if each.cell == "gru" else -1)
            finish(ledger, each, (9.5, reached[each.cell, each.learning_rate] + noise))

    answer = ask("deep-rnn-2", tmp_path / "run", trials, record)
    assert answer.verdict.startswith("LSTM has the lower perplexity")
    (whole,) = rows_of(answer, role="primary", test="perplexity").to_dict("records")
    assert (whole["gru"], whole["lstm"]) == (pytest.approx(6.0, rel=1e-3), pytest.approx(5.0, rel=1e-3))
    assert "All at untuned learning rates, 0.1 (sgd) and 1 (sgd): others may reverse it" in answer.answer


def test_beside_what_a_search_tuned_no_untuned_model_takes_part(tmp_path):
    tuned = [dataclasses.replace(each, learning_rate=0.3) for each in grid()]
    reached = {("gru", 0.3): 6.0, ("lstm", 0.3): 7.0, ("gru", 1.0): 9.0, ("lstm", 1.0): 5.0}

    def record(ledger):
        for each in [*tuned, *grid()]:
            noise = NOISE[each.seed] * (1 if each.cell == "gru" else -1)
            finish(ledger, each, (9.5, reached[each.cell, each.learning_rate] + noise))
        for position, (cell, depth) in enumerate(itertools.product(("gru", "lstm"), (1, 2))):
            search = f"{cell}-{depth}"
            finals = [each for each in tuned if (each.cell, each.num_layers) == (cell, depth)]
            ledger.searches.enter(search, position, finals[:1], {"learning_rate": Range(low=0.1, high=1.0)})
            ledger.searches.settle(search, finals[0], finals)

    answer = ask("deep-rnn-2", tmp_path / "run", [*tuned, *grid()], record)
    assert answer.verdict.startswith("GRU has the lower perplexity")
    assert "untuned" not in answer.answer
    (whole,) = rows_of(answer, role="primary", test="perplexity").to_dict("records")
    assert (whole["gru"], whole["lstm"]) == (pytest.approx(6.0, rel=1e-3), pytest.approx(7.0, rel=1e-3))


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
    assert set(rows_of(answer, role="primary")["at"]) == {"equal hidden units"}
    assert "At equal parameters (secondary): GRU has the lower perplexity; accuracy: equivalent; -7.69 % of" in (
        answer.answer
    )
    assert "77% of LSTM's parameters" in answer.answer


def test_pairs_on_another_text_are_not_averaged_in(tmp_path):
    others = [trial(cell, corpus="brackets", corpus_digest="other") for cell in ("gru", "lstm")]

    def record(ledger):
        run_of(6.0, 7.0)(ledger)
        for each in others:
            finish(ledger, each, (3.0, 2.0 if each.cell == "lstm" else 90.0))

    answer = ask("deep-rnn-2", tmp_path / "run", [*others, *grid()], record)
    assert (answer.evidence["gru"].iloc[0], answer.evidence["n"].iloc[0]) == (pytest.approx(6.0, rel=1e-3), 3)
    assert answer.verdict.startswith("GRU has the lower perplexity")


def test_one_cell_alone_answers_nothing(tmp_path):
    trials = [trial("gru")]
    answer = ask("deep-rnn-2", tmp_path / "run", trials, lambda ledger: finish(ledger, trials[0], (9, 8)))
    assert (answer.verdict, answer.answered) == ("not answered", False)
