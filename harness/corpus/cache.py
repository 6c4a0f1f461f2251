"""Where tokenised corpora are kept between runs: arrays by content, found again by what they came from.

``DIGEST/train.npy``, ``valid.npy`` and ``vocabulary.json`` hold a tokenised corpus; ``KEY.json`` beside the
folders says which digest a text under given options came to, and is written last.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

import numpy as np

from harness.corpus.vocabulary import Ids
from harness.errors import CorpusError
from harness.folders import CACHE_VARIABLE


@dataclass(frozen=True, kw_only=True)
class Arrays:
    """A corpus ready to be written: its ids and the bytes of its vocabulary file."""

    train: Ids
    valid: Ids
    vocabulary: bytes

    @property
    def digest(self) -> str:
        """Hash of the vocabulary and of both arrays."""
        content = hashlib.sha256(self.vocabulary)
        for array in (self.train, self.valid):
            content.update(f"{array.dtype.str}{array.shape}".encode())
            content.update(array.data)
        return content.hexdigest()


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What describes a tokenised corpus, kept so that it need not be counted again."""

    digest: str
    vocab_size: int
    train_tokens: int
    valid_tokens: int
    valid_chars_per_token: float
    unigram_valid_perplexity: float


def find(cache: Path, key: str) -> Figures | None:
    """Return what was kept under a key, or None where nothing is or where it is damaged."""
    try:
        figures = Figures(**json.loads(_index(cache, key).read_bytes()))
        return figures if _is_whole(cache / figures.digest, figures.digest) else None
    except (OSError, ValueError, TypeError):
        return None


def keep(cache: Path, key: str, arrays: Arrays, figures: Figures) -> None:
    """Write arrays and figures; two processes may do so at once, since both write the same bytes.

    Raises: CorpusError where the folder cannot be written.
    """
    folder = cache / figures.digest
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not _is_whole(folder, figures.digest):
            _write(folder, arrays)
        with _replacing(_index(cache, key)) as file:
            file.write(json.dumps(asdict(figures), indent=1).encode())
    except OSError as error:
        raise CorpusError(
            f"Cannot write the cache folder {cache}: {error.strerror or error}. "
            f"Free it, or name another folder in {CACHE_VARIABLE}."
        ) from error


def train_path(cache: Path, digest: str) -> Path:
    """Return where the ids that train are."""
    return cache / digest / "train.npy"


def valid_path(cache: Path, digest: str) -> Path:
    """Return where the ids that validate are."""
    return cache / digest / "valid.npy"


def vocabulary_path(cache: Path, digest: str) -> Path:
    """Return where the symbols are."""
    return cache / digest / "vocabulary.json"


def _index(cache: Path, key: str) -> Path:
    return cache / f"{key}.json"


def _is_whole(folder: Path, digest: str) -> bool:
    """Say whether the folder holds exactly the bytes its digest stands for."""
    cache = folder.parent
    try:
        arrays = Arrays(
            train=np.load(train_path(cache, digest), mmap_mode="r", allow_pickle=False),
            valid=np.load(valid_path(cache, digest), mmap_mode="r", allow_pickle=False),
            vocabulary=vocabulary_path(cache, digest).read_bytes(),
        )
        return arrays.digest == digest
    except (OSError, ValueError, EOFError):
        return False


def _write(folder: Path, arrays: Arrays) -> None:
    cache, digest = folder.parent, folder.name
    for path, array in ((train_path(cache, digest), arrays.train), (valid_path(cache, digest), arrays.valid)):
        with _replacing(path) as file:
            # np.save hands the bytes to the C library and misses a write that fails on a full disk.
            np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
            file.write(array.data)
    with _replacing(vocabulary_path(cache, digest)) as file:
        file.write(arrays.vocabulary)


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a new file that takes the path's place once it is whole."""
    # Whoever has the old file mapped keeps it.
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with temporary.open("xb") as file:
            yield file
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
