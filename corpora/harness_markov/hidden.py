"""A hidden Markov source: a state that is not seen moves on, and emits a letter by its own probabilities.

Its entropy rate has no closed form. It lies between the entropies of a letter after all before it, with and without
the first state known (Cover and Thomas, Elements of information theory, 2006, theorem 4.5.1). Both are means over
texts of the entropy of the forward filter's prediction, and are estimated over many independent texts; after the
first few hundred letters they agree, and what is left is the error of sampling. The interval given goes from the
lower mean less 1.96 standard errors to the upper mean and as many.
"""

import string
from dataclasses import dataclass

import numpy as np

from harness.contracts.corpora import CorpusRequest, Document, Entropy
from harness_markov.generated import documents
from harness_markov.parameters import HIDDEN, Values
from harness_markov.unifilar import Floats, Ids, Unifilar

METHOD = "estimated: the forward filter's entropy of the next letter over independent texts, with its 95 % interval"
_NUM_TEXTS, _SKIPPED, _LENGTH = 2000, 200, 1500
_NORMAL = 1.96


@dataclass(frozen=True)
class Hidden:
    """A hidden Markov source."""

    transitions: Floats
    """From state to state: (num_states, num_states)."""
    emissions: Floats
    """Of each letter in each state: (num_states, num_symbols)."""

    @property
    def stationary(self) -> Floats:
        """The share of time spent in each state."""
        count = len(self.transitions)
        return Unifilar(self.transitions, np.tile(np.arange(count), (count, 1))).stationary

    def emit(self, count: int, generator: np.random.Generator) -> Ids:
        """Return ``count`` letters."""
        num_states = len(self.transitions)
        states = Unifilar(self.transitions, np.tile(np.arange(num_states), (num_states, 1))).emit(count, generator)
        return _draw(self.emissions[states], generator)

    def filtered(self, beliefs: Floats, letters: Ids) -> Floats:
        """Return the beliefs about the next state after one more letter of each text.

        Shapes: beliefs (num_texts, num_states), letters (num_texts,).
        """
        joint = beliefs * self.emissions[:, letters].T
        return np.asarray((joint / joint.sum(axis=1, keepdims=True)) @ self.transitions)

    def entropy(
        self,
        generator: np.random.Generator,
        num_texts: int = _NUM_TEXTS,
        length: int = _LENGTH,
        skipped: int = _SKIPPED,
    ) -> Entropy:
        """Estimate the entropy rate from independent texts, leaving out the first letters of each."""
        num_states = len(self.transitions)
        shares = self.stationary
        states = _draw(np.tile(shares, (num_texts, 1)), generator)
        upper, lower = np.tile(shares, (num_texts, 1)), np.eye(num_states)[states]
        means = np.zeros((3, num_texts))  # upper bound, lower bound, −log₂ p
        for t in range(length):
            letters = _draw(self.emissions[states], generator)
            if t >= skipped:
                predictions = upper @ self.emissions
                own = predictions[np.arange(num_texts), letters]
                bits = [_entropies(predictions), _entropies(lower @ self.emissions), -np.log2(own)]
                means += np.array(bits) / (length - skipped)
            upper, lower = self.filtered(upper, letters), self.filtered(lower, letters)
            states = _draw(self.transitions[states], generator)
        margins = _NORMAL * means[:2].std(axis=1, ddof=1) / np.sqrt(num_texts)
        return Entropy(
            low=float(means[1].mean() - margins[1]),
            high=float(means[0].mean() + margins[0]),
            deviation=float(means[2].std(ddof=1) * np.sqrt(length - skipped)),
            method=METHOD,
        )


def load(request: CorpusRequest) -> list[Document]:
    """Return the text for the request's parameters."""
    return documents(request, "hmm", HIDDEN, _make)


def source(states: int, alphabet: int, concentration: float, seed: int) -> Hidden:
    """Return the source whose rows are drawn from a symmetric Dirichlet distribution."""
    generator = np.random.default_rng([seed, 0])
    return Hidden(
        generator.dirichlet(np.full(states, concentration), states),
        generator.dirichlet(np.full(alphabet, concentration), states),
    )


def _make(values: Values) -> tuple[str, Entropy]:
    seed = int(values["seed"])
    made = source(int(values["states"]), int(values["alphabet"]), values["concentration"], seed)
    letters = made.emit(int(values["chars"]), np.random.default_rng([seed, 1]))
    text = "".join(np.array([*string.ascii_lowercase])[letters].tolist())
    return text, made.entropy(np.random.default_rng([seed, 2]))


def _draw(probabilities: Floats, generator: np.random.Generator) -> Ids:
    """Return one draw from each row."""
    cumulated = np.cumsum(probabilities, axis=1)
    draws = generator.random((len(probabilities), 1)) * cumulated[:, -1:]
    return np.asarray((cumulated <= draws).sum(axis=1))


def _entropies(rows: Floats) -> Floats:
    return np.asarray(-(rows * np.log2(np.where(rows > 0, rows, 1.0))).sum(axis=1))
