import os
from pathlib import Path

import pytest

from harness.contracts.corpora import CorpusRequest


@pytest.fixture
def request_here(tmp_path: Path) -> CorpusRequest:
    """Neither a mirror nor an earlier download."""
    return CorpusRequest(mirror=None, downloads=tmp_path / "downloads", show_progress=False)


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The folder of whole books, which most machines do not have."""
    named = os.environ.get("HARNESS_CORPORA_DIR")
    if not named or not Path(named, "h-g-wells/the-time-machine.txt").is_file():
        pytest.skip("HARNESS_CORPORA_DIR names no folder with h-g-wells/the-time-machine.txt")
    return Path(named)
