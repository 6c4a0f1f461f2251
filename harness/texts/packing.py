"""The bytes of a text's file: read up to a bound, and taken out of what they are packed in."""

import bz2
import gzip
import io
import lzma
import os
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from harness.errors import CorpusError

MOST_BYTES = 2 << 30
"""Of one text, unpacked; beyond it a slip or a bomb is likelier than a text."""
SUFFIXES = (".gz", ".bz2", ".xz", ".zst", ".zip")
"""What packed files are called; it is by their first bytes that they are known."""
_STREAMS = ("/dev/fd/", "/proc/self/fd/", "/dev/stdin")
"""Where the shell puts what a command writes: opening it waits for nobody."""


def is_stream(path: Path) -> bool:
    """Return whether a path is what another command writes, as `<(zcat x.gz)` is."""
    return str(path).startswith(_STREAMS) and stat.S_ISFIFO(path.stat().st_mode)


def read_bytes(path: Path) -> bytes:
    """Return a file's bytes, unpacked where they are packed. Raises: CorpusError; OSError."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size > MOST_BYTES:
            raise _too_large(str(path))
        data = _bounded(file, str(path))
    for magic, title, unpack in _PACKINGS:
        if data.startswith(magic):
            return _unpacked(data, title, unpack, str(path))
    return data


def _unpacked(data: bytes, title: str, unpack: Callable[[bytes, str], Any], name: str) -> bytes:
    try:
        with unpack(data, name) as file:
            return _bounded(file, name)
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError) as error:
        raise CorpusError(f"{name} begins as {title} and cannot be unpacked ({error}): get the whole file.") from error


def _bounded(file: IO[bytes], name: str) -> bytes:
    data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise _too_large(name)
    return data


def _too_large(name: str) -> CorpusError:
    return CorpusError(f"{name} holds more than {MOST_BYTES / 2**30:.0f} GiB of text: name a part of it.")


def _member(data: bytes, name: str) -> IO[bytes]:
    """Return the one text in a ZIP archive."""
    archive = zipfile.ZipFile(io.BytesIO(data))
    texts = [each for each in archive.infolist() if each.filename.lower().endswith(".txt")]
    if len(texts) != 1:
        raise CorpusError(
            f"{name} is a ZIP archive (or an EPUB or DOCX, which are such) with {len(texts)} .txt files, not one: "
            f"unzip {name}, and name the folder, or export it as text."
        )
    return archive.open(texts[0])


def _zstandard(data: bytes, name: str) -> IO[bytes]:
    try:
        import zstandard
    except ImportError:
        raise CorpusError(
            f"{name} is compressed by Zstandard, which pip install 'rnn-harness[zstd]' reads; or unzstd {name}."
        ) from None
    reader: IO[bytes] = zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True)
    return reader


_PACKINGS: tuple[tuple[bytes, str, Callable[[bytes, str], Any]], ...] = (
    (b"\x1f\x8b", "gzip", lambda data, _: gzip.GzipFile(fileobj=io.BytesIO(data))),
    (b"BZh", "bzip2", lambda data, _: bz2.BZ2File(io.BytesIO(data))),
    (b"\xfd7zXZ\x00", "xz", lambda data, _: lzma.LZMAFile(io.BytesIO(data))),  # noqa: SIM115 (its reader closes it)
    (b"\x28\xb5\x2f\xfd", "Zstandard", _zstandard),
    (b"PK\x03\x04", "a ZIP archive", _member),
)
"""By what they begin with."""
