import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.contracts.corpora import CorpusRequest, Document
from harness.contracts.descriptors import Corpus
from harness.errors import CorpusError
from harness.texts.sources import read_documents

Write = Callable[[str, str | bytes], Path]

LOADERS = """
from harness.contracts.corpora import Document
from harness.errors import CorpusError

def load(request):
    return [Document(author="A", title="T", text=str(request.downloads))]

def fail(request):
    raise ZeroDivisionError("no pages")

def refuse(request):
    raise CorpusError("Out of print; buy it second-hand.")

def interrupt(request):
    raise KeyboardInterrupt

def give_nothing(request):
    return []

def give_text(request):
    return ["text"]

def give_none(request):
    return None
"""


@pytest.fixture
def corpora(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Corpus]:
    """A corpus of each loader of a real module, named as the loader."""
    (tmp_path / "tiny_corpus.py").write_text(LOADERS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tiny_corpus", raising=False)
    targets = {name: f"tiny_corpus:{name}" for name in LOADERS.replace("(", " ").split() if name.isidentifier()}
    targets |= {"lost-module": "no_such_module:load", "lost-function": "tiny_corpus:no_such_function"}
    return {
        name: Corpus(name=name, title=name, authors=("A",), licence="public domain", loader=target)
        for name, target in targets.items()
    }


@pytest.fixture
def read(corpora: dict[str, Corpus], request_here: CorpusRequest) -> Callable[[str], list[Document]]:
    return lambda selection: read_documents(selection, corpora, request_here)


Read = Callable[[str], list[Document]]


def test_a_known_name_is_read_by_its_loader(read: Read, request_here: CorpusRequest) -> None:
    assert read("load") == [Document(author="A", title="T", text=str(request_here.downloads))]


def test_a_known_name_wins_over_a_file_of_that_name(
    read: Read, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("load", "a file")
    monkeypatch.chdir(tmp_path)
    assert read("load")[0].author == "A"
    assert read("./load")[0].text == "a file"


def test_a_name_that_is_a_file_or_folder_here_is_a_path(
    read: Read, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("diary", "a file")
    write("books/a.txt", "a book")
    monkeypatch.chdir(tmp_path)
    assert read("diary")[0].text == "a file"
    assert read("books")[0].text == "a book"
    assert read("books/a.txt")[0].text == "a book"
    assert read(str(tmp_path / "books"))[0].text == "a book"


def test_the_home_folder_may_be_abbreviated(
    read: Read, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("book.txt", "at home")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read("~/book.txt")[0].text == "at home"


@pytest.mark.parametrize(
    "selection", ["missing.txt", "./missing", "books/missing", "../missing", ".missing", "~/no-such-file"]
)
def test_a_path_that_is_not_there_is_not_taken_for_a_name(read: Read, selection: str) -> None:
    with pytest.raises(CorpusError, match="There is no file or folder"):
        read(selection)


def test_the_home_folder_of_nobody_is_refused(read: Read) -> None:
    for selection in ("~no-such-user-here", "~no-such-user-here/book"):
        with pytest.raises(CorpusError, match="no home folder of that user"):
            read(selection)


def test_a_misspelt_name_is_refused_with_the_closest(read: Read) -> None:
    with pytest.raises(CorpusError, match=r"no corpus named 'laod', .*Did you mean 'load'\?"):
        read("laod")


@pytest.mark.parametrize("selection", ["", " ", "x" * 5_000])
def test_what_can_be_no_name_is_refused(read: Read, selection: str) -> None:
    with pytest.raises(CorpusError, match="There is no corpus named"):
        read(selection)


def test_a_loader_that_breaks_is_named_with_its_cause(read: Read) -> None:
    with pytest.raises(CorpusError, match=r"'fail' .*tiny_corpus:fail raised ZeroDivisionError: no pages"):
        read("fail")


@pytest.mark.parametrize("name", ["lost-module", "lost-function"])
def test_a_loader_that_is_not_there_is_named(read: Read, name: str) -> None:
    with pytest.raises(CorpusError, match=rf"'{name}' .*no_such_"):
        read(name)


def test_a_loader_s_own_sentence_is_kept(read: Read) -> None:
    with pytest.raises(CorpusError, match=r"^Out of print; buy it second-hand\.$"):
        read("refuse")


@pytest.mark.parametrize("name", ["give_nothing", "give_text"])
def test_a_loader_that_gives_no_documents_is_refused(read: Read, name: str) -> None:
    with pytest.raises(CorpusError, match=rf"'{name}' .*must return one or more"):
        read(name)


def test_a_loader_that_gives_none_is_refused(read: Read) -> None:
    with pytest.raises(CorpusError, match="'give_none' could not be read"):
        read("give_none")


def test_an_interrupt_passes_through(read: Read) -> None:
    with pytest.raises(KeyboardInterrupt):
        read("interrupt")


def test_every_refusal_is_a_wrong_usage() -> None:
    assert CorpusError.exit_code == 2
