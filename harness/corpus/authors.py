"""Choosing some of a corpus's authors."""

import re
import unicodedata
from collections.abc import Sequence

from harness.corpus.documents import Document
from harness.errors import CorpusError, did_you_mean

ALL = "all"


def authors_of(documents: Sequence[Document]) -> list[str]:
    """Return the authors' names in order of first appearance."""
    return list(dict.fromkeys(document.author for document in documents))


def select_authors(documents: Sequence[Document], selection: str) -> list[Document]:
    """Return the documents by the authors named, in the corpus's order.

    ``selection`` is 'all', or names joined by '+'. Case and accents don't count, and one word of a
    name is enough where only one author has it: 'charlotte+emily'.
    """
    if selection == ALL:
        return list(documents)
    known = authors_of(documents)
    chosen = {_find(name, known) for name in selection.split("+")}
    return [document for document in documents if document.author in chosen]


def _find(name: str, known: Sequence[str]) -> str:
    words = _fold(name)
    whole = [author for author in known if _fold(author) == words]
    matches = whole or [author for author in known if words and set(words) <= set(_fold(author))]
    if not matches:
        raise CorpusError(f"No author of this corpus is named {name!r}.{did_you_mean(name, known)}")
    if len(matches) > 1:
        raise CorpusError(f"The author {name!r} could be {' or '.join(matches)}; name one of them in full.")
    return matches[0]


def _fold(name: str) -> tuple[str, ...]:
    """Return a name's words without case and accents: 'Charlotte Brontë' and 'charlotte-bronte' are one."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    bare = "".join(character for character in decomposed if not unicodedata.combining(character))
    return tuple(re.findall(r"\w+", bare.replace("_", " ")))
