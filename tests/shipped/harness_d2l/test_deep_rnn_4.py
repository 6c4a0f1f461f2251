import dataclasses

import numpy as np
import pandas as pd
import pytest
from invented_answers import answer as answer_of
from invented_answers import finish
from invented_runs import make_folder, trial

from harness.analysis.frames import records
from harness.report import read_run
from harness_d2l import authors
from harness_d2l.deep_rnn_4 import mantel

AUTHORS = ("anne", "emily")
NOISE = (0.004, -0.006, 0.002)


def ask(folder, gains, seeds=(0, 1, 2), *, with_transfer=True, distances=True, decays=(1.0,)):
    """Answer a run in which combining gains each author so many bits; alone each author has the first decay only."""
    trials = [
        trial("lstm", authors=who, seed=seed, corpus_digest=who, lr_decay=decay)
        for who in (*AUTHORS, "all")
        for decay in (decays if who == "all" else decays[:1])
        for seed in seeds
    ]

    def record(ledger):
        for each in trials:
            finish(ledger, each, (9.0, 8.0))
        for each in trials[:: len(seeds)] if distances else ():
            rows = [(other, 3.0, 0.05 if other == each.authors else 0.2, np.nan, 100) for other in AUTHORS]
            ledger.probed(each.trial_id, authors.PROBE, rows)

    run = read_run(make_folder(folder, trials, record))
    rows = []
    for row in records(run.trials):
        for author in AUTHORS:
            bits = 2.0 + NOISE[row["seed"]] * (1 + (row["authors"] == "all"))
            bits -= gains[author] if row["authors"] == "all" else 0.0
            bits += 0.3 if row["authors"] not in (author, "all") else 0.0
            bits += 1.0 * decays.index(row["lr_decay"])
            rows.append({**row, "trained_on": row["authors"], "evaluated_on": author, "bits_per_char": bits})
    if not with_transfer:
        return answer_of("deep-rnn-4", run)
    return answer_of("deep-rnn-4", dataclasses.replace(run, transfer=pd.DataFrame(rows)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("anne", "emily", "verdict"),
    [
        (0.1, 0.2, "combining helps every author"),
        (-0.1, -0.2, "combining harms every author"),
        (0.1, -0.1, "combining helps anne and harms emily"),
        (0.1, 0.0, "combining helps anne and is not decided for emily"),
        (0.0, 0.0, "not decided"),
    ],
)
def test_the_verdict_follows_the_numbers(tmp_path, anne, emily, verdict):
    answer = ask(tmp_path / "run", {"anne": anne, "emily": emily})
    assert answer.verdict == verdict
    assert answer.figure is not None


@pytest.mark.slow
def test_the_gain_is_paired_over_seeds_and_the_matrix_is_whole(tmp_path):
    table = ask(tmp_path / "run", {"anne": 0.1, "emily": -0.1}).evidence.set_index(["trained_on", "evaluated_on"])
    assert len(table) == 6
    assert table.loc[("all", "anne"), "gain"] == pytest.approx(0.1)
    assert table.loc[("emily", "anne"), "gain"] == pytest.approx(-0.3)
    assert table.loc[("anne", "anne"), "gain"] == 0
    assert table.loc[("anne", "emily"), "distance_bits"] == pytest.approx(0.2)


@pytest.mark.slow
def test_models_of_other_settings_are_not_held_against_each_other(tmp_path):
    gains = {"anne": 0.1, "emily": -0.1}
    table = ask(tmp_path / "run", gains, decays=(1.0, 0.5)).evidence.set_index(["trained_on", "evaluated_on"])
    assert table.loc[("all", "anne"), "gain"] == pytest.approx(0.1)


def test_one_seed_decides_nothing_and_says_so(tmp_path):
    answer = ask(tmp_path / "run", {"anne": 0.1, "emily": 0.1}, seeds=(0,), distances=False)
    assert answer.verdict == "not decided"
    assert "one seed, which gives no interval" in answer.answer
    assert any("n-grams" in sentence for sentence in answer.missing)


def test_without_figures_on_each_authors_text_it_is_not_answered(tmp_path):
    answer = ask(tmp_path / "run", {"anne": 0, "emily": 0}, with_transfer=False)
    assert not answer.answered
    assert "--authors each,all" in answer.missing[0]


def test_the_divergence_of_trigrams_is_that_of_the_definition():
    one, other = np.array([1, 1, 1, 2, 1], np.uint8), np.array([1, 1, 1, 1, 1], np.uint8)
    # Trigrams 111, 112, 121 a third each, against 111 alone.
    middle = (1 / 3 + 1) / 2
    expected = 0.5 * (1 / 3 * np.log2(1 / 3 / middle) + 2 / 3 * np.log2(2)) + 0.5 * np.log2(1 / middle)
    assert authors.jensen_shannon(one, other) == pytest.approx(expected)
    assert authors.jensen_shannon(one, one) == 0
    assert authors.jensen_shannon(one, other + 5) == 1


def test_a_second_mixture_of_the_authors_is_no_further_seed(tmp_path):
    trials = [
        trial("lstm", authors=who, seed=seed, corpus_digest=f"{who}{mix}", mix=mix)
        for who, mix in (*((each, "proportional") for each in AUTHORS), ("all", "equal"), ("all", "proportional"))
        for seed in (0, 1, 2)
    ]
    run = read_run(
        make_folder(tmp_path / "run", trials, lambda ledger: [finish(ledger, t, (9.0, 8.0)) for t in trials])
    )
    gains = {"equal": 0.1, "proportional": -5.0}
    rows = [
        {**row, "trained_on": row["authors"], "evaluated_on": author,
         "bits_per_char": 2.0 + NOISE[row["seed"]] * (1 + (row["authors"] == "all"))
         - (gains[row["mix"]] if row["authors"] == "all" else 0.0)}
        for row in records(run.trials) for author in AUTHORS
    ]  # fmt: skip
    answer = answer_of("deep-rnn-4", dataclasses.replace(run, transfer=pd.DataFrame(rows)))
    table = answer.evidence.set_index(["trained_on", "evaluated_on"])
    assert table.loc[("all", "anne"), "n"] == 3
    assert table.loc[("all", "anne"), "gain"] == pytest.approx(0.1)
    assert answer.verdict == "combining helps every author"


@pytest.mark.slow
def test_what_only_one_of_many_uncorrected_tests_finds_is_not_decided(tmp_path):
    # p = 0.03 alone is beyond chance, as one of two tests it is 0.06.
    shift = {0: 0.0, 1: 0.013, 2: 0.028}
    trials = [trial("lstm", authors=w, seed=s, corpus_digest=w) for w in (*AUTHORS, "all") for s in shift]
    run = read_run(make_folder(tmp_path / "run", trials, lambda led: [finish(led, t, (9.0, 8.0)) for t in trials]))
    rows = [
        {**row, "trained_on": row["authors"], "evaluated_on": author,
         "bits_per_char": 2.0 - (row["authors"] == "all") * (0.03 + shift[row["seed"]] if author == "anne"
                                                          else (-0.01, 0.012, 0.001)[row["seed"]])}
        for row in records(run.trials) for author in AUTHORS
    ]  # fmt: skip
    answer = answer_of("deep-rnn-4", dataclasses.replace(run, transfer=pd.DataFrame(rows)))
    anne = answer.evidence.set_index(["trained_on", "evaluated_on"]).loc[("all", "anne")]
    assert anne["gain_low"] > 0
    assert anne["p"] < 0.05 < anne["p_holm"]
    assert answer.verdict == "not decided"


def test_distances_are_tested_by_relabelling_authors():
    names = "abcde"
    generator = np.random.default_rng(0)
    pairs = pd.DataFrame([(x, y) for x in names for y in names if x != y], columns=["trained_on", "evaluated_on"])
    pairs["distance"] = generator.random(len(pairs))
    # The largest of 120 relabellings is the one that is there; the reverse order gives the opposite sign.
    rank, p_value = mantel(pairs.assign(cost=3 * pairs["distance"]), "distance", "cost")
    assert rank == pytest.approx(1)
    assert p_value == pytest.approx(1 / 120)
    assert mantel(pairs.assign(cost=-pairs["distance"]), "distance", "cost")[0] == pytest.approx(-1)
    assert mantel(pairs.assign(cost=generator.random(len(pairs))), "distance", "cost")[1] > 0.05
