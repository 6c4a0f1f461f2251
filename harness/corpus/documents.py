"""What a corpus loader is asked and what it gives: plain documents, each by one author."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.corpus.entropy import Entropy


@dataclass(frozen=True, kw_only=True)
class Document:
    """One text by one author, decoded, with whatever the publisher added already taken off."""

    author: str
    title: str
    text: str
    entropy: Entropy | None = None
    """Of the source the text was drawn from, where that is known."""
    name: str = ""
    """Short, stable name of the book it is or belongs to, as in ``wells:time-machine``; a book's parts share it."""


@dataclass(frozen=True, kw_only=True)
class CorpusRequest:
    """What a loader may use to find its text."""

    mirror: Path | None
    """A folder that may hold the files already (``--corpora-dir``)."""
    downloads: Path
    """Where downloaded files are kept between runs."""
    show_progress: bool
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Given behind the corpus's name; only those the corpus announces."""
    corpus: str = ""
    """The name under which the text was asked for: one loader may serve several."""
    books: tuple[str, ...] = ()
    """Names of the books asked for, of those the corpus announces; none is all. The others are not wanted."""
