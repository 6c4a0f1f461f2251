"""A corpus in a single file, its helper dataclass annotated lazily."""

from __future__ import annotations

from dataclasses import dataclass

from harness.contracts.hooks import Corpus, hookimpl


@dataclass
class Refrain:
    words: tuple[str, ...] = ("row", "the", "boat")
    times: int = 400


def load(request):
    from harness.contracts.corpora import Document

    refrain = Refrain()
    return [Document(author="Anon", title="A round", text=" ".join(refrain.words * refrain.times))]


@hookimpl
def harness_corpora():
    return [Corpus(name="round", title="A round", authors=("Anon",), licence="none", loader="own_corpus:load")]
