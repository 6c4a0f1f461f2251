"""From the selection of texts to corpora: what a run says of them, and what its trials and manifest carry."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from built_in import built_in

from harness.errors import CorpusError
from harness.grid import plan as planning
from harness.grid.selection import select
from harness.report import read_run, tables
from harness.report.matrix import matrices
from harness.texts.reading import read_corpora
from harness.texts.selection import TextSelection
from harness.texts.split import Budget
from harness.texts.tokenised import TokenisedCorpus


@pytest.fixture
def books(here: Path) -> Path:
    """A folder of three authors: Ann and Ben wrote much, Cid little."""
    texts = {"ann/one": 900, "ann/two": 600, "ben/three": 1_200, "cid/four": 500}
    for place, (name, num_words) in enumerate(texts.items()):
        path = here / "shelf" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(" ".join(f"{chr(97 + place)}{'xyz'[i % 3]}{i:05}" for i in range(num_words)))
    return here / "shelf"


def read(*, budgets: tuple[Budget, ...] = (None,), **options: object) -> tuple[list[TokenisedCorpus], str]:
    remarks: list[str] = []
    texts = TextSelection(text="raw", train_tokens=budgets, **options)  # type: ignore[arg-type]
    return read_corpora(texts, built_in(), remarks.append), "".join(f"{remark}\n" for remark in remarks)


def test_nothing_is_said_of_one_choice_of_authors(books: Path) -> None:
    corpora, told = read(corpora=("shelf",))
    assert [(corpus.name, corpus.authors) for corpus in corpora] == [("shelf", "all")]
    assert told == ""


def test_authors_compared_have_equal_budgets_and_it_is_said(books: Path) -> None:
    corpora, told = read(corpora=("shelf",), authors=("each",), budgets=(100, None))
    whole = corpora[1].train_tokens
    assert [corpus.train_tokens for corpus in corpora] == [100, whole] * 3
    assert told == (
        f"The authors of shelf are compared on equal budgets: at most {whole:,} training tokens, what cid has; "
        "--author-budget full gives each all of its own.\n"
    )


def test_authors_in_full_are_cut_one_by_one_and_it_is_said_of_whom(books: Path) -> None:
    corpora, told = read(corpora=("shelf",), authors=("each",), author_budget="full", budgets=(5_000, None))
    tokens = {corpus.authors: corpus.train_tokens for corpus in corpora}
    assert tokens["ann"] > tokens["ben"] > 5_000 > tokens["cid"]
    assert told == (
        f"The text of cid in shelf has {tokens['cid']:,} tokens, fewer than the 5,000 of --train-tokens: all of them "
        "are used.\n"
    )


def test_a_budget_larger_than_the_text_is_said_and_cut(books: Path) -> None:
    (corpus,), told = read(corpora=("shelf:four",), budgets=(1_000_000,))
    assert told == (
        f"The training part of shelf:four has {corpus.train_tokens:,} tokens, fewer than the 1,000,000 of "
        "--train-tokens: all of them are used.\n"
    )


def test_a_budget_larger_than_what_the_smallest_author_has_is_said_too(books: Path) -> None:
    corpora, told = read(corpora=("shelf",), authors=("each",), budgets=(6_000,))
    assert {corpus.train_tokens for corpus in corpora} == {corpora[0].available_tokens}
    assert f"The authors compared of shelf have {corpora[0].available_tokens:,} tokens, fewer than the 6,000" in told


def test_a_text_that_stands_twice_is_said(books: Path) -> None:
    (books / "ann" / "copy.txt").write_text((books / "ben" / "three.txt").read_text()[-3_000:])
    (corpus,), told = read(corpora=("shelf",))
    assert corpus.duplicate_share > 0.2
    assert f"{corpus.duplicate_share:.1%} of the held-out passages of shelf (50 characters each) also stand in" in told


def test_several_corpora_and_books_are_read_each_with_its_authors(books: Path) -> None:
    corpora, _ = read(corpora=("shelf:four+one", "shelf"), authors=("cid", "all"))
    assert [(corpus.name, corpus.authors) for corpus in corpora] == [
        ("shelf:one+four", "cid"),
        ("shelf:one+four", "all"),
        ("shelf", "cid"),
        ("shelf", "all"),
    ]


def test_trials_say_who_trains_them_and_how_the_text_was_mixed(books: Path) -> None:
    corpora, _ = read(corpora=("shelf",), authors=("cid", "ann+ben"), mix="equal")
    small, _ = select({"plugins": "rnn,numpy", "hiddens": 8, "steps": 5, "batch-size": 4})
    trials = [planned.trial for planned in planning.plan_trials(small, built_in(), corpora).trials]
    assert [(trial.authors, trial.mix) for trial in trials] == [("cid", "proportional"), ("ann+ben", "equal")]


@pytest.mark.slow
def test_every_trial_is_evaluated_on_every_author_s_held_out_parts(
    prepare: Callable[..., Any], execute: Callable[..., Any], books: Path
) -> None:
    prepared = prepare("rnn,numpy", corpora=("shelf",), authors=("ann", "all"), epochs=1)
    trained = execute(prepared)
    assert trained.outcome.exit_code == 0
    result = read_run(trained.folder)
    assert [tuple(pair) for pair in result.transfer[["trained_on", "evaluated_on"]].to_numpy()] == [
        (trained_on, author) for trained_on in ("ann", "all") for author in ("ann", "ben", "cid")
    ]
    # What validates a trial trained on one author is that author's part; the last epoch has read the same tokens.
    alone = result.trials.set_index("authors").loc["ann"]
    (own,) = result.transfer.query("trained_on == 'ann' and evaluated_on == 'ann'").to_dict("records")
    for name in ("perplexity", "bits_per_char", "accuracy", "top5_accuracy"):
        assert own[name] == pytest.approx(alone[f"valid_{name}"], rel=1e-12)
    assert own["test_perplexity"] == pytest.approx(alone["test_perplexity"], rel=1e-12)
    assert result.trials["test_perplexity"].notna().all()


@pytest.mark.slow
def test_baselines_are_evaluated_on_every_author_too(train: Callable[..., Any], books: Path) -> None:
    trained = train("rnn,numpy,ngram-2,bz2", corpora=("shelf",), authors=("ann", "all"), epochs=1)
    assert trained.outcome.exit_code == 0
    result = read_run(trained.folder)
    assert len(result.transfer) == 3 * 2 * 3
    for cell in ("ngram-2", "bz2"):
        alone = result.trials.set_index(["cell", "authors"]).loc[cell, "ann"]
        own = result.transfer.set_index(["cell", "trained_on", "evaluated_on"]).loc[cell, "ann", "ann"]
        assert own["bits_per_char"] == pytest.approx(alone["valid_bits_per_char"], rel=1e-12)
        assert own["test_perplexity"] == pytest.approx(alone["test_perplexity"], rel=1e-12)
    (matrix,) = matrices(result)
    assert {model for model, *_ in matrix.rows} == {"rnn\u00a0· 1 layer", "ngram-2", "bz2"}
    assert len(matrix.rows) == 6


@pytest.mark.slow
def test_the_manifest_says_what_is_held_out_of_whom(train: Callable[..., object], books: Path) -> None:
    import json

    trained = train("rnn,numpy", corpora=("shelf",), epochs=1)
    (corpus,) = json.loads((trained.folder / "manifest.json").read_text())["corpora"]  # type: ignore[attr-defined]
    assert set(corpus["held_out_tokens"]) == {"ann", "ben", "cid"}
    assert corpus["held_out_tokens"]["cid"].keys() == {"valid", "test"}
    assert corpus["duplicate_share"] >= 0.0
    assert not [name for name in corpus if name.endswith("path")]


def test_letters_that_the_preparation_drops_are_said(here: Path) -> None:
    (here / "umlauts.txt").write_text("Der Bär läuft über die Brücke. " * 200)
    remarks: list[str] = []
    corpora = read_corpora(TextSelection(corpora=("umlauts.txt",)), built_in(), remarks.append)
    assert "16.7% of this text's letters are dropped; --text raw" in "".join(remarks)
    assert tables.losses([asdict(corpus) for corpus in corpora]) == [text for text in remarks if "dropped" in text]
    remarks.clear()
    read_corpora(TextSelection(corpora=("umlauts.txt",), text="raw"), built_in(), remarks.append)
    assert not any("dropped" in remark for remark in remarks)


@pytest.mark.parametrize(
    ("tokens", "content", "words"),
    [
        ("char", "Ünser König sprach zum Volk. ", 3),
        ("word", "Ünser König sprach zum Volk. ", 3),
        ("char", "天地玄黄宇宙洪荒", 1),
    ],
)
def test_samples_begin_with_the_text_s_own_words(here: Path, tokens: str, content: str, words: int) -> None:
    (here / "own.txt").write_text(content * 600)
    (corpus,) = read_corpora(TextSelection(corpora=("own.txt",), text="raw", tokens=tokens), built_in(), print)
    assert corpus.prefix in content * 3
    assert len(corpus.prefix.split()) == words


def test_samples_of_the_book_s_text_begin_as_the_book_s_do(here: Path) -> None:
    (here / "own.txt").write_text("said the time traveller to us " * 600)
    (corpus,) = read_corpora(TextSelection(corpora=("own.txt",)), built_in(), print)
    assert corpus.prefix == "time traveller"


def test_a_text_of_which_little_would_be_left_is_refused(here: Path) -> None:
    (here / "mixed.txt").write_text("天地玄黄宇宙洪荒 OK " * 500)
    with pytest.raises(CorpusError, match="would drop 80% of this text's letters; --text raw"):
        read_corpora(TextSelection(corpora=("mixed.txt",)), built_in(), print)


def test_what_was_taken_off_a_text_is_said(here: Path) -> None:
    marker = "*** {} OF THE PROJECT GUTENBERG EBOOK X ***"
    words = "It began and went on. " * 200
    (here / "book.txt").write_text(
        f"The Project Gutenberg EBook of X\n{marker.format('START')}\n{words}\n{marker.format('END')}"
    )
    remarks: list[str] = []
    read_corpora(TextSelection(corpora=("book.txt",)), built_in(), remarks.append)
    assert any("characters of Project Gutenberg's" in remark and "off 1 of 1 texts" in remark for remark in remarks)
