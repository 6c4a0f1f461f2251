"""Sources whose state and emitted symbol decide the next state, so that their entropy rate is exact.

Source: Shannon, A mathematical theory of communication, 1948, theorem 5; Cover and Thomas, Elements of information
theory, 2006, theorem 4.2.4.
"""

from bisect import bisect
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from harness.errors import CorpusError

_SLOW = (
    "The source forgets its beginning too slowly for its entropy to be computed: give a larger concentration, a "
    "smaller depth, or another seed."
)

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]

_TOLERANCE = 1e-13
_MOST_STEPS = 1_000_000
_MOST_WORK = 3_000_000_000
"""Probabilities looked at: about a minute."""


@dataclass(frozen=True)
class Unifilar:
    """A source in which every state can be reached from every other one that occurs."""

    probabilities: Floats
    """Of each symbol in each state: (num_states, num_symbols)."""
    next_states: Ids
    """(num_states, num_symbols); what a symbol of probability 0 leads to does not matter."""
    start: int = 0
    """A state that occurs."""

    @cached_property
    def stationary(self) -> Floats:
        """The share of time spent in each state."""
        shares = np.zeros(len(self.probabilities))
        shares[self.start] = 1.0
        for _ in range(self._most_steps):
            # A source that stays where it is half of the time has the same shares, and no period.
            after = 0.5 * shares + 0.5 * self._pushed(shares)
            if np.abs(after - shares).sum() < _TOLERANCE:
                return np.asarray(after / after.sum())
            shares = after
        raise CorpusError(_SLOW)

    @property
    def entropy_rate(self) -> float:
        """Bits per symbol: the entropy of the next symbol, averaged over the states."""
        return float(self.stationary @ self._entropies)

    @property
    def deviation(self) -> float:
        """The standard error of −log₂ p over n symbols is this over √n.

        −log₂ p less its mean is a martingale difference plus the change of a function g of the state, where
        g − E[g after] = entropy of the state − entropy rate; the deviation is the martingale difference's.

        Source: Gordin's decomposition; Meyn and Tweedie, Markov chains and stochastic stability, 2009, section 17.4.
        """
        g = self._lasting_excess()
        surprise = self._code_lengths - self._entropies[:, None]
        change = g[self.next_states] - self._expected(g)[:, None]
        variance = self.stationary @ (self.probabilities * (surprise + change) ** 2).sum(axis=1)
        return float(np.sqrt(max(variance, 0.0)))

    def _lasting_excess(self) -> Floats:
        """Return g."""
        excess = self._entropies - self.entropy_rate
        g = np.zeros_like(excess)
        term = 0.5 * excess
        for _ in range(self._most_steps):
            g += term
            if float(self.stationary @ np.abs(term)) < _TOLERANCE:
                return g
            term = 0.5 * term + 0.5 * self._expected(term)
            term -= self.stationary @ term  # rounding would let the mean grow
        raise CorpusError(_SLOW)

    @property
    def _most_steps(self) -> int:
        return min(_MOST_STEPS, _MOST_WORK // self.probabilities.size)

    def emit(self, count: int, generator: np.random.Generator) -> Ids:
        """Return ``count`` symbols, from ``start`` on."""
        cumulated = np.cumsum(self.probabilities, axis=1)
        # Rounding leaves the last sum a little off 1; no symbol of probability 0 may take the rest.
        rows = (cumulated / cumulated[:, -1:]).tolist()
        following = self.next_states.tolist()
        state, symbols = self.start, []
        for draw in generator.random(count).tolist():
            symbol = bisect(rows[state], draw)
            symbols.append(symbol)
            state = following[state][symbol]
        return np.array(symbols, np.int64)

    def code_lengths(self, symbols: Ids) -> Floats:
        """Return −log₂ p of each symbol after those before it, from ``start`` on, in bits."""
        following = self.next_states.tolist()
        lengths = np.where(self.probabilities > 0, self._code_lengths, np.inf).tolist()
        state, bits = self.start, []
        for symbol in symbols.tolist():
            bits.append(lengths[state][symbol])
            state = following[state][symbol]
        return np.array(bits)

    @cached_property
    def _code_lengths(self) -> Floats:
        """−log₂ p by state and symbol; 0 for what does not occur."""
        return -np.log2(np.where(self.probabilities > 0, self.probabilities, 1.0))

    @cached_property
    def _entropies(self) -> Floats:
        return np.asarray((self.probabilities * self._code_lengths).sum(axis=1))

    def _pushed(self, shares: Floats) -> Floats:
        """Return the shares of the states one symbol later."""
        weights = (shares[:, None] * self.probabilities).reshape(-1)
        return np.bincount(self.next_states.reshape(-1), weights, len(shares)).astype(np.float64)

    def _expected(self, values: Floats) -> Floats:
        """Return the mean of a function of the state one symbol later, by state."""
        return np.asarray((self.probabilities * values[self.next_states]).sum(axis=1))
