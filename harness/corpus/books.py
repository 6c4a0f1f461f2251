"""Choosing some of a corpus's books: `wells:time-machine+war-of-the-worlds`."""

import re
from collections.abc import Sequence

from harness.corpus.documents import Document
from harness.corpus.names import fold, matching, slug
from harness.errors import CorpusError, did_you_mean

_NUMBERED = re.compile(r", \w+ \d+$")


def book_of(title: str) -> str:
    """Return the book a title belongs to: 'Agnes Grey, excerpt 2' is of 'Agnes Grey'."""
    return _NUMBERED.sub("", title)


def split_selection(selection: str) -> tuple[str, tuple[str, ...]]:
    """Return the corpus and the books named after its colon, none where there is no colon.

    Raises: CorpusError where a name is empty.
    """
    corpus, colon, names = selection.rpartition(":")
    if not colon:
        return selection, ()
    books = tuple(name.strip() for name in names.split("+"))
    if not corpus or not all(fold(book) for book in books):
        raise CorpusError(
            f"--corpus {selection!r} cannot be read: give a corpus and some of its books, as in "
            "wells:time-machine+war-of-the-worlds, or the corpus alone for all of them."
        )
    return corpus, books


def select_books(documents: Sequence[Document], names: Sequence[str], corpus: str) -> list[Document]:
    """Return the documents of the books named, in the corpus's order.

    Some words of a title are enough where only one book has them. Raises: CorpusError.
    """
    chosen = {title for name in names for title in _find(name, [document.title for document in documents], corpus)}
    return [document for document in documents if document.title in chosen]


def canonical_name(corpus: str, chosen: Sequence[Document], documents: Sequence[Document]) -> str:
    """Return the choice of these books as one name, whatever order and spelling they were asked for in."""
    left = {document.title for document in documents} - {document.title for document in chosen}
    split = {book_of(title) for title in left}
    titles = [document.title for document in chosen]
    names = dict.fromkeys(slug(title if book_of(title) in split else book_of(title)) for title in titles)
    return f"{corpus}:{'+'.join(names)}"


def _find(name: str, titles: Sequence[str], corpus: str) -> list[str]:
    """Return the titles of the one book meant: its excerpts are several."""
    whole = [title for title in titles if title == name or fold(title) == fold(name)]
    if whole:
        return whole
    books = list(dict.fromkeys(map(book_of, titles)))
    matches = matching(name, books)
    if not matches:
        raise CorpusError(f"Corpus {corpus!r} has no book {name!r}.{did_you_mean(slug(name), map(slug, books))}")
    if len(matches) > 1:
        raise CorpusError(
            f"The book {name!r} could be {' or '.join(map(slug, matches))}; give more of the title's words."
        )
    return [title for title in titles if book_of(title) == matches[0]]
