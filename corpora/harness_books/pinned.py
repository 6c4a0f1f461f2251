"""Files known by their hashes: taken from the user's folder, from an earlier download, or fetched."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import filelock
import requests
from tqdm import tqdm

from harness.contracts.corpora import CorpusRequest
from harness.errors import CorpusError

_TIMEOUT = (10, 30)
"""Units: seconds to connect, seconds between two reads."""
_CHUNK_BYTES = 1 << 13


@dataclass(frozen=True, kw_only=True)
class PinnedFile:
    """A file whose every byte is known."""

    corpus: str
    file: str
    """Where it lies in the user's folder, and in the downloads folder."""
    urls: tuple[str, ...]
    """Where it is fetched from, best first."""
    num_bytes: int
    sha256: str
    also: tuple[str, ...] = ()
    """Other places in the user's folder."""


def read_pinned(file: PinnedFile, request: CorpusRequest) -> bytes:
    """Return the file's verified bytes, from ``request.mirror`` if it is there, else downloaded once.

    Raises: CorpusError where its bytes are altered or it cannot be had.
    """
    mirrored = _find_mirrored(file, request.mirror)
    if mirrored is not None:
        return _verified(file, mirrored)
    target = _inside(request.downloads, file.file, file.corpus)
    if not _is_whole(file, target):
        _fetch(file, target, request)
    return _verified(file, target)


def _find_mirrored(file: PinnedFile, mirror: Path | None) -> Path | None:
    if mirror is None:
        return None
    places = (_inside(mirror, name, file.corpus) for name in (file.file, *file.also))
    return next((path for path in places if path.is_file()), None)


def _inside(folder: Path, name: str, corpus: str) -> Path:
    """Return the file's path. Raises: CorpusError where it leads out of the folder, also through a link."""
    path = folder / name
    climbs = PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts
    if climbs or not path.resolve().is_relative_to(folder.resolve()):
        raise CorpusError(
            f"Corpus {corpus!r}: {name} leads out of the folder {folder}; put the file itself there, not a link to it."
        )
    return path


def _verified(file: PinnedFile, path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CorpusError(f"Corpus {file.corpus!r} cannot be read from {path}: {error.strerror}.") from error
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != file.sha256:
        short = len(data) < file.num_bytes
        wrong = f"it has {len(data):,} of {file.num_bytes:,} bytes and may be cut off" if short else "it was altered"
        raise CorpusError(
            f"Corpus {file.corpus!r}: {path} is not the file expected: {wrong} "
            f"(sha256 {sha256[:12]}… for {file.sha256[:12]}…). Remove it to have it downloaded, or put the "
            "unaltered file in its place."
        )
    return data


def _is_whole(file: PinnedFile, path: Path) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256
    except OSError:
        return False


def _fetch(file: PinnedFile, target: Path, request: CorpusRequest) -> None:
    """Download into a ``.part`` beside the target, going on where an earlier download ended; then give it the name."""
    part = target.with_name(f"{target.name}.part")
    failures: list[str] = []
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(request.downloads / ".lock"):
            if _is_whole(file, target):  # by another process, while this one waited
                return
            for url in file.urls:
                failure = _download(file, url, part, request)
                if not failure:
                    part.replace(target)
                    return
                failures.append(f"{url}: {failure}")
    except OSError as error:
        failures.append(f"{error.filename or target}: {error.strerror or error}")
    raise _unavailable(file, request, failures)


def _download(file: PinnedFile, url: str, part: Path, request: CorpusRequest) -> str:
    """Return why the part is not the whole file now; empty where it is."""
    try:
        resumed = 0 < _size(part) < file.num_bytes
        _continue(file, url, part, request)
        if resumed and _size(part) >= file.num_bytes and not _is_whole(file, part):
            # What was there before may have been something else's beginning.
            part.unlink()
            _continue(file, url, part, request)
    except requests.RequestException as error:
        return _describe(error)
    return "" if _is_whole(file, part) else _incomplete(file, part)


def _continue(file: PinnedFile, url: str, part: Path, request: CorpusRequest) -> None:
    # The environment's proxies and certificates are respected: requests reads HTTPS_PROXY and REQUESTS_CA_BUNDLE.
    done = _size(part)
    if done >= file.num_bytes:
        part.unlink()
        done = 0
    # Compressed on the way, a range would count other bytes.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
        response.raise_for_status()
        if response.status_code != requests.codes.partial_content:
            done = 0
        with part.open("ab" if done else "wb") as output, _progress(file, request, done) as bar:
            _copy(response, output.write, bar, most=file.num_bytes - done)


def _copy(response: requests.Response, write: Callable[[bytes], int], bar: "tqdm[None]", most: int) -> None:
    for chunk in response.iter_content(_CHUNK_BYTES):
        # One byte more than expected is kept, so that the hash tells.
        write(chunk[: most + 1])
        bar.update(len(chunk))
        most -= len(chunk)
        if most < 0:
            return


def _progress(file: PinnedFile, request: CorpusRequest, done: int) -> "tqdm[None]":
    return tqdm(
        total=file.num_bytes,
        initial=done,
        desc=file.corpus,
        unit="B",
        unit_scale=True,
        disable=not request.show_progress,
        ncols=79,
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _incomplete(file: PinnedFile, part: Path) -> str:
    size = _size(part)
    if size < file.num_bytes:
        return f"it ended after {size:,} of {file.num_bytes:,} bytes (the same command goes on from there)"
    part.unlink()
    return "other bytes than expected (sha256 differs)"


def _describe(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"HTTP status {error.response.status_code}"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "it ended too early (the same command goes on from there)"
    return f"no answer ({type(error).__name__}; behind a proxy, set HTTPS_PROXY)"


def _unavailable(file: PinnedFile, request: CorpusRequest, failures: Sequence[str]) -> CorpusError:
    folder = "a folder" if request.mirror is None else str(request.mirror)
    return CorpusError(
        f"Corpus {file.corpus!r} could not be downloaded: {'; '.join(failures)}. Try again later, or put the file "
        f"into {folder} as {file.file} and name that folder by --corpora-dir."
    )
