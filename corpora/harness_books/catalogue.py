"""The catalogue: which texts are known by name, whose they are, and where they come from, byte for byte."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from harness.contracts.descriptors import Corpus
from harness_books.markers import Markers

ALL_BOOKS = "books"
"""The corpus of all whole books."""


@dataclass(frozen=True, kw_only=True)
class Text:
    """One text of an embedded collection."""

    file: str
    name: str
    author: str
    title: str
    year: int
    markers: Markers


@dataclass(frozen=True, kw_only=True)
class Collection:
    """Texts that are installed with the harness."""

    name: str
    title: str
    language: str
    licence: str
    source: str
    encoding: str
    parts: str
    """How many, in words."""
    num_bytes: int
    sha256: str
    """Of each text's file name, size and bytes, in order."""
    texts: tuple[Text, ...]


@dataclass(frozen=True, kw_only=True)
class Book:
    """A whole book, downloaded once and checked."""

    name: str
    title: str
    author: str
    year: int
    language: str
    licence: str
    repository: str
    """On GitHub, as OWNER/NAME."""
    commit: str
    path: str
    """In the repository."""
    file: str
    """Under --corpora-dir and in the downloads folder."""
    num_bytes: int
    sha256: str
    encoding: str
    gutenberg: bool
    """Whether Project Gutenberg's start and end lines enclose the book."""
    shelf: str = ""
    """The corpus of all its author's books, if it has a name of its own."""
    also: tuple[str, ...] = ()
    """Other places it may lie at under --corpora-dir."""
    urls: tuple[str, ...] = ()
    """Other places it may be downloaded from."""
    markers: Markers = field(default_factory=Markers)


@dataclass(frozen=True)
class Catalogue:
    """All of it, in its own order."""

    collections: tuple[Collection, ...]
    books: tuple[Book, ...]

    def collection(self, name: str) -> Collection:
        """Return the embedded collection of this name."""
        return next(collection for collection in self.collections if collection.name == name)

    def books_of(self, corpus: str) -> list[Book]:
        """Return the books of a corpus: one, an author's, or all."""
        return [book for book in self.books if corpus in (book.name, book.shelf, ALL_BOOKS)]

    def corpora(self) -> list[Corpus]:
        """Return what the plugin announces: collections, books, authors, and all books."""
        shelves = dict.fromkeys(book.shelf for book in self.books if book.shelf)
        names = [*(book.name for book in self.books), *shelves, ALL_BOOKS]
        return [
            *map(_collection_corpus, self.collections),
            *(_books_corpus(name, self.books_of(name)) for name in names),
        ]


@cache
def read() -> Catalogue:
    """Return the catalogue that comes with this package."""
    entries = tomllib.loads(files(__package__).joinpath("catalogue.toml").read_text(encoding="utf-8"))
    return Catalogue(
        collections=tuple(map(_collection, entries["embedded"])),
        books=tuple(Book(**_with_markers(_renamed(entry))) for entry in entries["book"]),
    )


def _collection(entry: dict[str, Any]) -> Collection:
    end = entry.pop("end", "")  # of all its texts but those that name their own
    texts = tuple(Text(**_with_markers({"end": end} | text)) for text in entry.pop("texts"))
    return Collection(**_renamed(entry), texts=texts)


def _renamed(entry: dict[str, Any]) -> dict[str, Any]:
    tuples = {name: tuple(entry[name]) for name in ("also", "urls") if name in entry}
    return {name: value for name, value in entry.items() if name != "bytes"} | {"num_bytes": entry["bytes"]} | tuples


def _with_markers(entry: dict[str, Any]) -> dict[str, Any]:
    drop = tuple((first, following) for first, following in entry.pop("drop", ()))
    return entry | {"markers": Markers(begin=entry.pop("begin", ""), end=entry.pop("end", ""), drop=drop)}


def _collection_corpus(collection: Collection) -> Corpus:
    return Corpus(
        name=collection.name,
        title=collection.title,
        authors=_unique(text.author for text in collection.texts),
        books=_unique(text.name for text in collection.texts),
        licence=collection.licence,
        loader="harness_books.embedded:load",
        source=collection.source,
        size=f"{_megabytes(collection.num_bytes)}, {collection.parts}",
    )


def _books_corpus(name: str, books: Sequence[Book]) -> Corpus:
    authors = _unique(book.author for book in books)
    single = books[0].name == name
    many = "1 book" if len(books) == 1 else f"{len(books)} books"
    sources = _unique(f"https://github.com/{book.repository}" for book in books)
    return Corpus(
        name=name,
        title=books[0].title
        if single
        else f"{many} by {authors[0] if len(authors) == 1 else f'{len(authors)} authors'}",
        authors=authors,
        books=tuple(book.name for book in books),
        licence=" and ".join(_unique(book.licence for book in books)),
        loader="harness_books.books:load",
        source=f"{', '.join(sources[:2])}{' …' if len(sources) > 2 else ''}; downloaded once, or from --corpora-dir",
        size=f"{_megabytes(sum(book.num_bytes for book in books))}, {f'{books[0].year}' if single else many}",
        downloaded=True,
        files=tuple(book.file for book in books),
    )


def _unique(names: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _megabytes(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:.1f} MB"
