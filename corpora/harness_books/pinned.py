"""Files known by their hashes: taken from the user's folder, from an earlier download, or fetched."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pooch

from harness.corpus.documents import CorpusRequest
from harness.errors import CorpusError

_TIMEOUT = (10, 30)
"""Units: seconds to connect, seconds between two reads."""


@dataclass(frozen=True, kw_only=True)
class PinnedFile:
    """A file whose every byte is known."""

    corpus: str
    file_name: str
    mirror_paths: tuple[str, ...]
    """Where it may lie in the user's folder, best first."""
    urls: tuple[str, ...]
    """Where it is fetched from, best first."""
    num_bytes: int
    sha256: str
    sha1: str


def read_pinned(file: PinnedFile, request: CorpusRequest) -> bytes:
    """Return the file's verified bytes, from ``request.mirror`` if it is there, else downloaded once.

    Raises: CorpusError where its bytes are altered or it cannot be had.
    """
    mirrored = _find_mirrored(file, request.mirror)
    if mirrored is None:
        return _verified(file, _download(file, request))
    return _verified(file, mirrored)


def _find_mirrored(file: PinnedFile, mirror: Path | None) -> Path | None:
    if mirror is None:
        return None
    return next((path for name in file.mirror_paths if (path := mirror / name).is_file()), None)


def _verified(file: PinnedFile, path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CorpusError(f"Corpus {file.corpus!r} cannot be read from {path}: {error.strerror}.") from error
    hashes = (hashlib.sha256(data).hexdigest(), hashlib.sha1(data, usedforsecurity=False).hexdigest())
    if hashes != (file.sha256, file.sha1):
        raise CorpusError(
            f"Corpus {file.corpus!r}: {path} is not the file expected ({len(data):,} bytes of {file.num_bytes:,}, "
            f"sha256 {hashes[0][:12]}… for {file.sha256[:12]}…). Remove it to have it downloaded, or put the "
            "unaltered file in its place."
        )
    return data


def _download(file: PinnedFile, request: CorpusRequest) -> Path:
    pooch.get_logger().setLevel("INFO" if request.show_progress else "WARNING")
    failures: list[str] = []
    for url in file.urls:
        try:
            # Writes beside its target, checks the hash there, and only then gives it the name.
            found = pooch.retrieve(
                url,
                known_hash=f"sha256:{file.sha256}",
                fname=file.file_name,
                path=request.downloads,
                downloader=pooch.HTTPDownloader(progressbar=request.show_progress, timeout=_TIMEOUT),
            )
            return Path(found)
        except (OSError, ValueError) as error:
            failures.append(f"{url}: {_describe(error)}")
    raise _unavailable(file, request, failures)


def _describe(error: OSError | ValueError) -> str:
    response = getattr(error, "response", None)
    if response is not None:
        return f"HTTP status {response.status_code}"
    if isinstance(error, OSError):
        return error.strerror or f"no whole answer ({type(error).__name__})"
    return "other bytes than expected (sha256 differs)"


def _unavailable(file: PinnedFile, request: CorpusRequest, failures: Iterable[str]) -> CorpusError:
    folder = "a folder" if request.mirror is None else str(request.mirror)
    return CorpusError(
        f"Corpus {file.corpus!r} could not be downloaded: {'; '.join(failures)}. Put the file into {folder} as "
        f"{file.mirror_paths[0]} and name that folder by --corpora-dir."
    )
