"""From what the user selects, a corpus by name or a path, to its documents."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.corpus.books import canonical_name, select_books, split_selection
from harness.corpus.documents import CorpusRequest, Document
from harness.corpus.local import read_path
from harness.descriptors import Corpus
from harness.errors import CorpusError, HarnessError, did_you_mean


@dataclass(frozen=True, kw_only=True)
class Texts:
    """What one selection of ``--corpus`` came to."""

    name: str
    """The corpus, with its books where some were chosen: one name for one choice, however it was typed."""
    documents: list[Document]


def read_texts(selection: str, corpora: Mapping[str, Corpus], request: CorpusRequest) -> Texts:
    """Read a corpus, or those of its books that are named after a colon.

    Raises: CorpusError where the corpus or one of the books is unknown.
    """
    if selection in corpora or _exists(selection):
        return Texts(name=selection, documents=read_documents(selection, corpora, request))
    corpus, books = split_selection(selection)
    documents = read_documents(corpus, corpora, replace(request, books=books))
    if not books:
        return Texts(name=corpus, documents=documents)
    chosen = select_books(documents, books, corpus)
    return Texts(name=canonical_name(corpus, chosen, documents), documents=chosen)


def read_documents(selection: str, corpora: Mapping[str, Corpus], request: CorpusRequest) -> list[Document]:
    """Read a known corpus, else a local file or folder.

    A known name wins over a file of that name; ``./name`` gives the file.
    """
    if selection in corpora:
        return _load(corpora[selection], request)
    if _is_path(selection):
        return read_path(_expand(selection))
    raise CorpusError(
        f"There is no corpus named {selection!r}, and no such file or folder.{did_you_mean(selection, corpora)}"
    )


def _is_path(selection: str) -> bool:
    if not selection.strip():
        return False
    if "/" in selection or selection.startswith((".", "~")) or selection.endswith(".txt"):
        return True
    return _exists(selection)


def _exists(path: str) -> bool:
    try:
        return bool(path.strip()) and Path(path).exists()
    except OSError:  # longer than any file name
        return False


def _expand(selection: str) -> Path:
    try:
        return Path(selection).expanduser()
    except RuntimeError as error:
        raise CorpusError(f"Cannot read {selection}: no home folder of that user is known here.") from error


def _load(corpus: Corpus, request: CorpusRequest) -> list[Document]:
    try:
        documents = list(_resolve(corpus.loader)(request))
    except HarnessError:
        raise
    except Exception as error:
        raise CorpusError(
            f"Corpus {corpus.name!r} could not be read: its loader {corpus.loader} raised "
            f"{type(error).__name__}: {error}. Report this to the plugin's author."
        ) from error
    if not documents or not all(isinstance(document, Document) for document in documents):
        raise CorpusError(
            f"Corpus {corpus.name!r} could not be read: its loader {corpus.loader} must return one or more "
            "harness.corpus.documents.Document. Report this to the plugin's author."
        )
    return documents


def _resolve(target: str) -> Callable[[CorpusRequest], Any]:
    module, _, attribute = target.partition(":")
    loader: Callable[[CorpusRequest], Any] = getattr(importlib.import_module(module), attribute)
    return loader
