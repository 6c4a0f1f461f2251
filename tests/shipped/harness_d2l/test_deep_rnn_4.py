import dataclasses
import re

import numpy as np
import pandas as pd
import pytest
from invented_answers import answer as answer_of
from invented_answers import finish
from invented_runs import make_folder, trial

from harness.analysis.frames import records
from harness.analysis.statistics import holm
from harness.report import read_run
from harness_d2l import authors
from harness_d2l.authors import mantel

SIZES = {"anne": 200_000, "emily": 100_000}
NOISE = (0.004, -0.006, 0.002)


def models(seeds=(0, 1, 2), **changes):
    """Each author's whole text in 12 epochs, both together in as many, in as many updates as each, and mixed."""
    plans = [(who, size, 12, "proportional") for who, size in SIZES.items()]
    plans += [("all", 300_000, epochs, "proportional") for epochs in (12, 8, 4)]
    plans += [("all", 200_000, 6, "equal"), ("anne", 100_000, 12, "proportional"), ("all", 100_000, 12, "equal")]
    return [
        trial("gru", authors=who, train_tokens=size, num_epochs=epochs, mix=mix, seed=seed,
              corpus_digest=f"{who}{size}{mix}", **changes)
        for who, size, epochs, mix in plans
        for seed in seeds
    ]  # fmt: skip


def role_of(row, author):
    """Return which of the models a row is of, as its evaluated author sees it."""
    if row["authors"] == author:
        return "own"
    if row["authors"] != "all":
        return "foreign"
    return {(300_000, 12): "epochs", (100_000, 12): "mixed", (200_000, 6): "equal"}.get(
        (row["train_tokens"], row["num_epochs"]), "updates"
    )


def ask(folder, gains, trials=None, *, distances=True, noise=NOISE, words=None, texts=None):
    """Answer a run whose models gain so many bits over one's own, by (role, author) or by role alone."""
    trials = models() if trials is None else trials

    def record(ledger):
        for each in trials:
            finish(ledger, each, (9.0, 8.0))
        for each in trials[: 2 * 3 : 3] if distances else ():
            rows = [(other, 3.0, 0.05 if other == each.authors else 0.2, np.nan, 100) for other in SIZES]
            ledger.probed(each.trial_id, authors.PROBE, rows)

        for each in trials if words else ():
            for author in SIZES:
                role = role_of(vars(each), author)
                bits = [
                    (f"{kind} words of {author}", 0.0, 3.0 + words.get((role, kind), 0.0) + noise[each.seed] *
                     (1 + (each.authors == "all")), 1.0, letters)
                    for kind, letters in (("own", 100), ("shared", 900))
                ]  # fmt: skip
                ledger.probed(each.trial_id, f"own_words {author}", bits)

    run = read_run(make_folder(folder, trials, record))
    rows = []
    for row in records(run.trials):
        for author in SIZES if row["corpus"] != "verne" else ("jules",):
            role = role_of(row, author)
            gain = gains.get((role, author), gains.get(role, 0.0))
            bits = 2.0 - gain + noise[row["seed"]] * (1 + (row["authors"] == "all") + (role == "equal"))
            rows.append({**row, "trained_on": row["authors"], "evaluated_on": author, "bits_per_char": bits})
    return answer_of("deep-rnn-4", dataclasses.replace(run, transfer=pd.DataFrame(rows), texts=texts or {}))


EPOCHS, UPDATES, MIXED = (
    "adding others' texts to all of one's own, as many epochs",
    "as many updates",
    "mixing at a fixed budget",
)


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [
        (
            {"epochs": 0.2, "updates": 0.1, "mixed": -0.1},
            f"{EPOCHS}: helps every author; {UPDATES}: helps every author; {MIXED}: harms every author",
        ),
        (
            {"epochs": -0.2, "updates": -0.1, "mixed": 0.1},
            f"{EPOCHS}: harms every author; {UPDATES}: harms every author; {MIXED}: helps every author",
        ),
        (
            {("epochs", "anne"): 0.1, ("epochs", "emily"): -0.1, ("updates", "anne"): 0.1},
            f"{EPOCHS}: helps anne and harms emily; {UPDATES}: helps anne and makes no difference to emily; "
            f"{MIXED}: makes no difference to every author",
        ),
    ],
    ids=["helps", "harms", "differs"],
)
def test_the_verdict_follows_the_numbers(tmp_path, gains, verdict):
    answer = ask(tmp_path / "run", gains)
    assert answer.verdict == verdict
    assert answer.answer.lower().startswith(verdict.lower())
    assert answer.figure is not None


def test_what_scatters_is_not_decided(tmp_path):
    verdict = ask(tmp_path / "run", {}, noise=(0.1, -0.12, 0.05)).verdict
    assert verdict == f"{EPOCHS}: not decided; {UPDATES}: not decided; {MIXED}: not decided"


def rows_of(answer, test):
    return answer.evidence[answer.evidence["test"] == test].set_index(["trained_on", "evaluated_on"])


def test_each_question_has_its_own_pairs_over_seeds(tmp_path):
    answer = ask(tmp_path / "run", {"epochs": 0.2, "updates": 0.1, "mixed": -0.1, "foreign": -0.3, "equal": 0.05})
    table = rows_of(answer, "added, as many updates")
    assert table["role"].tolist() == ["primary"] * 2
    assert table["difference"].tolist() == pytest.approx([-0.1, -0.1])
    # 12 epochs of 200,000 and 100,000 tokens are 8 and 4 of 300,000.
    assert table["epochs"].to_dict() == {("all", "anne"): 8, ("all", "emily"): 4}
    assert rows_of(answer, "added, as many epochs")["difference"].tolist() == pytest.approx([-0.2, -0.2])
    mixed = rows_of(answer, "mixed, same budget")
    assert (mixed["role"].tolist(), mixed["tokens_beside"].tolist()) == (["secondary"] * 2, [100_000] * 2)
    assert mixed["difference"].tolist() == pytest.approx([0.1, 0.1])
    foreign = rows_of(answer, "another's instead")
    assert foreign["difference"].to_dict() == pytest.approx({("anne", "emily"): 0.3, ("emily", "anne"): 0.3})
    assert foreign.loc[("anne", "emily"), "distance_bits"] == pytest.approx(0.2)
    assert set(answer.evidence["n"]) == {3}


@pytest.mark.parametrize(
    ("equal", "words"),
    [(0.2, "a small author drowns in it"), (0.0, "a small author gains by it"), (0.1, "a small author is the same")],
)
def test_a_small_author_in_a_large_mixture_is_measured(tmp_path, equal, words):
    answer = ask(tmp_path / "run", {"updates": 0.1, "equal": equal})
    assert words in answer.answer
    # Of the larger author an equal mixture leaves text out: that is another question.
    assert list(rows_of(answer, "proportional beside equal mix").index) == [("all", "emily")]


@pytest.mark.parametrize(
    ("own", "words"),
    [(0.2, "they go wrong for anne and emily"), (-0.2, "they are not shown to go wrong")],
)
def test_names_and_spellings_are_measured_on_words_of_the_author_alone(tmp_path, own, words):
    probed = {("epochs", "own"): own, ("epochs", "shared"): -0.1}
    answer = ask(tmp_path / "run", {"epochs": 0.1}, words=probed)
    assert words in answer.answer
    assert "for anne (10.0% of the letters; all others -0.100" in answer.answer
    rows = rows_of(answer, "added: words only this author uses")
    assert rows["role"].tolist() == ["secondary"] * 2
    assert rows["difference"].tolist() == pytest.approx([own, own])


def test_the_primary_tests_alone_are_corrected_together(tmp_path):
    answer = ask(tmp_path / "run", {"epochs": 0.01, "updates": 0.01})
    primary = answer.evidence[answer.evidence["role"] == "primary"]
    assert len(primary) == 4
    assert primary["p_corrected"].tolist() == pytest.approx(holm(primary["p"]).tolist())


def test_what_only_one_of_many_uncorrected_tests_shows_is_not_decided(tmp_path):
    # Of the noise alone p is 0.03 with a shift of 0.011, and 0.12 as one of four.
    answer = ask(tmp_path / "run", {("epochs", "anne"): 0.017}, noise=(0.004, -0.006, 0.002))
    row = rows_of(answer, "added, as many epochs").loc[("all", "anne")]
    assert row["p"] < 0.05 < row["p_corrected"]
    assert row["difference_high"] < 0
    assert row["verdict"] != "different"
    assert "helps" not in answer.verdict


def test_models_of_other_settings_are_not_held_against_each_other(tmp_path):
    trials = [*models(), *models(num_hiddens=512)[6:]]
    answer = ask(tmp_path / "run", {"epochs": 0.2, "updates": 0.1}, trials)
    assert set(answer.evidence["n"]) == {3}


def test_how_far_it_depends_on_the_text_is_said_for_each_author(tmp_path):
    generator = np.random.default_rng(3)
    passages = {author: generator.normal(2.0, 0.3, 60) for author in SIZES}

    def blocks(trial_id, author, gain):
        return np.column_stack([np.full(60, 500.0), passages[author] - gain + generator.normal(0, 0.01, 60)])

    texts = {}
    for each in models():
        gain = 0.2 if (each.authors, each.num_epochs, each.train_tokens) == ("all", 12, 300_000) else 0.0
        texts[each.trial_id, "test"] = {author: blocks(each.trial_id, author, gain) for author in SIZES}
    answer = ask(tmp_path / "run", {"epochs": 0.2, "updates": 0.1}, texts=texts).answer
    said = re.search(
        r"Over other texts of the same author, adding others' texts to all of one's own, as many epochs: "
        r"the loss changes by (.*) nats a token, over blocks of the test text",
        answer,
    )
    assert said
    # The passages' own spread of 0.3 is in neither: both models read the same ones.
    bounds = re.findall(r"(-\S+) \((-\S+) to (-\S+)\) for (\w+)", said[1])
    assert [author for *_, author in bounds] == list(SIZES)
    for value, low, high, _ in bounds:
        assert float(value) == pytest.approx(-0.2, abs=0.01)
        assert -0.21 < float(low) < float(high) < -0.19


def test_authors_of_another_text_of_the_run_change_no_share_of_this_one(tmp_path):
    gains = {"epochs": 0.2, "updates": 0.1, "mixed": -0.1}
    others = [trial("gru", corpus="verne", authors="jules", num_hiddens=64, seed=seed) for seed in (0, 1)]
    alone = ask(tmp_path / "alone", gains)
    beside = ask(tmp_path / "beside", gains, [*models(), *others])
    assert beside.verdict == alone.verdict
    assert beside.answer == alone.answer
    pd.testing.assert_frame_equal(beside.evidence, alone.evidence)


def test_without_other_texts_added_in_full_it_says_so_and_still_answers_the_rest(tmp_path):
    cut = [each for each in models() if each.train_tokens == 100_000]
    answer = ask(tmp_path / "run", {"mixed": -0.1}, cut)
    assert answer.verdict == "mixing at a fixed budget: harms every author"
    assert "Whether to add others' texts to all of one's own was not asked" in answer.answer
    assert sum("in full" in sentence for sentence in answer.missing) == 2


def test_one_seed_decides_nothing_and_says_so(tmp_path):
    answer = ask(tmp_path / "run", {"epochs": 0.1}, models(seeds=(0,)), distances=False)
    assert "not decided" in answer.verdict
    assert "helps" not in answer.verdict
    assert "one seed, which gives no interval" in answer.answer
    assert any("n-grams" in sentence for sentence in answer.missing)


def test_without_figures_on_each_authors_text_it_is_not_answered(tmp_path):
    run = read_run(make_folder(tmp_path / "run", models(), lambda led: [finish(led, t, (9.0,)) for t in models()]))
    answer = answer_of("deep-rnn-4", run)
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
