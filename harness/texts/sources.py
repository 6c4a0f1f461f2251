"""From what the user selects, a corpus by name or a path, to its documents."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.contracts.corpora import CorpusRequest, Document
from harness.contracts.descriptors import Corpus
from harness.contracts.visible import decoded
from harness.errors import CorpusError, HarnessError, did_you_mean
from harness.machine.folders import default_cache_dir
from harness.texts.books import canonical_name, find_books, select_books, split_selection
from harness.texts.decoding import UTF_8
from harness.texts.local import read_path


@dataclass(frozen=True, kw_only=True)
class Texts:
    """What one selection of ``--corpus`` came to."""

    name: str
    """The corpus, with its books where some were chosen: one name for one choice, however it was typed."""
    documents: list[Document]


def request(corpora_dir: Path | None, *, show_progress: bool, encoding: str = UTF_8) -> CorpusRequest:
    """Return what loaders may use. Raises: CorpusError where ``corpora_dir`` is no folder."""
    if corpora_dir is not None and not corpora_dir.is_dir():
        raise CorpusError(
            f"There is no folder {corpora_dir}: --corpora-dir (HARNESS_CORPORA_DIR) takes a folder of texts, "
            "or leave it out to download what is needed."
        )
    return CorpusRequest(
        mirror=corpora_dir,
        downloads=default_cache_dir() / "downloads",
        show_progress=show_progress,
        encoding=encoding,
    )


def read_texts(selection: str, corpora: Mapping[str, Corpus], request: CorpusRequest) -> Texts:
    """Read a corpus, some of its books, named after a colon, or the text its parameters there make.

    Raises: CorpusError where the corpus, one of the books or a parameter is unknown.
    """
    name, books = choose(selection, corpora)
    if books and name in corpora and corpora[name].downloaded:
        request = replace(request, books=books)
    documents = read_documents(name, corpora, request)
    if not books:
        return Texts(name=decoded(name), documents=documents)
    chosen = select_books(documents, books, name)
    return Texts(name=canonical_name(decoded(name), chosen, documents), documents=chosen)


def choose(selection: str, corpora: Mapping[str, Corpus]) -> tuple[str, tuple[str, ...]]:
    """Return a selection's corpus, with its parameters or as a path, and which of its books; none is all.

    Raises: CorpusError where a download is known to have no such book, before any of it is fetched.
    """
    if selection in corpora or is_there(selection) or _parameters_of(selection, corpora):
        return selection, ()
    name, books = split_selection(selection)
    if name in corpora and corpora[name].downloaded and corpora[name].books:
        books = find_books(books, corpora[name].books, name)
    return name, books


def read_documents(selection: str, corpora: Mapping[str, Corpus], request: CorpusRequest) -> list[Document]:
    """Read a known corpus, with its parameters where it has any, else a local file or folder.

    A known name wins over a file of that name; ``./name`` gives the file.
    """
    if selection in corpora:
        return _load(corpora[selection], request)
    parameters = _parameters_of(selection, corpora)
    if parameters:
        corpus = corpora[selection.partition(":")[0]]
        return _load(corpus, replace(request, parameters=_read_parameters(corpus, parameters)))
    if _is_path(selection):
        return read_path(_expand(selection), request.encoding)
    raise CorpusError(
        f"There is no corpus named {selection!r}, and no such file or folder.{did_you_mean(selection, corpora)}"
    )


def _parameters_of(selection: str, corpora: Mapping[str, Corpus]) -> str:
    """Return what gives parameters: it stands behind the name of a corpus that has them, and names no book of it."""
    name, _, parameters = selection.partition(":")
    corpus = corpora.get(name)
    return parameters if corpus and corpus.parameters and ("=" in parameters or not corpus.books) else ""


def _read_parameters(corpus: Corpus, text: str) -> dict[str, str]:
    """Return the parameters given as 'order=2,seed=1'. Raises: CorpusError for one the corpus does not have."""
    known = [parameter.partition("=")[0] for parameter in corpus.parameters]
    parameters: dict[str, str] = {}
    for part in text.split(","):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not value:
            raise CorpusError(
                f"Corpus {corpus.name!r} cannot read {part!r}: give name=value, as in "
                f"{corpus.name}:{','.join(corpus.parameters)}."
            )
        if key not in known:
            raise CorpusError(f"Corpus {corpus.name!r} has no parameter {key!r}.{did_you_mean(key, known)}")
        if key in parameters:
            raise CorpusError(f"Corpus {corpus.name!r} is given {key!r} twice: leave one of them out.")
        parameters[key] = value
    return parameters


def _is_path(selection: str) -> bool:
    if not selection.strip():
        return False
    if "/" in selection or selection.startswith((".", "~")) or selection.endswith(".txt"):
        return True
    return is_there(selection)


def is_there(path: str) -> bool:
    """Return whether a selection is a file or folder."""
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
            "harness.contracts.corpora.Document. Report this to the plugin's author."
        )
    return documents


def _resolve(target: str) -> Callable[[CorpusRequest], Any]:
    module, _, attribute = target.partition(":")
    loader: Callable[[CorpusRequest], Any] = getattr(importlib.import_module(module), attribute)
    return loader
