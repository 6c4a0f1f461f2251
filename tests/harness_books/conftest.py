from pathlib import Path

import pytest

from harness.corpus.documents import CorpusRequest


@pytest.fixture
def request_here(tmp_path: Path) -> CorpusRequest:
    """Neither a mirror nor an earlier download."""
    return CorpusRequest(mirror=None, downloads=tmp_path / "downloads", show_progress=False)
