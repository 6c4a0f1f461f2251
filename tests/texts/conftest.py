import os
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.contracts.corpora import CorpusRequest, Document


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The folder of whole books, which most machines do not have."""
    named = os.environ.get("HARNESS_CORPORA_DIR")
    if not named or not Path(named, "h-g-wells/the-time-machine.txt").is_file():
        pytest.skip("HARNESS_CORPORA_DIR names no folder with h-g-wells/the-time-machine.txt")
    return Path(named)


@pytest.fixture(scope="session")
def time_machine(mirror: Path) -> Path:
    return mirror / "h-g-wells/the-time-machine.txt"


@pytest.fixture
def request_here(tmp_path: Path) -> CorpusRequest:
    return CorpusRequest(mirror=None, downloads=tmp_path / "downloads", show_progress=False)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """Write a file below tmp_path, with the folders it needs."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture
def document() -> Callable[..., Document]:
    def document(text: str, author: str = "Ann", title: str = "A book") -> Document:
        return Document(author=author, title=title, text=text)

    return document
