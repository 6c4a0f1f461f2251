"""The user's own catalogue: local texts known by a name, each with the hash it had when it was added.

The plugin `harness_own` announces them, so own texts take the road of all others.
"""

import hashlib
import json
import os
import re
import shlex
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from harness.contracts.corpora import CorpusRequest, Document
from harness.contracts.descriptors import Corpus
from harness.contracts.files import write_whole
from harness.contracts.visible import decoded
from harness.errors import CorpusError, did_you_mean
from harness.machine.folders import config_dir
from harness.texts.authors import authors_of
from harness.texts.decoding import UTF_8
from harness.texts.local import read_path, text_files
from harness.texts.packing import is_stream

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A registered text; the file or folder stays where it is."""

    path: str
    """Absolute."""
    author: str
    """Of all of it; empty: a folder's sub-folders are authors, as in a path given to --corpus."""
    sha256: str
    """Of each file's place in the folder, size and bytes."""
    authors: tuple[str, ...]
    books: tuple[str, ...]
    size: str
    encoding: str = UTF_8


def announced() -> list[Corpus]:
    """Return the corpora this user added."""
    return [
        Corpus(
            name=name,
            title=Path(entry.path).name,
            authors=entry.authors,
            books=entry.books,
            licence="not stated",
            loader="harness.texts.own:load",
            source=entry.path,
            size=entry.size,
        )
        for name, entry in _read().items()
    ]


def load(request: CorpusRequest) -> list[Document]:
    """Return the documents added as ``request.corpus``. Raises: CorpusError where they are not as they were."""
    entry = _read()[request.corpus]
    path = Path(entry.path)
    documents = _documents(path, entry.author, entry.encoding)
    if _hash(path) != entry.sha256:
        anew = ["harness", "corpora", "add", str(path), "--name", request.corpus]
        anew += ["--author", entry.author] if entry.author else []
        anew += ["--encoding", entry.encoding] if entry.encoding != UTF_8 else []
        raise CorpusError(
            f"Corpus {request.corpus!r}: {path} was changed since it was added (sha256 differs); to use it as it is "
            f"now: harness corpora remove {request.corpus} && {shlex.join(anew)}"
        )
    return documents


def add(path: Path, name: str, author: str, taken: Collection[str], encoding: str = UTF_8) -> Entry:
    """Register a text file or a folder of them under a name. Raises: CorpusError."""
    if not _NAME.fullmatch(name):
        raise CorpusError(f"--name {name!r} cannot be a corpus's name: use lower-case letters, digits and hyphens.")
    entries = _read()
    if name in entries:
        raise CorpusError(
            f"There is a corpus {name!r} of yours already, at {entries[name].path}: choose another name, or first "
            f"'harness corpora remove {name}'."
        )
    if name in taken:
        raise CorpusError(f"There is a corpus {name!r} already: choose another --name.")
    path, author = path.expanduser().absolute(), decoded(author)
    if is_stream(path):
        raise CorpusError(f"{path} is what another command writes, and gone with it: save it in a file and add that.")
    documents = _documents(path, author, encoding)
    entry = Entry(
        path=str(path),
        encoding=encoding,
        author=author,
        sha256=_hash(path),
        authors=tuple(authors_of(documents)),
        books=tuple(dict.fromkeys(document.name for document in documents)),
        size=f"{sum(len(document.text.encode()) for document in documents) / 1e6:.1f} MB, "
        f"{len(documents)} {'text' if len(documents) == 1 else 'texts'}",
    )
    _write(entries | {name: entry})
    return entry


def remove(name: str) -> None:
    """Forget a name; the text stays where it is. Raises: CorpusError."""
    entries = _read()
    if name not in entries:
        raise CorpusError(f"You have added no corpus {name!r}.{did_you_mean(name, entries)}")
    del entries[name]
    _write(entries)


def catalogue_path() -> Path:
    """Return the file the catalogue is kept in."""
    return config_dir() / "corpora.json"


def _documents(path: Path, author: str, encoding: str) -> list[Document]:
    documents = read_path(path, encoding)
    return [replace(document, author=author) for document in documents] if author else documents


def _hash(path: Path) -> str:
    content = hashlib.sha256()
    for file in text_files(path):
        data = file.read_bytes()
        content.update(os.fsencode(file.relative_to(path).as_posix()) + f"\n{len(data)}\n".encode() + data)
    return content.hexdigest()


def _read() -> dict[str, Entry]:
    path = catalogue_path()
    try:
        values: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        return {
            name: Entry(**entry | {"authors": tuple(entry["authors"]), "books": tuple(entry["books"])})
            for name, entry in values.items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CorpusError(
            f"Your catalogue of corpora cannot be read ({type(error).__name__}): mend or remove {path}, and add your "
            "texts again."
        ) from error


def _write(entries: dict[str, Entry]) -> None:
    path = catalogue_path()
    try:
        values = {name: asdict(entry) for name, entry in entries.items()}
        write_whole(path, json.dumps(values, indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        raise CorpusError(f"Your catalogue of corpora {path} cannot be written: {error.strerror or error}.") from error
