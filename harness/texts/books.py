"""Choosing some of a corpus's books: `wells:time-machine+war-of-the-worlds`."""

import re
from collections.abc import Callable, Sequence

from harness.contracts.corpora import Document
from harness.errors import CorpusError, did_you_mean
from harness.texts.names import fold, matching, slug

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


def book_name(document: Document) -> str:
    """Return the name of the book a document is or belongs to, as it is typed."""
    return document.name or slug(book_of(document.title))


def find_books(names: Sequence[str], known: Sequence[str], corpus: str) -> tuple[str, ...]:
    """Return the known books meant by names, some of whose words are enough. Raises: CorpusError."""
    return tuple(dict.fromkeys(_only(name, matching(name, known), known, corpus) for name in names))


def select_books(documents: Sequence[Document], names: Sequence[str], corpus: str) -> list[Document]:
    """Return the documents of the books named, in the corpus's order.

    Some words of a book's name, or of its title, are enough where only one has them. Raises: CorpusError.
    """
    wanted = [_asked_for(name, documents, corpus) for name in names]
    return [document for document in documents if any(is_wanted(document) for is_wanted in wanted)]


def canonical_name(corpus: str, chosen: Sequence[Document], documents: Sequence[Document]) -> str:
    """Return the choice of these books as one name, whatever order and spelling they were asked for in."""
    titles = {document.title for document in chosen}
    split = {book_name(document) for document in documents if document.title not in titles}
    names = dict.fromkeys(
        slug(document.title) if book_name(document) in split else book_name(document) for document in chosen
    )
    return f"{corpus}:{'+'.join(names)}"


def _asked_for(name: str, documents: Sequence[Document], corpus: str) -> Callable[[Document], bool]:
    """Return which documents are meant: those of one book, or one of its parts."""
    whole = {each.title for each in documents if name == each.title or fold(name) == fold(each.title)}
    if whole:
        return lambda document: document.title in whole
    titles = {book_name(each): book_of(each.title) for each in documents}
    titled = matching(name, list(titles.values()))
    matches = matching(name, list(titles)) or [book for book, title in titles.items() if title in titled]
    book = _only(name, matches, list(titles), corpus)
    return lambda document: book_name(document) == book


def _only(name: str, matches: Sequence[str], books: Sequence[str], corpus: str) -> str:
    if not matches:
        raise CorpusError(f"Corpus {corpus!r} has no book {name!r}.{did_you_mean(slug(name), books)}")
    if len(matches) > 1:
        raise CorpusError(f"The book {name!r} could be {' or '.join(matches)}; give more of the title's words.")
    return matches[0]
