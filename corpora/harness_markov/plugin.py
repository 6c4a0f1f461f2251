"""Announces the sources."""

from collections.abc import Mapping, Sequence

from harness.contracts.hooks import Corpus, hookimpl
from harness_markov.parameters import BRACKETS, HIDDEN, MARKOV, REBER, Parameter, defaults


@hookimpl
def harness_corpora() -> Sequence[Corpus]:
    """Return the four sources; each is a family of texts, chosen by its parameters."""
    return [
        _source("markov", "Markov source: each character depends on those before it", "markov", MARKOV),
        _source("hmm", "Hidden Markov source: the state behind the characters is not seen", "hidden", HIDDEN),
        _source("reber", "Embedded Reber grammar: the second letter comes again before the last", "reber", REBER),
        _source("brackets", "Balanced brackets of several kinds: z closes a, y closes b, …", "brackets", BRACKETS),
    ]


def _source(name: str, title: str, module: str, known: Mapping[str, Parameter]) -> Corpus:
    return Corpus(
        name=name,
        title=title,
        authors=(f"{name} source",),
        licence="generated, no rights",
        loader=f"harness_markov.{module}:load",
        source="generated from its seed",
        parameters=defaults(known),
    )
