import json
import math
import random
import re
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.contracts.corpora import Document
from harness.errors import CorpusError
from harness.texts import preprocessing
from harness.texts.local import read_path
from harness.texts.preprocessing import split_tokens
from harness.texts.selection import TEXTS, Preparation
from harness.texts.split import LogRange, Split
from harness.texts.tokenisation import tokenise
from harness.texts.tokenised import TokenisedCorpus
from harness.texts.vocabulary import Coder

MakeDocument = Callable[..., Document]


def read_held_out(corpus: TokenisedCorpus) -> dict[tuple[str, str], str]:
    """The held-out parts as text, by author and kind."""
    symbols = read_symbols(corpus)
    return {
        (part.author, part.part): "".join(symbols[i] for i in np.load(part.path)[part.start : part.stop])
        for part in corpus.held_out
    }


def read_symbols(corpus: TokenisedCorpus) -> list[str]:
    symbols: list[str] = json.loads(corpus.vocabulary_path.read_bytes())["symbols"]
    return symbols


def read_back(corpus: TokenisedCorpus, path: Path) -> str:
    """The tokens of one part as text; words are parted by a space."""
    symbols = read_symbols(corpus)
    return (" " if corpus.tokens == "word" else "").join(symbols[i] for i in np.load(path))


def test_a_tenth_of_each_document_validates_and_its_last_tenth_tests(tmp_path: Path, document: MakeDocument) -> None:
    documents = [document("abcdefghij" * 2, "Ann"), document("0123456789" * 3, "Ben"), document("ABCDEFGHIJ", "Ann")]
    (corpus,) = tokenise(documents, "tiny", Preparation(text="raw"), tmp_path)
    # By author, and each author's documents in their order.
    assert read_back(corpus, corpus.train_path) == "abcdefghijabcdef" + "ABCDEFGH" + "0123456789" * 2 + "0123"
    assert read_back(corpus, corpus.valid_path) == "gh" + "<unk>" + "456"
    assert read_held_out(corpus) == {
        ("Ann", "valid"): "gh<unk>",
        ("Ben", "valid"): "456",
        ("Ann", "test"): "ij<unk>",
        ("Ben", "test"): "789",
    }
    assert (corpus.train_tokens, corpus.valid_tokens) == (48, 6)


def test_what_stands_in_a_gap_is_in_no_part(tmp_path: Path, document: MakeDocument) -> None:
    text = "".join(chr(0x4E00 + i) for i in range(1_000))
    (corpus,) = tokenise([document(text + text[:200])], "tiny", Preparation(text="raw"), tmp_path, Split(gap=7))
    assert read_back(corpus, corpus.train_path) == text[:960]
    assert read_held_out(corpus) == {
        ("Ann", "valid"): "<unk>" * (40 - 7) + text[:80],
        ("Ann", "test"): text[80 + 7 : 200],
    }


def test_the_vocabulary_comes_from_the_training_part_alone(tmp_path: Path, document: MakeDocument) -> None:
    (corpus,) = tokenise([document("a" * 8 + "b" * 8 + "wxyz")], "tiny", Preparation(text="raw"), tmp_path)
    assert read_symbols(corpus) == ["<unk>", "a", "b"]
    assert np.load(corpus.valid_path).tolist() == [0, 0]


def test_a_vocabulary_of_the_whole_text_knows_what_only_the_held_out_parts_have(
    tmp_path: Path, document: MakeDocument
) -> None:
    text = "ab" * 45 + "az" + "b" * 9
    vocabularies = {
        vocabulary: read_symbols(tokenise([document(text)], "tiny", Preparation(vocabulary=vocabulary), tmp_path)[0])
        for vocabulary in ("train", "frequency", "alphabetical")
    }
    assert vocabularies["train"] == ["<unk>", "a", "b"]
    assert vocabularies["frequency"] == ["<unk>", "b", "a", "z"]
    assert vocabularies["alphabetical"] == ["<unk>", "a", "b", "z"]
    with pytest.raises(CorpusError, match="Did you mean 'frequency'"):
        tokenise([document(text)], "tiny", Preparation(vocabulary="frequencies"), tmp_path)


def test_the_vocabulary_file_says_what_made_it(tmp_path: Path, document: MakeDocument) -> None:
    (corpus,) = tokenise([document("To be, or not: to be " * 9)], "tiny", Preparation(tokens="word"), tmp_path)
    assert json.loads(corpus.vocabulary_path.read_bytes()) == {
        "symbols": ["<unk>", "to", "be", "or", "not"],
        "text": "d2l",
        "tokens": "word",
    }


def test_a_budget_takes_each_author_s_beginning_in_proportion(tmp_path: Path, document: MakeDocument) -> None:
    documents = [document("abcdefghij" * 6, "Ann"), document("0123456789" * 3, "Ben"), document("x" * 10, "Cid")]
    (corpus,) = tokenise(documents, "tiny", Preparation(text="raw", train_tokens=(10,)), tmp_path)
    assert read_back(corpus, corpus.train_path) == "abcdef" + "012" + "x"


def test_an_author_s_budget_runs_on_through_their_documents(tmp_path: Path, document: MakeDocument) -> None:
    documents = [document("abcdefghij"), document("0123456789"), document("ABCDEFGHIJ")]
    (corpus,) = tokenise(documents, "tiny", Preparation(text="raw", train_tokens=(20,)), tmp_path)
    assert read_back(corpus, corpus.train_path) == "abcdefgh" + "01234567" + "ABCD"


def test_every_budget_shares_vocabulary_and_validation(tmp_path: Path, document: MakeDocument) -> None:
    small, whole = tokenise(
        [document("a" * 50 + "bcd" * 50)], "tiny", Preparation(text="raw", train_tokens=(7, None)), tmp_path
    )
    assert (small.train_tokens, whole.train_tokens) == (7, 160)
    assert small.vocab_size == whole.vocab_size == 5
    assert small.vocabulary_path.read_bytes() == whole.vocabulary_path.read_bytes()
    assert small.valid_path.read_bytes() == whole.valid_path.read_bytes()
    assert small.digest != whole.digest


def test_a_budget_beyond_the_training_part_is_cut_to_it(tmp_path: Path, document: MakeDocument) -> None:
    whole, cut = tokenise(
        [document("abcde" * 20)], "tiny", Preparation(text="raw", train_tokens=(None, 1_000_000)), tmp_path
    )
    assert cut.train_tokens == 80
    assert cut == whole


def test_budgets_sum_exactly_over_many_authors(tmp_path: Path, document: MakeDocument) -> None:
    documents = [document("ab" * (3 * i + 1), f"author {i}") for i in range(1, 12)]
    budgets = [11, 97, 100, 255]
    corpora = tokenise(documents, "tiny", Preparation(text="raw", train_tokens=tuple(budgets)), tmp_path)
    assert [corpus.train_tokens for corpus in corpora] == budgets
    assert [np.load(corpus.train_path).size for corpus in corpora] == budgets


ANN, BEN, CID = "abcde" * 40, "01234" * 20, "xyzab" * 10


def tokenise_authors(document: MakeDocument, cache: Path, *authors: str, **options: Any) -> list[TokenisedCorpus]:
    documents = [document(ANN, "Ann"), document(BEN, "Ben"), document(CID, "Cid")]
    budgets = options.pop("budgets", [None])
    return tokenise(
        documents, "tiny", Preparation(text="raw", train_tokens=tuple(budgets), authors=authors, **options), cache
    )


def test_authors_compared_share_one_budget_and_one_vocabulary(tmp_path: Path, document: MakeDocument) -> None:
    corpora = tokenise_authors(document, tmp_path, "each", "ann+ben", budgets=[7, None, 90])
    assert [(corpus.authors, corpus.train_tokens) for corpus in corpora] == [
        (authors, size) for authors in ("Ann", "Ben", "Cid", "Ann+Ben") for size in (7, 40, 40)
    ]
    assert {(corpus.available_tokens, corpus.smallest) for corpus in corpora} == {(40, "Cid")}
    assert {tuple(read_symbols(corpus)) for corpus in corpora} == {("<unk>", *"abcde01234xyz")}
    assert [read_back(corpus, corpus.train_path)[:7] for corpus in corpora[::3]] == [
        "abcdeab",
        "0123401",
        "xyzabxy",
        "abcde01",
    ]


def test_full_budgets_give_every_choice_of_authors_all_its_text(tmp_path: Path, document: MakeDocument) -> None:
    corpora = tokenise_authors(document, tmp_path, "each", "all", author_budget="full", budgets=[None, 100])
    assert [(corpus.authors, corpus.train_tokens) for corpus in corpora] == [
        (authors, size)
        for authors, sizes in (("Ann", (160, 100)), ("Ben", (80, 80)), ("Cid", (40, 40)), ("all", (280, 100)))
        for size in sizes
    ]
    assert {corpus.smallest for corpus in corpora} == {""}
    assert read_back(corpora[6], corpora[6].train_path) == ANN[:160] + BEN[:80] + CID[:40]
    # Equal shares of all the text there is still end with the smallest's.
    equal = tokenise_authors(document, tmp_path, "each", "all", author_budget="full", mix="equal")
    assert [corpus.train_tokens for corpus in equal] == [160, 80, 40, 120]


def test_an_author_s_trial_is_the_same_whether_budgets_are_equal_or_full(
    tmp_path: Path, document: MakeDocument
) -> None:
    equal, full = (tokenise_authors(document, tmp_path, "each", author_budget=each)[2] for each in ("equal", "full"))
    assert (equal.authors, equal.digest) == ("Cid", full.digest)


def test_one_choice_of_authors_has_all_its_tokens(tmp_path: Path, document: MakeDocument) -> None:
    (corpus,) = tokenise_authors(document, tmp_path, "cid+ann")
    assert (corpus.authors, corpus.train_tokens, corpus.smallest) == ("Ann+Cid", 200, "")
    assert read_back(corpus, corpus.valid_path) == ANN[162:180] + CID[40:45]  # a gap of a hundredth


def test_an_equal_mix_takes_as_much_of_each_author(tmp_path: Path, document: MakeDocument) -> None:
    (corpus,) = tokenise_authors(document, tmp_path, "all", mix="equal")
    assert read_back(corpus, corpus.train_path) == ANN[:40] + BEN[:40] + CID[:40]
    assert corpus.mix == "equal"


def test_one_author_alone_is_the_same_under_either_mix(tmp_path: Path, document: MakeDocument) -> None:
    equal, proportional = (tokenise_authors(document, tmp_path, "ben", mix=mix) for mix in ("equal", "proportional"))
    assert equal == proportional


def test_a_range_of_budgets_ends_at_what_all_the_compared_can_give(tmp_path: Path, document: MakeDocument) -> None:
    corpora = tokenise_authors(document, tmp_path, "ann", "cid", budgets=[LogRange(10, None, 3)])
    assert [corpus.train_tokens for corpus in corpora] == [10, 20, 40] * 2


def test_every_choice_carries_every_author_s_held_out_parts(tmp_path: Path, document: MakeDocument) -> None:
    alone, together = tokenise_authors(document, tmp_path, "ben", "all")
    assert read_held_out(alone) == read_held_out(together)
    assert list(read_held_out(alone)) == [
        (author, part) for part in ("valid", "test") for author in ("Ann", "Ben", "Cid")
    ]
    assert read_held_out(alone)["Ben", "valid"] == read_back(alone, alone.valid_path)


def test_another_author_s_held_out_text_is_part_of_a_trial_s_identity(tmp_path: Path, document: MakeDocument) -> None:
    before, after = (
        tokenise(
            [document(ANN, "Ann"), document(ben, "Ben")], "tiny", Preparation(text="raw", authors=("ann",)), tmp_path
        )[0]
        for ben in (BEN, BEN[:-1] + "0")
    )
    assert before.digest != after.digest


def test_a_passage_that_is_held_out_and_trains_is_counted(tmp_path: Path, document: MakeDocument) -> None:
    dice = random.Random(1)
    text = "".join(dice.choices("abcdefgh", k=20_000))
    leaked = text[:17_000] + text[1_000:2_000] + text[18_000:]
    shares = [
        tokenise([document(each)], "tiny", Preparation(text="raw"), tmp_path)[0].duplicate_share
        for each in (text, leaked)
    ]
    assert shares == [0.0, pytest.approx(1_000 / 3_600, abs=0.02)]


def test_the_unigram_perplexity_is_that_of_smoothed_frequencies(tmp_path: Path, document: MakeDocument) -> None:
    text = "the cat sat on the mat and the dog sat on the log " * 8 + "a new word"
    for tokens in ("char", "word"):
        (corpus,) = tokenise([document(text)], "tiny", Preparation(tokens=tokens, train_tokens=(60,)), tmp_path)
        train, valid = np.load(corpus.train_path).tolist(), np.load(corpus.valid_path).tolist()
        counts = Counter(train)
        logs = [math.log((counts[i] + 1) / (60 + corpus.vocab_size)) for i in valid]
        assert corpus.unigram_valid_perplexity == pytest.approx(math.exp(-sum(logs) / len(logs)), rel=1e-12)


def test_a_word_stands_for_its_letters_and_one_space(tmp_path: Path, document: MakeDocument) -> None:
    text = "a " * 32 + "abc de f g " + "a " * 4
    (words,) = tokenise([document(text)], "tiny", Preparation(tokens="word"), tmp_path)
    assert words.valid_tokens == 4
    assert words.valid_chars_per_token == (3 + 2 + 1 + 1 + 4) / 4
    (characters,) = tokenise([document(text)], "tiny", Preparation(), tmp_path)
    assert characters.valid_chars_per_token == 1.0


def test_names_and_options_are_carried(tmp_path: Path, document: MakeDocument) -> None:
    (corpus,) = tokenise([document("ab" * 50)], "tiny", Preparation(text="raw"), tmp_path)
    assert (corpus.name, corpus.authors, corpus.text, corpus.tokens) == ("tiny", "all", "raw", "char")


def test_workers_can_map_the_ids_into_memory(tmp_path: Path, document: MakeDocument) -> None:
    (corpus,) = tokenise([document("abc" * 50)], "tiny", Preparation(text="raw"), tmp_path)
    for path in (corpus.train_path, corpus.valid_path):
        ids = np.load(path, mmap_mode="r")
        assert isinstance(ids, np.memmap)
        assert (ids.ndim, ids.dtype) == (1, np.uint8)
        assert path.is_absolute()


def test_paths_hold_in_a_worker_s_own_folder(
    tmp_path: Path, document: MakeDocument, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (corpus,) = tokenise([document("abc" * 50)], "tiny", Preparation(text="raw"), Path("cache"))
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
        tokenise([document(text)], "tiny", Preparation(), tmp_path)
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
        tokenise(
            [document("some text " * 9)],
            "tiny",
            Preparation(text=text, tokens=tokens, train_tokens=(budget,)),
            tmp_path,
            Split(valid=fraction),
        )


def test_the_time_machine_has_the_book_s_figures(time_machine: Path) -> None:
    (novel,) = read_path(time_machine)
    characters, words = (split_tokens(novel.text, "d2l", tokens) for tokens in ("char", "word"))
    assert len(characters) == 170_580
    for tokens, size in ((characters, 28), (words, 4_580)):
        coder = Coder()
        assert len(coder.rank(coder.encode(tokens))) == size


@pytest.mark.parametrize("tokens", ["char", "word"])
def test_the_first_ten_thousand_tokens_of_the_time_machine_are_the_book_s(
    tmp_path: Path, time_machine: Path, tokens: str
) -> None:
    with time_machine.open() as file:  # D2L 0.17, written again from the book
        lines = [re.sub("[^A-Za-z]+", " ", line).strip().lower() for line in file.readlines()]
    expected = [token for line in lines for token in (line.split() if tokens == "word" else line)]
    (corpus,) = tokenise(
        read_path(time_machine), "time-machine", Preparation(tokens=tokens, train_tokens=(10_000,)), tmp_path
    )
    symbols = read_symbols(corpus)
    assert [symbols[i] for i in np.load(corpus.train_path)] == expected[:10_000]
    assert corpus.vocab_size == (
        28 if tokens == "char" else len(set(expected[: len(expected) - 2 * round(len(expected) * 0.1)])) + 1
    )


def test_d2l_1_0_s_text_and_vocabulary_are_the_book_s(tmp_path: Path, time_machine: Path) -> None:
    raw = time_machine.read_text()
    expected = re.sub("[^A-Za-z]+", " ", raw).lower()  # D2L 1.0's TimeMachine._preprocess
    assert len(expected) == 173_428
    assert split_tokens(raw, "d2l-1.0", "char") == expected
    (corpus,) = tokenise(
        read_path(time_machine),
        "time-machine",
        Preparation(text="d2l-1.0", vocabulary="alphabetical"),
        tmp_path,
        Split("windows:10000+5000x32"),
    )
    symbols = sorted({"<unk>", *expected})
    assert read_symbols(corpus) == symbols
    assert corpus.vocab_size == 28
    train, valid = np.load(corpus.train_path), np.load(corpus.valid_path)
    assert [symbols[i] for i in train] == list(expected[:10_032])
    assert [symbols[i] for i in valid] == list(expected[10_000:15_032])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "tokens", "size"),
    [("d2l", "char", 1 << 20), ("raw", "char", 1 << 20), ("d2l", "word", 1 << 20), ("raw", "word", 1 << 20)],
)
def test_memory_grows_with_the_text_and_no_faster(
    tmp_path: Path, document: MakeDocument, text: str, tokens: str, size: int
) -> None:
    """Beside the text itself, twice its size at most, and what does not depend on it."""
    small, large = (_peak_bytes(document(_lines(n)), text, tokens, tmp_path) for n in (size, 3 * size))
    assert (large - small) / (2 * size) < 2.0


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("marked", [False, True])
def test_reading_a_file_takes_twice_its_size_whatever_its_line_ends(
    tmp_path: Path, line_end: str, marked: bool
) -> None:
    file, size = tmp_path / "long.txt", 1 << 20
    small, large = (_peak_bytes_of_reading(_write_book(file, n, line_end, marked)) for n in (size, 3 * size))
    assert (large - small) / (2 * size) < 2.1


@pytest.mark.slow
def test_a_process_that_tokenises_a_hundred_megabytes_holds_less_than_three_times_as_much(tmp_path: Path) -> None:
    file = _write_book(tmp_path / "long.txt", 100_000_000, "\r\n", marked=True)
    program = (
        "import re, sys\nfrom pathlib import Path\n"
        "from harness.texts.local import read_path\nfrom harness.texts.selection import Preparation\n"
        "from harness.texts.tokenisation import tokenise\n"
        "tokenise(read_path(Path(sys.argv[1])), 'long', Preparation(), Path(sys.argv[2]))\n"
        # Not ru_maxrss, which a process takes over from the one that started it.
        "print(1024 * int(re.search(r'VmHWM:\\s*(\\d+) kB', Path('/proc/self/status').read_text())[1]))"
    )
    command = [sys.executable, "-c", program, file, tmp_path / "cache"]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    assert int(ended.stdout) < 3 * file.stat().st_size


def _write_book(file: Path, num_characters: int, line_end: str, marked: bool) -> Path:
    text = "Produced by Someone\n\n" + _lines(num_characters)
    if marked:
        marker = "*** {} OF THE PROJECT GUTENBERG EBOOK X ***"
        text = f"{marker.format('START')}\n\n{text}\n\n{marker.format('END')}\n"
    file.write_text(text, encoding="utf-8", newline=line_end)
    return file


def _peak_bytes_of_reading(file: Path) -> int:
    tracemalloc.start()
    try:
        read_path(file)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _lines(num_characters: int) -> str:
    dice = random.Random(0)
    words = ["".join(dice.choices("etaoinshrdlu", k=dice.randint(1, 9))) for _ in range(5_000)]
    lines = "\n".join(" ".join(dice.choices(words, k=10)) for _ in range(400)) + "\n"
    return (lines * (num_characters // len(lines) + 1))[:num_characters]


def _peak_bytes(book: Document, text: str, tokens: str, cache: Path) -> int:
    tracemalloc.start()
    try:
        tokenise([book], "long", Preparation(text=text, tokens=tokens), cache)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_tokens_of_a_text_of_many_blocks_are_those_of_the_whole(
    tmp_path: Path, document: MakeDocument, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(4)
    book = "".join(dice.choices("ab c\n\n .é—\t'1", k=4_000))
    kinds = [Preparation(text=text, tokens=tokens) for text in TEXTS for tokens in ("char", "word")]
    whole = [tokenise([document(book)], "b", kind, tmp_path / "whole")[0].digest for kind in kinds]
    monkeypatch.setattr(preprocessing, "_BLOCK_CHARACTERS", 50)
    assert len(list(preprocessing.blocks(book, "d2l"))) > 10
    blocks = [tokenise([document(book)], "b", kind, tmp_path / "blocks")[0].digest for kind in kinds]
    assert blocks == whole
