import subprocess
import sys

from harness.corpus.authors import authors_of
from harness.corpus.documents import CorpusRequest
from harness.corpus.sources import read_documents
from harness_books.plugin import harness_corpora


def test_the_plugin_brings_two_corpora() -> None:
    assert [corpus.name for corpus in harness_corpora()] == ["bronte", "time-machine"]


def test_the_plugin_imports_neither_numpy_nor_the_download_library() -> None:
    program = "import sys, harness_books.plugin; sys.exit(bool({'numpy', 'pooch', 'requests'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_embedded_corpus_has_the_authors_it_announces(request_here: CorpusRequest) -> None:
    corpora = {corpus.name: corpus for corpus in harness_corpora()}
    assert tuple(authors_of(read_documents("bronte", corpora, request_here))) == corpora["bronte"].authors
