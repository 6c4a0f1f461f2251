import pytest
from invented_runs import begin, epoch, finish, trial

from harness.analysis.frames import read_run
from harness.analysis.one_text import compare
from harness.record.parity import Certificate
from harness.report.findings import caveat, findings, title
from harness.report.ranking import ranking

STEADY = tuple((1000, 0.1) for _ in range(10))
SHAKY = tuple((1000, 0.103 + 0.004 * (i - 5)) for i in range(10))
SLOW = tuple((1000, 0.2) for _ in range(10))


@pytest.fixture
def compared(build_run):
    """Return a function that runs trials to their end and compares them."""

    def compare_finished(*finished):
        folder = build_run(
            [each for each, *_ in finished],
            lambda ledger: [
                finish(ledger, each, (value,), **({"blocks": rest[0]} if rest else {}))
                for each, value, *rest in finished
            ],
        )
        (comparison,) = compare(read_run(folder))
        return comparison

    return compare_finished


def said(comparison):
    return {
        finding.name: (
            finding.value.replace("\u202f", " "),
            finding.detail.replace("\u00a0", " ").replace("\u202f", " "),
        )
        for finding in findings(comparison)
    }


@pytest.mark.parametrize(
    ("planned", "worded"),
    [
        ([], "A run without trials"),
        ([trial()], "lstm, 1 layer, on bronte"),
        (
            [trial(cell, depth) for cell in ("lstm", "gru") for depth in (1, 2, 3, 4)],
            "lstm and gru, 1–4 layers, on bronte",
        ),
        (
            [trial(backend="torch"), trial(num_layers=2, corpus="homer")],
            "lstm, 1 and 2 layers, with torch and numpy, on bronte and homer",
        ),
    ],
)
def test_the_title_says_what_is_compared(build_run, planned, worded):
    assert ", ".join(title(read_run(build_run(planned)).trials)) == worded


def test_the_best_is_the_lowest_validation_perplexity(compared):
    comparison = compared((trial("lstm"), 8.0), (trial("gru", 2), 7.5))
    assert said(comparison)["Lowest validation perplexity"] == ("7.500", "gru · 2 layers")


def test_what_reads_the_same_is_a_tie(compared):
    comparison = compared((trial("lstm"), 7.50012), (trial("gru"), 7.49993), (trial("rnn"), 9.0))
    assert said(comparison)["Lowest validation perplexity"] == ("7.500", "gru · 1 layer and lstm · 1 layer tie")
    assert list(comparison.ranked["rank"]) == [1, 1, 3]


def test_the_fastest_is_named_with_its_interval(compared):
    comparison = compared((trial("lstm"), 8.0, STEADY), (trial("gru"), 8.0, SLOW))
    assert said(comparison)["Fastest training"] == (
        "10.0 k tokens/s",
        "lstm · 1 layer (95 % interval 10.0 k to 10.0 k)",
    )


def test_a_rival_whose_interval_overlaps_is_named(compared):
    comparison = compared((trial("lstm"), 8.0, SHAKY), (trial("gru"), 8.0, STEADY), (trial("rnn"), 8.0, SLOW))
    detail = said(comparison)["Fastest training"][1]
    assert detail.startswith("gru · 1 layer (")
    assert detail.endswith("; lstm · 1 layer may be as fast: the intervals overlap")


def test_equal_speeds_tie(compared):
    comparison = compared((trial("lstm"), 8.0, STEADY), (trial("gru"), 8.0, STEADY))
    assert said(comparison)["Fastest training"][1].startswith("lstm · 1 layer and gru · 1 layer tie")


@pytest.mark.slow
def test_the_baseline_counts_who_is_below_it(compared):
    comparison = compared((trial("lstm"), 8.0), (trial("gru"), 18.0))
    assert said(comparison)["Unigram baseline"] == ("17.250", "1 of 2 ranked trials below it")


def test_one_seed_is_said_to_be_one(compared):
    comparison = compared((trial("lstm"), 8.0), (trial("gru"), 7.0))
    assert "one seed" in caveat(comparison)
    assert "Lowest mean perplexity" not in said(comparison)


@pytest.mark.slow
def test_several_seeds_give_a_mean_and_name_the_models_that_may_be_as_good(compared):
    seeds = [(trial("lstm", seed=seed), 7.0 + 0.1 * seed) for seed in range(3)]
    near = [(trial("gru", seed=seed), 7.1 + 0.1 * seed) for seed in range(3)]
    far = [(trial("rnn", seed=seed), 12.0 + 0.1 * seed) for seed in range(3)]
    comparison = compared(*seeds, *near, *far)
    value, detail = said(comparison)["Lowest mean perplexity"]
    assert value == "7.100"
    assert detail.startswith("lstm · 1 layer, over 3 seeds (95 % interval 6.852 to 7.348)")
    assert "gru · 1 layer may be as good" in detail
    assert "rnn" not in detail
    assert caveat(comparison) == ""


def test_nothing_is_found_where_nothing_has_finished(build_run):
    (comparison,) = compare(read_run(build_run([trial()], lambda ledger: begin(ledger, trial(), [epoch(1)]))))
    assert findings(comparison) == []
    assert "nothing to rank" in caveat(comparison)


def test_only_finished_trials_are_ranked(build_run):
    failed, diverged, done = trial("gru"), trial("rnn"), trial("lstm")

    def record(ledger):
        for each, status in ((failed, "failed"), (diverged, "diverged")):
            begin(ledger, each, [epoch(1, 2.0)])
            ledger.ended(each.trial_id, status, "It broke.")
        finish(ledger, done, (9.0,))

    (comparison,) = compare(read_run(build_run([failed, diverged, done], record)))
    assert list(comparison.ranked["cell"]) == ["lstm"]
    assert list(comparison.unranked["cell"]) == ["gru", "rnn"]


def test_texts_are_not_compared_with_each_other(build_run):
    planned = [trial(), trial(corpus="homer"), trial(authors="anne"), trial(tokens="word"), trial("gru")]
    run = read_run(build_run(planned, lambda ledger: [finish(ledger, each) for each in planned]))
    assert [list(comparison.trials["cell"]) for comparison in compare(run)] == [
        ["lstm", "gru"],
        ["lstm"],
        ["lstm"],
        ["lstm"],
    ]


def test_where_parity_was_checked_a_trial_without_a_certificate_is_not_ranked(build_run):
    planned = [trial(), trial("gru"), trial("rnn")]

    def record(ledger):
        for each, facts in zip(planned, [(True, 2e-7), (False, 0.031), None], strict=True):
            finish(ledger, each)
            if facts:
                ledger.certified(
                    each.trial_id, Certificate(parity_certified=facts[0], parity_max_rel_diff=facts[1], parity_steps=5)
                )

    (comparison,) = compare(read_run(build_run(planned, record)))
    assert list(comparison.ranked["cell"]) == ["lstm"]
    table = ranking(comparison, 10)
    assert [row.reason for row in table.unranked] == [
        "Without a parity certificate: its first steps differ from the reference by up to 3.1e-02 of its figures.",
        "Without a parity certificate: its first steps were not compared with the reference.",
    ]
    assert "2.0e-07" in [cell.text for cell in table.ranked[0]]


def test_the_figure_of_a_protocol_that_reports_training_perplexity_comes_first(compared):
    comparison = compared((trial(), 6.0), (trial(cell="gru"), 7.0))
    first = findings(comparison, "train_perplexity")[0]
    assert first.name == "Lowest training perplexity"
    assert first.detail.endswith("the figure this experiment's source reports")
    best = comparison.ranked.sort_values("train_perplexity").iloc[0]
    assert first.detail.startswith(best["label"])
    assert "training" not in findings(comparison)[0].name


@pytest.mark.parametrize(
    ("names", "worded"),
    [
        (("bronte", "bronte:agnes-grey", "bronte:jane-eyre"), "on bronte"),
        (("bronte:agnes-grey", "bronte:jane-eyre"), "on bronte:agnes-grey and bronte:jane-eyre"),
    ],
)
def test_the_title_names_a_corpus_of_many_selections_once(build_run, names, worded):
    planned = [trial("lstm", corpus=name) for name in names]
    assert title(read_run(build_run(planned)).trials)[-1] == worded


def test_a_long_detail_is_brief_first_and_stands_whole_beside_it(compared):
    settings = {"backend": "torch", "num_hiddens": 64, "optimizer": "adam", "learning_rate": 0.003, "dropout": 0.25}
    best = [(trial(seed=seed, **settings), 7.0 + 0.1 * seed) for seed in range(3)]
    near = [(trial("gru", seed=seed), 7.1 + 0.1 * seed) for seed in range(3)]
    (found,) = (each for each in findings(compared(*best, *near)) if each.name == "Lowest mean perplexity")
    brief = found.detail.replace("\u00a0", " ")
    assert brief == "lstm · 1 layer · …, over 3 seeds (95 % interval 6.852 to 7.348); 1 other model may be as good"
    whole = found.whole.replace("\u00a0", " ")
    assert whole.startswith("lstm · 1 layer · torch · 64 hiddens · adam · learning rate 0.003 · dropout 0.25, over")
    assert "gru · 1 layer" in whole
    assert whole.endswith("may be as good: the intervals overlap")
