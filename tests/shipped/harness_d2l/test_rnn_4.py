import math

import pytest
from invented_answers import ask, finish
from invented_runs import trial

SEEDS = (0, 1, 2)
TRIALS = [trial("gru", seed=seed) for seed in SEEDS]

BAD = {
    "gap": 0.3, "repetition": 0.8, "novelty": 0.9, "unseen": 0.01, "brackets": (0.9, 0.4), "exponent": 1.0,
    "spread": 0.2,
}  # fmt: skip
GOOD = {
    "gap": -0.3, "repetition": 0.01, "novelty": 0.1, "unseen": 0.0, "brackets": (0.4, 0.9), "exponent": -0.5,
    "spread": 0.0,
}  # fmt: skip
ALL = (
    "learning by heart, repetition when cold, invention when warm, unseen characters, open brackets, time by length "
    "and chance"
)


def measured(figures, *, probes=True):
    def record(ledger):
        for each in TRIALS:
            perplexity = 8.0 * (1 + figures["spread"] * each.seed)
            loss = math.log(perplexity)
            finish(ledger, each, (9.0, perplexity), train_loss=loss - figures["gap"] - 0.001 * each.seed)
        if not probes:
            return
        probed = TRIALS[0].trial_id
        written = {"repetition": 0.1, "novelty": 0.5}
        ledger.probed(
            probed,
            "generation",
            [(name, at, value, 0.02, 8) for name, real in written.items() for at, value in
             ((-1, real), (0, figures[name]), (1, figures[name]))],
        )  # fmt: skip
        ledger.probed(probed, "unseen", [("unseen_share", 0, figures["unseen"], 0.1, 5000)])
        near, far = figures["brackets"]
        ledger.probed(probed, "brackets", [("right_kind", 1, near, 0.1, 90), ("right_kind", 32, far, 0.1, 40)])
        ledger.probed(
            probed, "length", [("seconds", k, 0.001 * k ** figures["exponent"], 1e-5, 3) for k in (8, 16, 32, 64)]
        )

    return record


@pytest.mark.slow
@pytest.mark.parametrize(
    ("figures", "verdict"),
    [(BAD, f"shown: {ALL}"), (GOOD, f"no problem is shown; not there: {ALL}")],
    ids=["bad", "good"],
)
def test_the_verdict_follows_the_numbers(tmp_path, figures, verdict):
    answer = ask("rnn-4", tmp_path / "run", TRIALS, measured(figures))
    assert answer.verdict == verdict
    assert answer.missing == ()
    assert answer.figure is not None


@pytest.mark.slow
def test_figures_that_do_not_decide_are_counted_as_open(tmp_path):
    even = BAD | {"gap": 0.0005, "repetition": 0.1, "novelty": 0.5, "brackets": (0.5, 0.5)}
    answer = ask("rnn-4", tmp_path / "run", TRIALS, measured(even))
    undecided = answer.evidence.loc[answer.evidence["shown"] == "not decided", "problem"]
    assert list(undecided) == ["learning by heart", "repetition when cold", "invention when warm", "open brackets"]
    assert answer.verdict.endswith("; 4 not decided")


@pytest.mark.slow
def test_without_probes_it_tells_gap_and_spread_and_what_is_missing(tmp_path):
    answer = ask("rnn-4", tmp_path / "run", TRIALS, measured(BAD, probes=False))
    assert answer.verdict == "shown: learning by heart and chance"
    wanted = ("several temperatures", "against the training text", "never saw", "brackets or quotes", "the length")
    for sentence, words in zip(answer.missing, wanted, strict=True):
        assert words in sentence


@pytest.mark.slow
def test_one_seed_leaves_the_gap_undecided_and_chance_missing(tmp_path):
    answer = ask("rnn-4", tmp_path / "run", TRIALS[:1], lambda ledger: finish(ledger, TRIALS[0], (9, 8)))
    assert answer.verdict == "not decided"
    assert "is not decided in any kind of model" in answer.answer
    assert "no interval: too few observations) bits a token (n = 1 seed)" in answer.answer
    assert any("--seeds 3" in sentence for sentence in answer.missing)


@pytest.mark.slow
def test_the_gap_is_judged_over_all_kinds_of_model_corrected(tmp_path):
    others = [trial("lstm", seed=seed) for seed in SEEDS]

    def record(ledger):
        measured(GOOD, probes=False)(ledger)
        for each in others:
            finish(ledger, each, (9.0, 8.0), train_loss=math.log(8.0) - 0.5 - 0.001 * each.seed)

    answer = ask("rnn-4", tmp_path / "run", [*TRIALS, *others], record)
    assert answer.verdict.startswith("shown: learning by heart")
    assert "in 1 of 2 kinds of model beyond chance, after Holm's correction" in answer.answer
    assert "most in lstm, 1 layer, 3 epochs of" in answer.answer


@pytest.mark.slow
def test_repetition_and_novelty_are_told_over_temperature_and_quotes_over_distance(tmp_path):
    quoting = trial("gru", text="raw", corpus_digest="raw")
    nested = trial("gru", corpus="brackets", corpus_digest="brackets")

    def record(ledger):
        measured(BAD)(ledger)
        for each in (quoting, nested):
            finish(ledger, each, (9.0, 8.0))
        ledger.probed(
            nested.trial_id, "brackets", [("right_kind", 1, 0.9, 0.1, 900), ("right_kind", 32, 0.4, 0.1, 400)]
        )
        ledger.probed(quoting.trial_id, "brackets", [("closing", 8, 0.04, 0.01, 9), ("closing", 64, 0.19, 0.01, 16)])

    answer = ask("rnn-4", tmp_path / "run", [*TRIALS, quoting, nested], record).answer
    assert "from 80% at temperature 0 to 80% at temperature 1 of its passages repeat" in answer
    assert "in bronte's quotes the due closing one gets 0.04 (0.03 to 0.05) at 8 and 0.19" in answer
    assert "exponent 1.00" in answer


@pytest.mark.slow
def test_what_one_seed_writes_is_not_taken_for_what_all_write(tmp_path):
    def writing(shares):
        def record(ledger):
            for each, share in zip(TRIALS, shares, strict=True):
                finish(ledger, each, (9.0, 8.0))
                rows = [("repetition", at, value, 0.02, 8) for at, value in ((-1, 0.1), (0, share), (1, share))]
                ledger.probed(each.trial_id, "generation", rows)

        return record

    alike = ask("rnn-4", tmp_path / "run", TRIALS, writing((0.8, 0.85, 0.9)))
    assert "repetition when cold" in alike.verdict
    assert "(n = 8 texts by each of 3 seeds)" in alike.answer
    apart = ask("rnn-4", tmp_path / "run2", TRIALS, writing((0.9, 0.1, 0.1)))
    assert "repetition when cold" not in apart.verdict


@pytest.mark.slow
def test_what_never_learnt_its_text_has_no_such_problem(tmp_path):
    ruined = [trial("lstm", seed=seed, grad_clip=0.0) for seed in SEEDS]

    def record(ledger):
        measured(BAD, probes=False)(ledger)
        for each in ruined:
            finish(ledger, each, (9.0, 1e9), train_loss=15.0 + each.seed)

    beside = ask("rnn-4", tmp_path / "run", [*TRIALS, *ruined], record)
    alone = ask("rnn-4", tmp_path / "run2", TRIALS, measured(BAD, probes=False))
    assert beside.answer == alone.answer
