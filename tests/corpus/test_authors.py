import pytest

from harness.corpus.authors import authors_of, select_authors
from harness.corpus.documents import Document
from harness.errors import CorpusError


@pytest.fixture
def documents() -> list[Document]:
    authors = ["Charlotte Brontë", "Emily Brontë", "Anne Brontë", "Emily Brontë", "h-g-wells"]
    return [Document(author=author, title=str(i), text="x") for i, author in enumerate(authors)]


def titles(documents: list[Document]) -> str:
    return "".join(document.title for document in documents)


def test_authors_come_in_order_of_first_appearance(documents: list[Document]) -> None:
    assert authors_of(documents) == ["Charlotte Brontë", "Emily Brontë", "Anne Brontë", "h-g-wells"]


@pytest.mark.parametrize(
    ("selection", "chosen"),
    [
        ("all", "01234"),
        ("Emily Brontë", "13"),
        ("emily", "13"),
        ("emily-bronte", "13"),
        ("emily+CHARLOTTE", "013"),
        ("charlotte+emily", "013"),
        ("wells", "4"),
    ],
)
def test_authors_are_chosen_by_name_in_the_corpus_order(documents: list[Document], selection: str, chosen: str) -> None:
    assert titles(select_authors(documents, selection)) == chosen


def test_a_name_in_full_wins_over_a_longer_one_that_has_it() -> None:
    documents = [Document(author=author, title=author, text="x") for author in ("dumas fils", "dumas")]
    assert titles(select_authors(documents, "dumas")) == "dumas"


def test_a_name_several_authors_share_is_refused(documents: list[Document]) -> None:
    with pytest.raises(CorpusError, match=r"'bronte' could be Charlotte Brontë or Emily Brontë or Anne Brontë"):
        select_authors(documents, "bronte")


@pytest.mark.parametrize("selection", ["emilly", "", "emily+", "+"])
def test_an_unknown_author_is_refused_with_the_known_ones(documents: list[Document], selection: str) -> None:
    with pytest.raises(CorpusError, match=r"No author of this corpus is named .*(Emily|There is)"):
        select_authors(documents, selection)
