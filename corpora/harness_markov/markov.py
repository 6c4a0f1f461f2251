"""A Markov source of any order: random rows of probabilities, one for each context.

Characters are the letters a, b, …, and as the 27th a space, which never follows a space, so that the d2l
preprocessing leaves the text as it is. The probabilities of each context are drawn from a symmetric Dirichlet
distribution; the smaller its concentration, the more predictable the text.
"""

import string

import numpy as np

from harness.contracts.corpora import CorpusRequest, Document, Entropy
from harness.errors import CorpusError
from harness_markov.generated import EXACT, documents
from harness_markov.parameters import MARKOV, Values
from harness_markov.unifilar import Unifilar

MAX_CONTEXTS = 20_000
_SPACE = 26


def load(request: CorpusRequest) -> list[Document]:
    """Return the text for the request's parameters."""
    return documents(request, "markov", MARKOV, _make)


def source(order: int, alphabet: int, concentration: float, seed: int) -> Unifilar:
    """Return the source; a state is the number that the last ``order`` characters are in base ``alphabet``.

    Raises: CorpusError where there would be too many contexts, or spaces could not be kept apart.
    """
    num_contexts = alphabet**order
    if num_contexts > MAX_CONTEXTS:
        raise CorpusError(
            f"Corpus 'markov' would have {num_contexts:,} contexts with order={order} and alphabet={alphabet}, and "
            f"takes at most {MAX_CONTEXTS:,}: lower one of them."
        )
    if alphabet > _SPACE and order == 0:
        raise CorpusError("Corpus 'markov' has 27 characters, one of them the space, only from order=1 on.")
    generator = np.random.default_rng([seed, 0])
    probabilities = generator.dirichlet(np.full(alphabet, concentration), num_contexts)
    contexts = np.arange(num_contexts)
    if alphabet > _SPACE:
        after_space = contexts % alphabet == _SPACE
        probabilities[after_space, _SPACE] = 0.0
        probabilities /= probabilities.sum(axis=1, keepdims=True)
    next_states = (contexts[:, None] * alphabet + np.arange(alphabet)) % num_contexts
    return Unifilar(probabilities, next_states)


def _make(values: Values) -> tuple[str, Entropy]:
    seed = int(values["seed"])
    made = source(int(values["order"]), int(values["alphabet"]), values["concentration"], seed)
    symbols = made.emit(int(values["chars"]), np.random.default_rng([seed, 1]))
    letters = np.array([*string.ascii_lowercase, " "])
    text = "".join(letters[symbols].tolist()).strip(" ")
    rate = made.entropy_rate
    return text, Entropy(low=rate, high=rate, deviation=made.deviation, method=EXACT)
