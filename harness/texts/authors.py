"""Choosing which of a corpus's authors train: all together, each alone, or some by name."""

from collections.abc import Sequence
from difflib import get_close_matches

from harness.contracts.corpora import Document
from harness.errors import CorpusError, did_you_mean
from harness.texts.names import fold, matching, read_alike

ALL = "all"
EACH = "each"


def authors_of(documents: Sequence[Document]) -> list[str]:
    """Return the authors' names in order of first appearance."""
    return list(dict.fromkeys(document.author for document in documents))


def choose_authors(known: Sequence[str], selections: Sequence[str], corpus: str) -> list[tuple[str, ...]]:
    """Return the authors of each selection, in the corpus's order.

    A selection is 'all', 'each' (one of every author alone), or names joined by '+'. Case and accents don't
    count, and one word of a name is enough where only one author has it: 'charlotte+emily'.

    Raises: CorpusError for an unknown or ambiguous name, and where two authors' names read the same.
    """
    alike = read_alike(known)
    if alike:
        raise CorpusError(
            f"Corpus {corpus!r} has two authors with the same name, {alike[0]!r} and {alike[1]!r}: "
            "give both one spelling if they are one person, else tell them apart."
        )
    chosen = [authors for selection in selections for authors in _choose(selection, known, corpus)]
    return list(dict.fromkeys(chosen))


def label(authors: Sequence[str], known: Sequence[str]) -> str:
    """Return how a trial names its authors: 'all', or their names joined by '+'."""
    return ALL if set(authors) == set(known) else "+".join(authors)


def _choose(selection: str, known: Sequence[str], corpus: str) -> list[tuple[str, ...]]:
    if selection == ALL:
        return [tuple(known)]
    if selection == EACH:
        return [(author,) for author in known]
    chosen = {_find(name, known, corpus) for name in selection.split("+")}
    return [tuple(author for author in known if author in chosen)]


def _find(name: str, known: Sequence[str], corpus: str) -> str:
    matches = matching(name, known)
    if not matches:
        raise CorpusError(f"No author of corpus {corpus!r} is named {name!r}.{_did_you_mean(name, known)}")
    if len(matches) > 1:
        raise CorpusError(f"The author {name!r} could be {' or '.join(matches)}; name one of them in full.")
    return matches[0]


def _did_you_mean(name: str, known: Sequence[str]) -> str:
    """Suggest the authors each word of a name is close to one of: 'charlote' is far from the whole of hers."""
    near = [author for author in known if all(get_close_matches(word, fold(author)) for word in fold(name))]
    return f" Did you mean {' or '.join(map(repr, near))}?" if fold(name) and near else did_you_mean(name, known)
