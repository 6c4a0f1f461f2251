"""What a corpus loader is asked and what it gives: plain documents, each by one author."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Document:
    """One text by one author, decoded, with whatever the publisher added already taken off."""

    author: str
    title: str
    text: str


@dataclass(frozen=True, kw_only=True)
class CorpusRequest:
    """What a loader may use to find its text."""

    mirror: Path | None
    """A folder that may hold the files already (``--corpora-dir``)."""
    downloads: Path
    """Where downloaded files are kept between runs."""
    show_progress: bool
    books: tuple[str, ...] = ()
    """The books named after the corpus's colon, as typed. Others are sorted out afterwards; a loader for which
    each book is a download may leave out those that `harness.corpus.names.matching` does not find."""
