"""What a corpus loader is asked and what it gives: plain documents, each by one author."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Entropy:
    """A source's entropy rate: no model's expected bits per character on its text lie below it."""

    low: float
    """Bits per character; equal to ``high`` where the rate is exact, else the ends of its interval."""
    high: float
    deviation: float
    """Of the source's own −log₂ p over n characters the standard error is ``deviation`` / √n bits per character."""
    method: str
    """How the rate was found, for a reader."""


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
    taken_off: int = 0
    """Characters of its file that were the publisher's, where the user is to hear of it."""


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
    encoding: str = "utf-8"
    """Of texts on this machine that are named by their paths."""
    books: tuple[str, ...] = ()
    """Names of the books asked for, of those the corpus announces; none is all. The others are not wanted."""
