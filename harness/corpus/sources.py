"""From what the user selects, a corpus by name or a path, to its documents."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.corpus.documents import CorpusRequest, Document
from harness.corpus.local import read_path
from harness.descriptors import Corpus
from harness.errors import CorpusError, HarnessError, did_you_mean


def read_documents(selection: str, corpora: Mapping[str, Corpus], request: CorpusRequest) -> list[Document]:
    """Read a known corpus, else a local file or folder.

    A known name wins over a file of that name; ``./name`` gives the file.
    """
    if selection in corpora:
        return _load(corpora[selection], request)
    name, colon, parameters = selection.partition(":")
    if colon and name in corpora and corpora[name].parameters:
        return _load(corpora[name], replace(request, parameters=_read_parameters(corpora[name], parameters)))
    if _is_path(selection):
        return read_path(_expand(selection))
    raise CorpusError(
        f"There is no corpus named {selection!r}, and no such file or folder.{did_you_mean(selection, corpora)}"
    )


def _read_parameters(corpus: Corpus, text: str) -> dict[str, str]:
    """Return the parameters given as 'order=2,seed=1'. Raises: CorpusError for one the corpus does not have."""
    known = [parameter.partition("=")[0] for parameter in corpus.parameters]
    given: dict[str, str] = {}
    for part in text.split(","):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not value:
            raise CorpusError(
                f"Corpus {corpus.name!r} cannot read {part!r}: give name=value, as in "
                f"{corpus.name}:{','.join(corpus.parameters)}."
            )
        if key not in known:
            raise CorpusError(f"Corpus {corpus.name!r} has no parameter {key!r}.{did_you_mean(key, known)}")
        if key in given:
            raise CorpusError(f"Corpus {corpus.name!r} is given {key!r} twice: leave one of them out.")
        given[key] = value
    return given


def _is_path(selection: str) -> bool:
    if not selection.strip():
        return False
    if "/" in selection or selection.startswith((".", "~")) or selection.endswith(".txt"):
        return True
    try:
        return Path(selection).exists()
    except OSError:  # longer than any file name
        return False


def _expand(selection: str) -> Path:
    try:
        return Path(selection).expanduser()
    except RuntimeError as error:
        raise CorpusError(f"Cannot read {selection}: no home folder of that user is known here.") from error


def _load(corpus: Corpus, request: CorpusRequest) -> list[Document]:
    try:
        documents = list(_resolve(corpus.loader)(replace(request, corpus=corpus.name)))
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
