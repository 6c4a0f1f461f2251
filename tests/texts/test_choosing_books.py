from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.contracts.corpora import CorpusRequest, Document
from harness.contracts.descriptors import Corpus
from harness.errors import CorpusError
from harness.texts.books import select_books
from harness.texts.sources import Texts, read_texts

TITLES = [
    "The Time Machine",
    "The War of the Worlds",
    "The Invisible Man: A Grotesque Romance",
    "Alice's Adventures",
    "Agnes Grey, excerpt 1",
    "Agnes Grey, excerpt 2",
    "Henry IV, Part 1",
    "Henry IV, Part 2",
]


def select(*names: str) -> str:
    documents = [Document(author="A", title=title, text="x") for title in TITLES]
    return "".join(str(TITLES.index(document.title)) for document in select_books(documents, names, "c"))


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["time-machine"], "0"),
        (["the-war-of-the-worlds", "Time Machine"], "01"),
        (["invisible-man"], "2"),
        (["alices-adventures"], "3"),
        (["agnes-grey"], "45"),
        (["agnes-grey-excerpt-2"], "5"),
        (["henry-iv-part-1"], "6"),
        (["henry-iv"], "67"),
    ],
)
def test_books_are_chosen_by_some_words_of_their_titles(names: list[str], chosen: str) -> None:
    assert select(*names) == chosen


def test_an_unknown_book_is_refused_with_the_nearest() -> None:
    with pytest.raises(CorpusError, match=r"'c' has no book 'time-machin'\. Did you mean 'the-time-machine'"):
        select("time-machin")


def test_words_that_several_books_have_are_refused() -> None:
    with pytest.raises(CorpusError, match="'the' could be the-time-machine or the-war-of-the-worlds or the-invisible"):
        select("the")


@pytest.fixture
def read(write: Callable[[str, str], Path], tmp_path: Path, request_here: CorpusRequest) -> Callable[[str], Texts]:
    for name in ("wells/the-time-machine", "wells/the-war-of-the-worlds", "wells/moreau", "odd:name"):
        write(f"{name}.txt", f"This is {name}.")
    return lambda selection: read_texts(selection.replace("HERE", str(tmp_path)), {}, request_here)


def test_books_of_a_folder_are_read_and_named_the_same_however_they_are_typed(read: Callable[[str], Texts]) -> None:
    texts = read("HERE/wells:worlds+time-machine")
    assert [document.title for document in texts.documents] == ["the-time-machine", "the-war-of-the-worlds"]
    assert texts.name.endswith("/wells:the-time-machine+the-war-of-the-worlds")
    assert read("HERE/wells:the-time-machine+war-of-the-worlds") == texts


def test_a_corpus_without_books_named_is_all_of_it(read: Callable[[str], Texts]) -> None:
    assert len(read("HERE/wells").documents) == 3


def test_a_file_with_a_colon_in_its_name_is_that_file(read: Callable[[str], Texts]) -> None:
    assert read("HERE/odd:name.txt").documents[0].text == "This is odd:name."


@pytest.mark.parametrize("selection", ["HERE/wells:", ":moreau", "HERE/wells:moreau+", "HERE/wells:-"])
def test_an_empty_name_is_refused(read: Callable[[str], Texts], selection: str) -> None:
    with pytest.raises(CorpusError, match="cannot be read: give a corpus and some of its books"):
        read(selection)


# --- books that carry names -------------------------------------------------------------------------------


def load(request: CorpusRequest) -> list[Document]:
    """Stand in for a corpus each of whose books is a download: only what is asked for is there."""
    books = {"alice": "Alice's Adventures in Wonderland", "looking-glass": "Through the Looking-Glass"}
    return [
        Document(author="Lewis Carroll", title=title, name=name, text=f"{request.books} {dict(request.parameters)}")
        for name, title in books.items()
        if not request.books or name in request.books
    ]


def read_known(selection: str, request: CorpusRequest, **more: Any) -> Texts:
    corpus = Corpus(name="carroll", title="", authors=(), licence="", loader=f"{__name__}:load", **more)
    return read_texts(selection, {"carroll": corpus}, request)


def test_a_book_is_chosen_by_its_name_or_some_words_of_its_title(request_here: CorpusRequest) -> None:
    for selection in ("alice", "Alice", "wonderland", "alices-adventures-in-wonderland"):
        assert read_known(f"carroll:{selection}", request_here).documents[0].name == "alice"
    assert read_known("carroll:glass+alice", request_here).name == "carroll:alice+looking-glass"


def test_only_the_books_asked_for_are_fetched(request_here: CorpusRequest) -> None:
    announced = {"downloaded": True, "books": ("alice", "looking-glass")}
    texts = read_known("carroll:glass", request_here, **announced)
    assert [document.text for document in texts.documents] == ["('looking-glass',) {}"]
    assert texts.name == "carroll:looking-glass"
    with pytest.raises(CorpusError, match=r"'carroll' has no book 'alise'\. Did you mean 'alice'\?"):
        read_known("carroll:alise", request_here, **announced)


def test_what_has_an_equals_sign_is_a_parameter_where_a_corpus_has_any(request_here: CorpusRequest) -> None:
    both = {"parameters": ("seed=1",), "books": ("alice", "looking-glass")}
    texts = read_known("carroll:seed=5", request_here, **both)
    assert [document.text for document in texts.documents] == ["() {'seed': '5'}"] * 2
    assert texts.name == "carroll:seed=5"
    assert read_known("carroll:glass", request_here, **both).name == "carroll:looking-glass"
    with pytest.raises(CorpusError, match="cannot read 'glass': give name=value, as in carroll:seed=1"):
        read_known("carroll:glass", request_here, parameters=("seed=1",))
    with pytest.raises(CorpusError, match="has no book 'seed=5'"):
        read_known("carroll:seed=5", request_here)
