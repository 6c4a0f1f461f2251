import csv
import re
from dataclasses import replace
from pathlib import Path

import pytest

from harness.contracts.corpora import CorpusRequest
from harness.errors import CorpusError
from harness_books import catalogue
from harness_books.books import load
from harness_books.catalogue import Book
from harness_books.markers import Markers

BOOKS = catalogue.read().books
PUBLISHERS_WORDS = r"gutenberg|transcriber|proofread|\be-?text\b|grosset & dunlap's list"


@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.name)
def test_every_book_of_the_mirror_is_read_clean(mirror: Path, request_here: CorpusRequest, book: Book) -> None:
    (document,) = load(replace(request_here, mirror=mirror, corpus=book.name))
    assert (document.author, document.title, document.name) == (book.author, book.title, book.name)
    assert not {"\r", "\ufeff", "\ufffd"} & set(document.text)
    assert not re.search(PUBLISHERS_WORDS, document.text, re.IGNORECASE)
    assert 0.8 * book.num_bytes < len(document.text.encode()) <= book.num_bytes
    assert (mirror / book.file).read_bytes().decode(book.encoding)
    assert (mirror / book.file).stat().st_size == book.num_bytes


def test_the_catalogue_agrees_with_the_mirror_s_own_list(mirror: Path) -> None:
    with (mirror / "CATALOGUE.tsv").open(encoding="utf-8") as file:
        rows = {row["path"]: row for row in csv.DictReader(file, delimiter="\t")}
    for book in BOOKS:
        row = rows.pop(book.file)
        theirs = (row["sha256"], int(row["bytes"]), row["source_repo"], row["source_commit"], row["source_path"])
        assert (book.sha256, book.num_bytes, book.repository, book.commit, book.path) == theirs
        assert (book.author, book.year, book.language) == (row["author"], int(row["year"]), row["language"])
    assert not rows


def test_the_time_machine_is_d2l_s_to_the_byte(mirror: Path, request_here: CorpusRequest) -> None:
    (novel,) = load(replace(request_here, mirror=mirror, corpus="time-machine"))
    assert novel.text.encode() == (mirror / "h-g-wells/the-time-machine.txt").read_bytes()


def test_an_author_s_books_come_together_each_by_its_name(mirror: Path, request_here: CorpusRequest) -> None:
    wells = load(replace(request_here, mirror=mirror, corpus="wells"))
    assert {document.author for document in wells} == {"H. G. Wells"}
    assert [document.name for document in wells[:2]] == ["time-machine", "war-of-the-worlds"]
    assert len(wells) == 6
    assert len(catalogue.read().books_of("books")) == 20


def test_books_asked_for_are_read_alone(mirror: Path, request_here: CorpusRequest) -> None:
    asked = ("war-of-the-worlds", "time-machine")
    wells = load(replace(request_here, mirror=mirror, corpus="wells", books=asked))
    assert [document.name for document in wells] == ["time-machine", "war-of-the-worlds"]


def test_names_files_and_hashes_are_each_their_own() -> None:
    corpora = catalogue.read().corpora()
    assert len({corpus.name for corpus in corpora}) == len(corpora)
    for one in ("name", "file", "sha256"):
        assert len({getattr(book, one) for book in BOOKS}) == 20, one


def test_markers_cut_a_text_and_a_missing_one_is_said() -> None:
    text = "front BEGIN one NOTE two NEXT three END END back"
    markers = Markers(begin="BEGIN", end="END", drop=(("NOTE", "NEXT"),))
    assert markers.cut(text, "x.txt") == "BEGIN one NEXT three END"
    assert Markers().cut(" as it is \n", "x.txt") == " as it is \n"
    for lost in ("BEGIN", "END", "NOTE", "NEXT"):
        with pytest.raises(CorpusError, match=f"x.txt lacks its marker '{lost}': it is not the whole text"):
            markers.cut(text.replace(lost, ""), "x.txt")
