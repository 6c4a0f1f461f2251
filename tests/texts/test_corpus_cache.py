import multiprocessing
import re
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import pytest

from harness.contracts.corpora import Document
from harness.contracts.files import read_sealed, write_sealed
from harness.errors import CorpusError
from harness.machine.folders import default_cache_dir
from harness.texts.selection import Preparation
from harness.texts.split import Split
from harness.texts.tokenisation import tokenise
from harness.texts.tokenised import TokenisedCorpus

TEXT = "The Time Traveller (for so it will be convenient to speak of him)\nwas expounding " * 40
BOOK = Document(author="Wells", title="The Time Machine", text=TEXT)


def tokenise_book(cache: Path, book: Document = BOOK) -> TokenisedCorpus:
    (corpus,) = tokenise([book], "book", Preparation(), cache)
    return corpus


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """Which file each name stands for: a file written again is another one."""
    return {
        str(path.relative_to(folder)): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_an_unchanged_corpus_is_not_written_again(tmp_path: Path) -> None:
    first = tokenise_book(tmp_path)
    before = stamps(tmp_path)
    assert tokenise_book(tmp_path) == first
    assert stamps(tmp_path) == before
    assert sorted(Path(name).name for name in before if "/" in name) == [
        "held-out.npy",
        "train.npy",
        "valid.npy",
        "vocabulary.json",
    ]


def test_an_unchanged_corpus_is_not_tokenised_again(tmp_path: Path) -> None:
    tokenise_book(tmp_path)
    (index,) = tmp_path.glob("*.json")
    # A figure no tokenising gives, so that it can only come from the cache.
    (entry,) = read_sealed(index)
    write_sealed(index, [entry | {"unigram_valid_perplexity": 12345.0}])
    assert tokenise_book(tmp_path).unigram_valid_perplexity == 12345.0


@pytest.mark.parametrize("figure", ["vocab_size", "unigram_valid_perplexity", "train_tokens"])
def test_figures_that_changed_are_counted_again(tmp_path: Path, figure: str) -> None:
    first = tokenise_book(tmp_path)
    (index,) = tmp_path.glob("*.json")
    index.write_text(re.sub(rf'("{figure}": )[\d.]+', r"\g<1>20", index.read_text()))
    assert tokenise_book(tmp_path) == first


def test_reading_the_cache_is_much_faster_than_tokenising(tmp_path: Path) -> None:
    book = replace(BOOK, text=TEXT * 1_000)  # 3 MB
    first, again = (_time_words(book, tmp_path) for _ in range(2))
    assert again < first / 3


def _time_words(book: Document, cache: Path) -> float:
    start = time.process_time()
    tokenise([book], "book", Preparation(tokens="word"), cache)
    return time.process_time() - start


@pytest.mark.parametrize(
    "options",
    [
        {"text": "raw"},
        {"tokens": "word"},
        {"train_tokens": (50,)},
        {"split": Split(valid=0.2)},
        {"split": Split(test=0.2)},
        {"split": Split(gap=1)},
        {"documents": [replace(BOOK, author="Wells"), replace(BOOK, author="Verne")], "authors": ("verne",)},
        {"documents": [replace(BOOK, text=TEXT + "x")]},
        {"documents": [replace(BOOK, text=TEXT[:-20])]},
        {"documents": [BOOK, BOOK]},
    ],
)
def test_another_text_or_option_gives_another_digest(tmp_path: Path, options: dict[str, Any]) -> None:
    asked = {name: value for name, value in options.items() if name not in ("documents", "split")}
    documents, split = options.get("documents", [BOOK]), options.get("split")
    (changed,) = tokenise(documents, "book", Preparation(**asked), tmp_path, split)
    assert changed.digest != tokenise_book(tmp_path).digest


def test_where_one_document_ends_is_part_of_the_content(tmp_path: Path) -> None:
    one, two = (
        tokenise([replace(BOOK, text=text) for text in texts], "book", Preparation(text="raw"), tmp_path)
        for texts in (["ab" * 10, "cd" * 30], ["ab" * 10 + '["Wells"]' + "cd" * 30])
    )
    assert one[0].digest != two[0].digest


def test_the_digest_is_of_the_content_and_not_of_where_it_came_from(tmp_path: Path) -> None:
    renamed = replace(BOOK, author="Anon", title="Untitled", text=TEXT.upper())
    assert tokenise_book(tmp_path / "a").digest == tokenise_book(tmp_path / "b", renamed).digest


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)


def make_empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [Path.unlink, cut_short, flip_a_bit, make_empty])
@pytest.mark.parametrize("name", ["train.npy", "valid.npy", "held-out.npy", "vocabulary.json"])
def test_a_damaged_entry_is_built_anew(tmp_path: Path, name: str, damage: Callable[[Path], None]) -> None:
    good = tokenise_book(tmp_path)
    path = good.train_path.with_name(name)
    bytes_before = path.read_bytes()
    damage(path)
    assert tokenise_book(tmp_path) == good
    assert path.read_bytes() == bytes_before


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"corpora": []}', '{"corpora": [{"digest": 5}]}', "null"])
def test_a_damaged_index_is_built_anew(tmp_path: Path, content: str) -> None:
    good = tokenise_book(tmp_path)
    (index,) = tmp_path.glob("*.json")
    index.write_text(content)
    assert tokenise_book(tmp_path) == good


def test_an_entry_without_its_index_is_used_as_it_lies(tmp_path: Path) -> None:
    good = tokenise_book(tmp_path)
    before = stamps(good.train_path.parent)
    next(tmp_path.glob("*.json")).unlink()
    assert tokenise_book(tmp_path) == good
    assert stamps(good.train_path.parent) == before


def test_a_worker_keeps_its_ids_while_the_entry_is_built_anew(tmp_path: Path) -> None:
    corpus = tokenise_book(tmp_path)
    mapped = np.load(corpus.train_path, mmap_mode="r")
    before = np.array(mapped)
    corpus.valid_path.unlink()
    tokenise_book(tmp_path)
    assert np.array_equal(mapped, before)


def test_two_processes_may_tokenise_the_same_text_at_once(tmp_path: Path) -> None:
    with multiprocessing.get_context("fork").Pool(2) as pool:
        corpora = pool.map(tokenise_book, [tmp_path] * 8, chunksize=1)
    assert set(corpora) == {tokenise_book(tmp_path)}
    assert not list(tmp_path.rglob(".*")), "a temporary file was left"


def test_a_failed_write_leaves_nothing_half_written(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(CorpusError, match=r"Cannot write the cache folder .*cache: .*HARNESS_CACHE_DIR"):
        tokenise_book(tmp_path / "cache")
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


@contextmanager
def full_disk() -> Iterator[None]:
    """Let no file grow beyond 1,000 bytes, which fails as a full disk does; pytest's own log may be such a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="Cannot write the cache folder"), full_disk():
        tokenise_book(tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_the_cache_folder_is_the_user_s_unless_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HARNESS_CACHE_DIR", raising=False)
    assert default_cache_dir() == platformdirs.user_cache_path("rnn-harness")
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "here"))
    assert default_cache_dir() == tmp_path / "here"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_CACHE_DIR", "relative")
    assert default_cache_dir() == tmp_path / "relative"
