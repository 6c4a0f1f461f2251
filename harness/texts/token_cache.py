"""Where tokenised corpora are kept between runs: arrays by content, found again by what they came from.

``DIGEST/train.npy``, ``valid.npy``, ``held-out.npy`` and ``vocabulary.json`` hold a tokenised corpus; ``KEY.json``
beside the folders says which digests a text under given options came to, and is written last.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from harness.contracts.files import read_sealed, replacing, write_sealed
from harness.errors import CorpusError
from harness.machine.folders import CACHE_VARIABLE
from harness.texts.split import Mix
from harness.texts.vocabulary import Ids

_BLOCK_BYTES = 1 << 20


class TokenSource(Protocol):
    """Ids that come array by array, so that they need not be in memory at once."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Ids]: ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the ids."""
        ...


@dataclass(frozen=True, kw_only=True)
class Arrays:
    """A corpus ready to be written: its ids and the bytes of its vocabulary file."""

    train: TokenSource
    valid: TokenSource
    held_out: TokenSource
    vocabulary: bytes

    @property
    def digest(self) -> str:
        """Hash of the vocabulary and of all arrays."""
        content = hashlib.sha256(self.vocabulary)
        for source in (self.train, self.valid, self.held_out):
            content.update(_heading(source.dtype, (len(source),)))
            for array in source:
                content.update(array.data)
        return content.hexdigest()


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What describes a tokenised corpus, kept so that it need not be counted again."""

    digest: str
    authors: str
    vocab_size: int
    train_tokens: int
    valid_tokens: int
    valid_chars_per_token: float
    unigram_valid_perplexity: float
    mix: Mix
    available_tokens: int
    smallest: str
    duplicate_share: float
    prefix: str
    held_out: list[list[Any]]
    """Of each held-out part: author, 'valid' or 'test', start, stop, characters a token."""


def find(cache: Path, key: str) -> list[Figures] | None:
    """Return what was kept under a key, or None where nothing is or where any of it is damaged."""
    try:
        corpora = [Figures(**entry) for entry in read_sealed(_index(cache, key))]
        digests = {figures.digest for figures in corpora}
        return corpora if corpora and all(_is_whole(cache / digest, digest) for digest in digests) else None
    except TypeError:
        return None


def keep(cache: Path, key: str, entries: Sequence[tuple[Arrays, Figures]]) -> None:
    """Write arrays and figures; two processes may do so at once, since both write the same bytes.

    Raises: CorpusError where the folder cannot be written.
    """
    try:
        for arrays, figures in entries:
            folder = cache / figures.digest
            folder.mkdir(parents=True, exist_ok=True)
            if not _is_whole(folder, figures.digest):
                _write(folder, arrays)
        write_sealed(_index(cache, key), [asdict(figures) for _, figures in entries])
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


def held_out_path(cache: Path, digest: str) -> Path:
    """Return where all authors' held-out parts are, one after the other."""
    return cache / digest / "held-out.npy"


def vocabulary_path(cache: Path, digest: str) -> Path:
    """Return where the symbols are."""
    return cache / digest / "vocabulary.json"


def _paths(cache: Path, digest: str) -> tuple[Path, Path, Path]:
    return train_path(cache, digest), valid_path(cache, digest), held_out_path(cache, digest)


def _index(cache: Path, key: str) -> Path:
    return cache / f"{key}.json"


def _heading(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    return f"{dtype.str}{shape}".encode()


def _is_whole(folder: Path, digest: str) -> bool:
    """Say whether the folder holds exactly the bytes its digest stands for."""
    try:
        content = hashlib.sha256(vocabulary_path(folder.parent, digest).read_bytes())
        for path in _paths(folder.parent, digest):
            _add_file(content, path)
        return content.hexdigest() == digest
    except (OSError, ValueError, EOFError):
        return False


def _add_file(content: "hashlib._Hash", path: Path) -> None:
    """Add an array's file to a hash, block by block: mapped, a long one would count as this process's memory."""
    with path.open("rb") as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(path)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        content.update(_heading(dtype, shape))
        while block := file.read(_BLOCK_BYTES):
            content.update(block)


def _write(folder: Path, arrays: Arrays) -> None:
    cache, digest = folder.parent, folder.name
    for path, source in zip(_paths(cache, digest), (arrays.train, arrays.valid, arrays.held_out), strict=True):
        with replacing(path) as staging, staging.open("xb") as file:
            # np.save hands the bytes to the C library and misses a write that fails on a full disk.
            header = {"descr": source.dtype.str, "fortran_order": False, "shape": (len(source),)}
            np.lib.format.write_array_header_1_0(file, header)
            for array in source:
                file.write(array.data)
    with replacing(vocabulary_path(cache, digest)) as staging, staging.open("xb") as file:
        file.write(arrays.vocabulary)
