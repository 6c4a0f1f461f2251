import subprocess
import sys

import pytest

from harness.contracts.corpora import CorpusRequest
from harness.texts.authors import authors_of
from harness.texts.sources import read_documents
from harness_books.plugin import harness_corpora

EMBEDDED = ["bronte", "federalist", "shakespeare", "homer", "state-of-the-union"]


def test_the_plugin_brings_collections_books_authors_and_all_books() -> None:
    names = [corpus.name for corpus in harness_corpora()]
    assert names[:5] == EMBEDDED
    assert {"time-machine", "moby-dick", "wells", "austen", "books"} <= set(names)


def test_the_plugin_imports_neither_numpy_nor_the_download_library() -> None:
    program = "import sys, harness_books.plugin; sys.exit(bool({'numpy', 'tqdm', 'requests'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("name", EMBEDDED)
def test_an_embedded_corpus_has_the_authors_and_books_it_announces(request_here: CorpusRequest, name: str) -> None:
    corpora = {corpus.name: corpus for corpus in harness_corpora()}
    documents = read_documents(name, corpora, request_here)
    assert tuple(authors_of(documents)) == corpora[name].authors
    assert tuple(dict.fromkeys(document.name for document in documents)) == corpora[name].books
