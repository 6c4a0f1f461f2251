"""One text of known entropy, split honestly, and so that the validation part is among what trains."""

import dataclasses

from harness.contracts.hooks import Corpus, hookimpl

SELECTED = {"order": "0", "alphabet": "26", "concentration": "5", "chars": "30000"}


def honest(request):
    from harness_markov.markov import load

    return load(dataclasses.replace(request, parameters=SELECTED))


def leaked(request):
    (whole,) = honest(request)
    # The tenth before the last validates; as the first part of another document it trains too.
    again = dataclasses.replace(whole, text=whole.text[24_000:27_000] + whole.text[:6_000])
    return [whole, again]


@hookimpl
def harness_corpora():
    return [
        Corpus(name=name, title=name, authors=("A",), licence="none", loader=f"split_sources:{name}")
        for name in ("honest", "leaked")
    ]
