import json
import math
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.corpus.documents import Document
from harness.corpus.local import read_path
from harness.corpus.text import split_tokens
from harness.corpus.tokenisation import tokenise
from harness.corpus.tokenised import TokenisedCorpus
from harness.corpus.vocabulary import build_vocabulary
from harness.errors import CorpusError

MakeDocument = Callable[..., Document]


def read_symbols(corpus: TokenisedCorpus) -> list[str]:
    symbols: list[str] = json.loads(corpus.vocabulary_path.read_bytes())["symbols"]
    return symbols


def read_back(corpus: TokenisedCorpus, path: Path) -> str:
    """The tokens of one part as text; words are parted by a space."""
    symbols = read_symbols(corpus)
    return (" " if corpus.tokens == "word" else "").join(symbols[i] for i in np.load(path))


def test_the_last_tenth_of_each_document_validates(tmp_path: Path, document: MakeDocument) -> None:
    documents = [document("abcdefghij" * 2, "Ann"), document("0123456789" * 3, "Ben"), document("ABCDEFGHIJ", "Ann")]
    (corpus,) = tokenise(documents, "tiny", "raw", "char", [None], tmp_path)
    # By author, and each author's documents in their order.
    assert read_back(corpus, corpus.train_path) == "abcdefghijabcdefgh" + "ABCDEFGHI" + "0123456789" * 2 + "0123456"
    assert [read_symbols(corpus)[i] for i in np.load(corpus.valid_path)] == ["i", "j", "<unk>", "7", "8", "9"]
    assert (corpus.train_tokens, corpus.valid_tokens) == (54, 6)


def test_the_vocabulary_comes_from_the_training_part_alone(tmp_path: Path, document: MakeDocument) -> None:
    (corpus,) = tokenise([document("a" * 9 + "b" * 9 + "yz")], "tiny", "raw", "char", [None], tmp_path)
    assert read_symbols(corpus) == ["<unk>", "a", "b"]
    assert np.load(corpus.valid_path).tolist() == [0, 0]


def test_the_vocabulary_file_says_what_made_it(tmp_path: Path, document: MakeDocument) -> None:
    (corpus,) = tokenise([document("To be, or not: to be " * 9)], "tiny", "d2l", "word", [None], tmp_path)
    assert json.loads(corpus.vocabulary_path.read_bytes()) == {
        "symbols": ["<unk>", "to", "be", "or", "not"],
        "text": "d2l",
        "tokens": "word",
    }


def test_a_budget_takes_each_author_s_beginning_in_proportion(tmp_path: Path, document: MakeDocument) -> None:
    documents = [document("abcdefghij" * 6, "Ann"), document("0123456789" * 3, "Ben"), document("x" * 10, "Cid")]
    (corpus,) = tokenise(documents, "tiny", "raw", "char", [10], tmp_path)
    assert read_back(corpus, corpus.train_path) == "abcdef" + "012" + "x"


def test_an_author_s_budget_runs_on_through_their_documents(tmp_path: Path, document: MakeDocument) -> None:
    documents = [document("abcdefghij"), document("0123456789"), document("ABCDEFGHIJ")]
    (corpus,) = tokenise(documents, "tiny", "raw", "char", [20], tmp_path)
    assert read_back(corpus, corpus.train_path) == "abcdefghi" + "012345678" + "AB"


def test_every_budget_shares_vocabulary_and_validation(tmp_path: Path, document: MakeDocument) -> None:
    small, whole = tokenise([document("a" * 50 + "bcd" * 50)], "tiny", "raw", "char", [7, None], tmp_path)
    assert (small.train_tokens, whole.train_tokens) == (7, 180)
    assert small.vocab_size == whole.vocab_size == 5
    assert small.vocabulary_path.read_bytes() == whole.vocabulary_path.read_bytes()
    assert small.valid_path.read_bytes() == whole.valid_path.read_bytes()
    assert small.digest != whole.digest


def test_a_budget_beyond_the_training_part_is_cut_to_it(tmp_path: Path, document: MakeDocument) -> None:
    whole, cut = tokenise([document("abcde" * 20)], "tiny", "raw", "char", [None, 1_000_000], tmp_path)
    assert cut.train_tokens == 90
    assert cut == whole


def test_budgets_sum_exactly_over_many_authors(tmp_path: Path, document: MakeDocument) -> None:
    documents = [document("ab" * (3 * i + 1), f"author {i}") for i in range(1, 12)]
    budgets = [11, 97, 100, 255]
    corpora = tokenise(documents, "tiny", "raw", "char", budgets, tmp_path)
    assert [corpus.train_tokens for corpus in corpora] == budgets
    assert [np.load(corpus.train_path).size for corpus in corpora] == budgets


def test_the_unigram_perplexity_is_that_of_smoothed_frequencies(tmp_path: Path, document: MakeDocument) -> None:
    text = "the cat sat on the mat and the dog sat on the log " * 8 + "a new word"
    for tokens in ("char", "word"):
        (corpus,) = tokenise([document(text)], "tiny", "d2l", tokens, [60], tmp_path)
        train, valid = np.load(corpus.train_path).tolist(), np.load(corpus.valid_path).tolist()
        counts = Counter(train)
        logs = [math.log((counts[i] + 1) / (60 + corpus.vocab_size)) for i in valid]
        assert corpus.unigram_valid_perplexity == pytest.approx(math.exp(-sum(logs) / len(logs)), rel=1e-12)


def test_a_word_stands_for_its_letters_and_one_space(tmp_path: Path, document: MakeDocument) -> None:
    text = "a " * 36 + "abc de f g"
    (words,) = tokenise([document(text)], "tiny", "d2l", "word", [None], tmp_path)
    assert words.valid_tokens == 4
    assert words.valid_chars_per_token == (3 + 2 + 1 + 1 + 4) / 4
    (characters,) = tokenise([document(text)], "tiny", "d2l", "char", [None], tmp_path)
    assert characters.valid_chars_per_token == 1.0


def test_names_and_options_are_carried(tmp_path: Path, document: MakeDocument) -> None:
    (corpus,) = tokenise([document("ab" * 50)], "tiny", "raw", "char", [None], tmp_path, authors="Ann")
    assert (corpus.name, corpus.authors, corpus.text, corpus.tokens) == ("tiny", "Ann", "raw", "char")


def test_workers_can_map_the_ids_into_memory(tmp_path: Path, document: MakeDocument) -> None:
    (corpus,) = tokenise([document("abc" * 50)], "tiny", "raw", "char", [None], tmp_path)
    for path in (corpus.train_path, corpus.valid_path):
        ids = np.load(path, mmap_mode="r")
        assert isinstance(ids, np.memmap)
        assert (ids.ndim, ids.dtype) == (1, np.uint8)
        assert path.is_absolute()


def test_paths_hold_in_a_worker_s_own_folder(
    tmp_path: Path, document: MakeDocument, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (corpus,) = tokenise([document("abc" * 50)], "tiny", "raw", "char", [None], Path("cache"))
    assert corpus.train_path.is_relative_to(tmp_path / "cache")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("日本語のテキスト", "no letter from A to Z, .*--text raw"),
        ("a", "'tiny' is too short: 0 tokens would train and 1"),
    ],
)
def test_a_text_too_short_to_divide_is_refused(tmp_path: Path, document: MakeDocument, text: str, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        tokenise([document(text)], "tiny", "d2l", "char", [None], tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "tokens", "budget", "fraction", "message"),
    [
        ("d2", "char", None, 0.1, "Did you mean 'd2l'"),
        ("d2l", "words", None, 0.1, "Did you mean 'word'"),
        ("d2l", "char", 0, 0.1, "at least one token; it is 0"),
        ("d2l", "char", -5, 0.1, "at least one token; it is -5"),
        ("d2l", "char", None, 0.0, "between 0 and 1"),
        ("d2l", "char", None, 1.0, "between 0 and 1"),
    ],
)
def test_a_wrong_option_is_refused(
    tmp_path: Path, document: MakeDocument, text: str, tokens: str, budget: int | None, fraction: float, message: str
) -> None:
    with pytest.raises(CorpusError, match=message):
        tokenise([document("some text " * 9)], "tiny", text, tokens, [budget], tmp_path, fraction)


def test_the_time_machine_has_the_book_s_figures(time_machine: Path) -> None:
    (novel,) = read_path(time_machine)
    characters, words = (split_tokens(novel.text, "d2l", tokens) for tokens in ("char", "word"))
    assert len(characters) == 170_580
    assert len(build_vocabulary([characters])) == 28
    assert len(build_vocabulary([words])) == 4_580


@pytest.mark.parametrize("tokens", ["char", "word"])
def test_the_first_ten_thousand_tokens_of_the_time_machine_are_the_book_s(
    tmp_path: Path, time_machine: Path, tokens: str
) -> None:
    with time_machine.open() as file:  # D2L 0.17, written again from the book
        lines = [re.sub("[^A-Za-z]+", " ", line).strip().lower() for line in file.readlines()]
    expected = [token for line in lines for token in (line.split() if tokens == "word" else line)]
    (corpus,) = tokenise(read_path(time_machine), "time-machine", "d2l", tokens, [10_000], tmp_path)
    symbols = read_symbols(corpus)
    assert [symbols[i] for i in np.load(corpus.train_path)] == expected[:10_000]
    assert corpus.vocab_size == (28 if tokens == "char" else len(set(expected[: round(len(expected) * 0.9)])) + 1)


def test_d2l_1_0_s_text_and_vocabulary_are_the_book_s(tmp_path: Path, time_machine: Path) -> None:
    raw = time_machine.read_text()
    expected = re.sub("[^A-Za-z]+", " ", raw).lower()  # D2L 1.0's TimeMachine._preprocess
    assert len(expected) == 173_428
    assert split_tokens(raw, "d2l-1.0", "char") == expected
    (corpus,) = tokenise(
        read_path(time_machine), "time-machine", "d2l-1.0", "char", [None], tmp_path,
        split="windows:10000+5000x32", vocabulary="alphabetical",
    )  # fmt: skip
    symbols = sorted({"<unk>", *expected})
    assert read_symbols(corpus) == symbols
    assert corpus.vocab_size == 28
    train, valid = np.load(corpus.train_path), np.load(corpus.valid_path)
    assert [symbols[i] for i in train] == list(expected[:10_032])
    assert [symbols[i] for i in valid] == list(expected[10_000:15_032])


def test_a_vocabulary_of_the_whole_text_knows_what_only_the_validation_part_has(
    tmp_path: Path, document: MakeDocument
) -> None:
    text = "ab" * 45 + "az" + "b" * 9
    vocabularies = {
        vocabulary: read_symbols(
            tokenise([document(text)], "tiny", "d2l", "char", [None], tmp_path, vocabulary=vocabulary)[0]
        )
        for vocabulary in ("train", "frequency", "alphabetical")
    }
    assert vocabularies["train"] == ["<unk>", "a", "b"]
    assert vocabularies["frequency"] == ["<unk>", "b", "a", "z"]
    assert vocabularies["alphabetical"] == ["<unk>", "a", "b", "z"]
    with pytest.raises(CorpusError, match="Did you mean 'frequency'"):
        tokenise([document(text)], "tiny", "d2l", "char", [None], tmp_path, vocabulary="frequencies")
