"""What a corpus loader is asked and what it gives: plain documents, each by one author."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Document:
    """One text by one author, decoded, with whatever the publisher added already taken off."""

    author: str
    title: str
    text: str
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
    corpus: str = ""
    """The name under which the text was asked for: one loader may serve several."""
