"""The books that come with the harness, embedded or fetched and checked: what `catalogue.toml` lists."""

from collections.abc import Sequence

from harness.contracts.hooks import Corpus, hookimpl
from harness_books import catalogue


@hookimpl
def harness_corpora() -> Sequence[Corpus]:
    """Return the corpora this plugin brings."""
    return catalogue.read().corpora()
