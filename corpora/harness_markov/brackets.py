"""Balanced brackets of several kinds, nested to a bounded depth: a Dyck language as one endless string.

A bracket opens with probability ``open``, its kind drawn evenly, and else the innermost one closes; at depth 0 one
must open, at the largest depth one must close. What closes is decided by the brackets that are open, so the depth
alone decides the entropy, whatever the number of kinds. Opening brackets are a, b, …, their closing ones z, y, …, since
the d2l preprocessing keeps letters only.
"""

import string

import numpy as np

from harness.contracts.corpora import CorpusRequest, Document, Entropy
from harness_markov.generated import EXACT, documents
from harness_markov.parameters import BRACKETS, Values
from harness_markov.unifilar import Ids, Unifilar


def load(request: CorpusRequest) -> list[Document]:
    """Return the text for the request's parameters."""
    return documents(request, "brackets", BRACKETS, _make)


def source(kinds: int, depth: int, opening: float) -> Unifilar:
    """Return the source of symbols 0 … kinds − 1, which open, and kinds, which closes; a state is a depth."""
    opens = np.full(depth + 1, opening)
    opens[0], opens[-1] = 1.0, 0.0
    probabilities = np.column_stack([*([opens / kinds] * kinds), 1 - opens])
    depths = np.arange(depth + 1)
    deeper, shallower = np.minimum(depths + 1, depth), np.maximum(depths - 1, 0)
    return Unifilar(probabilities, np.column_stack([*([deeper] * kinds), shallower]))


def spell(symbols: Ids, kinds: int) -> str:
    """Return the letters of symbols: each closing one is that of the innermost open bracket."""
    opened: list[int] = []
    letters = []
    for symbol in symbols.tolist():
        if symbol < kinds:
            opened.append(symbol)
            letters.append(string.ascii_lowercase[symbol])
        else:
            letters.append(string.ascii_lowercase[-1 - opened.pop()])
    return "".join(letters)


def _make(values: Values) -> tuple[str, Entropy]:
    kinds = int(values["kinds"])
    made = source(kinds, int(values["depth"]), values["open"])
    symbols = made.emit(int(values["chars"]), np.random.default_rng([int(values["seed"]), 1]))
    rate = made.entropy_rate
    return spell(symbols, kinds), Entropy(low=rate, high=rate, deviation=made.deviation, method=EXACT)
