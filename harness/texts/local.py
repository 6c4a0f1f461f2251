"""Text files and folders on this machine as documents."""

import os
import re
from dataclasses import replace
from pathlib import Path

import psutil

from harness.contracts.corpora import Document
from harness.contracts.visible import decoded
from harness.errors import CorpusError
from harness.texts.books import book_of
from harness.texts.decoding import UTF_8, decode
from harness.texts.gutenberg import strip_boilerplate
from harness.texts.names import slug
from harness.texts.packing import SUFFIXES, is_stream, read_bytes

_TEXT = re.compile(rf"\.txt({'|'.join(map(re.escape, SUFFIXES))})?$", re.IGNORECASE)
"""What a text's file is called in a folder."""
_COPIES = 2
"""A text is held as bytes and as characters while it is read."""


def read_path(path: Path, encoding: str = UTF_8) -> list[Document]:
    """Read a text file, or every ``.txt`` of a folder; the folder's sub-folders are authors."""
    try:
        if path.is_dir() or path.is_file():
            _require_room(path)
        if path.is_dir():
            return _read_folder(path, encoding)
        if path.is_file() or is_stream(path):
            title = path.with_suffix("").stem if path.suffix.lower() in SUFFIXES else path.stem
            return [_read_file(path, encoding, author=title, title=title)]
        exists = path.exists()
    except OSError as error:
        raise CorpusError(f"Cannot read {error.filename or path}: {error.strerror}.") from error
    if exists:
        raise CorpusError(f"{path} is neither a text file nor a folder; name a file of text.")
    raise CorpusError(f"There is no file or folder {path}; check the path.")


def _require_room(path: Path) -> None:
    """Raise a CorpusError where the text cannot fit in memory, before any of it is read."""
    size, room = sum(file.stat().st_size for file in text_files(path)), psutil.virtual_memory().available
    if size * _COPIES > room:
        raise CorpusError(
            f"{path} has {size / 1e9:,.1f} GB of text, and {room / 1e9:,.1f} GB of memory are free, of which it takes "
            f"{_COPIES} times its size: give a part of it."
        )


def text_files(path: Path) -> list[Path]:
    """Return the files `read_path` reads: the file itself, or the folder's visible ``.txt`` files, sorted."""
    return _text_files(path) if path.is_dir() else [path]


def _read_folder(folder: Path, encoding: str) -> list[Document]:
    files = _text_files(folder)
    if not files:
        raise CorpusError(
            f"The folder {folder} holds no .txt file, packed ({', '.join(SUFFIXES)}) or not; put UTF-8 text files or "
            "folders of them there."
        )
    return _told_apart([_read_member(file, folder, encoding) for file in files])


def _told_apart(documents: list[Document]) -> list[Document]:
    """Name books by their whole titles where their names read the same: 'C' and 'C#' are two."""
    titles: dict[str, set[str]] = {}
    for document in documents:
        titles.setdefault(document.name, set()).add(book_of(document.title))
    return [replace(each, name=book_of(each.title)) if len(titles[each.name]) > 1 else each for each in documents]


def _read_member(file: Path, folder: Path, encoding: str) -> Document:
    inside = file.parts[len(folder.parts) :]
    in_author_folder = len(inside) > 1
    author = inside[0] if in_author_folder else folder.resolve().name
    title = "/".join(inside[1:] if in_author_folder else inside)
    return _read_file(file, encoding, author=author, title=_TEXT.sub("", title))


def _read_file(file: Path, encoding: str, *, author: str, title: str) -> Document:
    whole = decode(read_bytes(file), str(file), encoding)
    text = strip_boilerplate(whole, str(file))
    if not text.strip():
        raise CorpusError(f"{file} is empty; name a file with text in it, or remove it from its folder.")
    author, title = decoded(author), decoded(title)
    name = slug(book_of(title)) or title
    return Document(author=author, title=title, text=text, name=name, taken_off=len(whole) - len(text))


def _text_files(folder: Path) -> list[Path]:
    """Return the folder's visible ``.txt`` files, packed or not, at any depth, sorted."""
    # A link that leaves the folder would bring text the user did not name.
    inside = folder.resolve()
    files: list[Path] = []
    folders = [str(folder)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            visible = [entry for entry in entries if not entry.name.startswith(".")]
        folders += [entry.path for entry in visible if entry.is_dir(follow_symlinks=False)]
        texts = (entry for entry in visible if _TEXT.search(entry.name) and entry.is_file())
        files += [
            Path(each.path)
            for each in texts
            # Finding out where a path really leads costs more than all else: only a link leads elsewhere.
            if not each.is_symlink() or Path(each.path).resolve().is_relative_to(inside)
        ]
    return sorted(files)
