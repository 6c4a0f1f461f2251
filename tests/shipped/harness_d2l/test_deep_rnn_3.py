import numpy as np
import pytest
from invented_answers import ask, finish
from invented_runs import evaluate, trial

from harness.analysis import learning_curves
from harness.worker.trial import BASELINE, NO_BACKEND

# Each answer fits a curve some hundred times.
pytestmark = pytest.mark.slow

SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
NOISE = (0.01, -0.015, 0.005)


@pytest.fixture(autouse=True)
def _fewer_resamples(monkeypatch):
    """Each is a fit, and a fifth of them bounds the floor as well."""
    monkeypatch.setattr(learning_curves, "_RESAMPLES", 60)


def grid(seeds=(0, 1, 2), sizes=SIZES):
    return [trial("lstm", train_tokens=size, seed=seed, corpus_digest=str(size)) for size in sizes for seed in seeds]


def baseline(size=1_000_000):
    return trial("ngram-5", 0, train_tokens=size, backend=NO_BACKEND, implementation=BASELINE, corpus_digest=str(size))


def curve(bits_of, baseline_bits=None, trials=None):
    def record(ledger):
        for each in trials or grid():
            bits = bits_of(each.train_tokens) + NOISE[each.seed]
            finish(ledger, each, (2 ** (bits + 0.3), 2**bits, 2 ** (bits + 0.1)), valid_bits_per_char=bits + 0.1)
        if baseline_bits is not None:
            finish(ledger, baseline(), (2**baseline_bits,), valid_bits_per_char=baseline_bits)

    return record


def law(size):
    return 1.9 + 1.1 * (size / 1e5) ** -0.4


@pytest.mark.parametrize(
    ("bits_of", "baseline_bits", "verdict"),
    [
        (
            law,
            3.0,
            "more text helps: 5.06 on the largest text; below the best baseline; floor about 1.90 bits per character",
        ),
        (
            lambda size: 5 - law(size),
            1.0,
            "more text harms: 6.33 on the largest text; above the best baseline; floor not decided",
        ),
        (lambda _: 2.0, 2.0, "more text makes no difference: 4.00 on the largest text; not to be told from"),
    ],
    ids=["helps", "harms", "nothing"],
)
def test_the_verdict_follows_the_numbers(tmp_path, bits_of, baseline_bits, verdict):
    answer = ask("deep-rnn-3", tmp_path / "run", [*grid(), baseline()], curve(bits_of, baseline_bits))
    assert answer.verdict.startswith(verdict)
    assert answer.figure is not None


SHELVES = ("bronte:jane-eyre", "bronte:jane-eyre+wuthering-heights", "bronte:agnes-grey+jane-eyre+wuthering-heights")


def ask_of_books(folder, bits_of, seeds=(0, 1, 2), tokens_of=lambda _: 1_000):
    """Answer a run whose models of so many books reach these bits on Charlotte's text, and what not on Emily's."""
    books = [
        trial("gru", corpus=shelf, train_tokens=100_000 * number, seed=seed, corpus_digest=shelf)
        for number, shelf in enumerate(SHELVES, 1)
        for seed in seeds
    ]

    def record(ledger):
        curve(law)(ledger)
        for each in books:
            number = each.corpus.count("+") + 1
            finish(ledger, each, (9.0, 8.0))
            bits = bits_of(number) + NOISE[each.seed] * number
            evaluate(ledger, each, {"Charlotte": 2**bits}, num_tokens=tokens_of(number))
            if number > 1:
                evaluate(ledger, each, {"Emily": 2**1.5})

    return ask("deep-rnn-3", folder, [*grid(), *books], record)


@pytest.mark.parametrize(
    ("bits_of", "verdict"),
    [
        (lambda number: 2.5 - 0.1 * number, "more books help"),
        (lambda number: 2.5 + 0.1 * number, "more books harm"),
        (lambda _: 2.5, "whether more books help is not decided"),
    ],
    ids=["help", "harm", "nothing"],
)
def test_what_more_books_give_follows_the_numbers(tmp_path, bits_of, verdict):
    answer = ask_of_books(tmp_path / "run", bits_of)
    assert f"; {verdict};" in answer.verdict
    assert "3 passes over 1, 2 and 3 books of bronte (3 seeds)" in answer.answer
    assert "the same held-out text of Charlotte" in answer.answer
    table = answer.evidence[answer.evidence["model"].str.endswith("whole books")].set_index("train_tokens")
    assert table["bits_per_char"].to_dict() == pytest.approx({1e5 * number: bits_of(number) for number in (1, 2, 3)})
    assert table["n"].tolist() == [3, 3, 3]
    assert (table["bits_low"] < table["bits_high"]).all()
    assert "gru\u00a0· 1 layer, whole books" in answer.figure.series
    assert not any("whole book" in sentence for sentence in answer.missing)


def test_books_are_compared_on_one_held_out_text_only(tmp_path):
    # With each further book Charlotte's part is another one, as where the book is hers too; Emily's is the same.
    answer = ask_of_books(tmp_path / "run", lambda _: 2.5, tokens_of=lambda number: 1_000 * number)
    assert "3 passes over 2 and 3 books of bronte" in answer.answer
    assert "the same held-out text of Emily" in answer.answer


def test_one_seed_of_books_decides_nothing(tmp_path):
    answer = ask_of_books(tmp_path / "run", lambda number: 2.5 - number, seeds=(0,))
    assert "whether more books help is not decided" in answer.verdict
    assert "one seed, which gives no interval), all asked" in answer.answer


def test_without_books_it_says_how_to_add_them(tmp_path):
    answer = ask("deep-rnn-3", tmp_path / "run", grid(), curve(law))
    assert any("--corpus bronte:jane-eyre,bronte:jane-eyre+wuthering" in sentence for sentence in answer.missing)


def test_the_best_epoch_counts_and_the_fit_finds_the_law(tmp_path):
    answer = ask("deep-rnn-3", tmp_path / "run", grid(), curve(law))
    table = answer.evidence.set_index(["model", "train_tokens"])
    assert table.loc[("lstm\u00a0· 1 layer", 1e6), "bits_per_char"] == pytest.approx(law(1e6), abs=1e-6)
    floor = answer.evidence[answer.evidence["model"] == "fitted floor"].iloc[0]
    assert floor["bits_low"] < 1.9 < floor["bits_high"]
    assert "about that far it may be trusted" in answer.answer
    assert any("missing: baselines" in sentence for sentence in answer.missing)


def test_a_curve_that_breaks_off_is_not_to_be_trusted(tmp_path):
    answer = ask("deep-rnn-3", tmp_path / "run", grid(), curve(lambda size: law(size) + 0.5 * (size == SIZES[-1])))
    assert "bits too low" in answer.answer
    assert "it is not to be trusted" in answer.answer


def test_a_floor_of_models_that_still_learn_is_not_the_text_s(tmp_path):
    def record(ledger):
        for each in grid():
            bits = law(each.train_tokens) + NOISE[each.seed]
            finish(ledger, each, (2 ** (bits + 0.3), 2**bits), valid_bits_per_char=bits)
        finish(ledger, baseline(), (2**1.5,), valid_bits_per_char=1.5)

    answer = ask("deep-rnn-3", tmp_path / "run", [*grid(), baseline()], record)
    assert answer.verdict.endswith("floor not decided")
    assert "they were still learning" in answer.answer
    assert "no floor of the text, but of this model" in answer.answer


def test_one_seed_has_no_interval_and_decides_nothing(tmp_path):
    trials = grid(seeds=(0,))
    answer = ask("deep-rnn-3", tmp_path / "run", trials, curve(law, trials=trials))
    assert answer.verdict.startswith("whether more text helps is not decided")
    assert answer.verdict.endswith("floor not decided")
    assert np.isnan(answer.evidence["bits_low"]).all()
    assert "one seed, which gives no interval" in answer.answer


def test_two_sizes_are_told_but_not_fitted(tmp_path):
    trials = grid(sizes=SIZES[:2])
    answer = ask("deep-rnn-3", tmp_path / "run", trials, curve(law, trials=trials))
    assert "No curve is fitted: that takes 4 sizes." in answer.answer


def test_one_size_answers_nothing(tmp_path):
    trials = grid(sizes=SIZES[:1])
    assert not ask("deep-rnn-3", tmp_path / "run", trials, curve(law, trials=trials)).answered


def stopped_early(epochs_of):
    """Record models that were still learning in their last epoch, after so many epochs of each size."""

    def record(ledger):
        for each in grid():
            bits = [law(each.train_tokens) + 0.1 * left for left in reversed(range(epochs_of(each.train_tokens)))]
            noise = NOISE[each.seed]
            finish(ledger, each, [2 ** (value + noise) for value in bits], valid_bits_per_char=bits[-1] + noise)

    return record


def test_small_texts_that_were_trained_less_do_not_show_what_text_alone_gives(tmp_path):
    less = ask("deep-rnn-3", tmp_path / "less", grid(), stopped_early(lambda _: 2))
    assert less.verdict.startswith("more text with more training helps")
    assert "read fewer tokens in all and were still learning" in less.answer
    as_much = ask("deep-rnn-3", tmp_path / "as-much", grid(), stopped_early(lambda size: 1_000_000 // size))
    assert as_much.verdict.startswith("more text helps")
    assert "read fewer tokens" not in as_much.answer


def test_whole_books_are_the_largest_size_of_each_choice_and_grow(tmp_path):
    def ask_of(name, sizes_of):
        books = [
            trial("gru", corpus=shelf, train_tokens=size, seed=seed, corpus_digest=f"{shelf}{size}")
            for number, shelf in enumerate(SHELVES[:2], 1)
            for size in sizes_of(number)
            for seed in (0, 1, 2)
        ]

        def record(ledger):
            for each in books:
                finish(ledger, each, (9.0, 8.0))
                evaluate(ledger, each, {"Charlotte": 2 ** (2.5 - each.train_tokens / 1e6 + NOISE[each.seed])})

        return ask("deep-rnn-3", tmp_path / name, books, record)

    beside = ask_of("beside", lambda number: (2_000, 100_000 * number))
    assert "books of bronte" in beside.answer
    table = beside.evidence[beside.evidence["model"].str.endswith("whole books")]
    assert table["train_tokens"].tolist() == [100_000, 200_000]
    assert "books of bronte" not in ask_of("budget", lambda _: (2_000, 5_000)).answer
