"""The embedded Reber grammar, string after string: the second letter of each comes again before its last.

Every choice is even. A string has 12 letters on average and 7 choices, so the entropy rate is 7/12 bits a letter.

Source: Reber 1967; Hochreiter and Schmidhuber, Long short-term memory, 1997, experiment 1.
"""

from typing import Any

import numpy as np

from harness.contracts.corpora import CorpusRequest, Document, Entropy
from harness_markov.generated import EXACT, documents
from harness_markov.parameters import REBER, Values
from harness_markov.unifilar import Unifilar

LETTERS = "bepstvx"
_INNER = {
    0: {"b": 1},
    1: {"t": 2, "p": 3},
    2: {"s": 2, "x": 4},
    3: {"t": 3, "v": 5},
    4: {"x": 3, "s": 6},
    5: {"p": 4, "v": 6},
    6: {"e": 7},
}
"""Reber's own grammar: letters and the states they lead to; in state 7 the string is done."""


def load(request: CorpusRequest) -> list[Document]:
    """Return the text for the request's parameters."""
    return documents(request, "reber", REBER, _make)


def source() -> Unifilar:
    """Return the grammar as a source that starts a new string when one is done."""
    edges: dict[Any, dict[str, Any]] = {"begin": {"b": "branch"}, "end": {"e": "begin"}}
    edges["branch"] = {outer: (outer, 0) for outer in "tp"}
    for outer in "tp":
        for inner, letters in _INNER.items():
            edges[outer, inner] = {letter: (outer, after) for letter, after in letters.items()}
        edges[outer, 7] = {outer: "end"}
    numbers = {state: number for number, state in enumerate(edges)}
    probabilities = np.zeros((len(edges), len(LETTERS)))
    next_states = np.zeros((len(edges), len(LETTERS)), np.int64)
    for state, choices in edges.items():
        for letter, after in choices.items():
            place = numbers[state], LETTERS.index(letter)
            probabilities[place], next_states[place] = 1 / len(choices), numbers[after]
    return Unifilar(probabilities, next_states, start=numbers["begin"])


def _make(values: Values) -> tuple[str, Entropy]:
    made = source()
    symbols = made.emit(int(values["chars"]), np.random.default_rng([int(values["seed"]), 1]))
    rate = made.entropy_rate
    text = "".join(LETTERS[symbol] for symbol in symbols.tolist())
    return text, Entropy(low=rate, high=rate, deviation=made.deviation, method=EXACT)
