import pytest

from harness.contracts.corpora import Document
from harness.errors import CorpusError
from harness.texts.authors import authors_of, choose_authors, label

KNOWN = ["Charlotte Brontë", "Emily Brontë", "Anne Brontë", "h-g-wells"]


def choose(*selections: str) -> list[str]:
    """The chosen authors of each selection, by their places."""
    return [
        "".join(str(KNOWN.index(author)) for author in authors) for authors in choose_authors(KNOWN, selections, "c")
    ]


def test_authors_come_in_order_of_first_appearance() -> None:
    documents = [Document(author=author, title="x", text="x") for author in (*KNOWN, KNOWN[1], KNOWN[0])]
    assert authors_of(documents) == KNOWN


@pytest.mark.parametrize(
    ("selection", "chosen"),
    [
        ("all", "0123"),
        ("Emily Brontë", "1"),
        ("emily", "1"),
        ("emily-bronte", "1"),
        ("emily+CHARLOTTE", "01"),
        ("charlotte+emily", "01"),
        ("wells", "3"),
    ],
)
def test_authors_are_chosen_by_name_in_the_corpus_order(selection: str, chosen: str) -> None:
    assert choose(selection) == [chosen]


def test_each_is_one_choice_of_every_author_alone() -> None:
    assert choose("each") == ["0", "1", "2", "3"]


def test_several_selections_are_an_axis_in_which_none_comes_twice() -> None:
    assert choose("anne", "each", "all", "wells+anne", "anne+wells") == ["2", "0", "1", "3", "0123", "23"]


def test_a_name_in_full_wins_over_a_longer_one_that_has_it() -> None:
    assert choose_authors(["dumas fils", "dumas"], ["dumas"], "c") == [("dumas",)]


def test_a_name_several_authors_share_is_refused() -> None:
    with pytest.raises(CorpusError, match=r"'bronte' could be Charlotte Brontë or Emily Brontë or Anne Brontë"):
        choose("bronte")


@pytest.mark.parametrize("selection", ["emilly", "", "emily+", "+"])
def test_an_unknown_author_is_refused_with_the_known_ones(selection: str) -> None:
    with pytest.raises(CorpusError, match=r"No author of corpus 'c' is named .*(Emily|There is)"):
        choose(selection)


@pytest.mark.parametrize("other", ["emily-bronte", "EMILY BRONTË", "Emily Bronte\u0308"])
@pytest.mark.parametrize("selection", ["all", "each", "anne"])
def test_two_authors_with_the_same_name_are_refused(other: str, selection: str) -> None:
    with pytest.raises(CorpusError, match="'c' has two authors with the same name, 'Emily Brontë' and "):
        choose_authors([*KNOWN, other], [selection], "c")


def test_a_choice_of_everyone_is_called_all() -> None:
    assert label(KNOWN[:1], KNOWN[:1]) == "all"
    assert label(KNOWN[:2], KNOWN) == "Charlotte Brontë+Emily Brontë"
