"""What paired losses decide between two models: different, equivalent, or not enough runs.

A margin of equivalence and a power are fixed beforehand; what the runs could have shown is said beside their outcome.
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy

from harness.analysis.statistics import CONFIDENCE, ROUNDING, Floats, Interval, mean_interval

EQUIVALENCE = math.log(1.01)
"""Of a difference of losses in nats: perplexities within 1 % of each other."""
POWER = 0.8
MOST_SEEDS = 1000
"""More are not looked for."""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(200)
"""Of the quadrature over the deviation that a sample happens to have."""

Kind = Literal["different", "equivalent", "not enough runs"]


@dataclass(frozen=True)
class Verdict:
    """What n paired differences of losses say, first model minus second."""

    kind: Kind
    difference: Interval
    """Nats a token; exp() of it is the ratio of perplexities."""
    p_value: float
    """Of Student's paired t test, or what the caller's correction made of it."""
    num_pairs: int
    first_is_better: Interval
    """P(A > B): how often the first model has the lower loss under one seed, a tie counting half."""
    detectable: float
    """The smallest difference, in nats, that as many pairs of this spread show with a chance of `POWER`, as the first
    of its family's tests to be corrected."""
    pairs_needed: int | None
    """As many pairs of this spread would show the difference observed with that chance; None beyond `MOST_SEEDS`."""
    margin: float = EQUIVALENCE
    """Of equivalence, fixed beforehand."""

    @property
    def is_negligible(self) -> bool:
        """Return whether the whole interval lies within the margin of equivalence."""
        return max(abs(self.difference.low), abs(self.difference.high)) <= self.margin


def judge(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    p_value: float | None = None,
    margin: float = EQUIVALENCE,
    num_tests: int = 1,
) -> Verdict:
    """Judge paired losses in nats a token, one pair a seed; ``p_value`` is the test's own, corrected for ``num_tests``.

    Other figures of which less is better have a ``margin`` of their own. Equivalence is two one-sided t tests at 5 %
    each (Schuirmann 1987). What is different is called so however small: `Verdict.is_negligible` says so.
    """
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    differences = differences[np.isfinite(differences)]
    interval = mean_interval(differences)
    p = _p_value(differences) if p_value is None else p_value
    deviation = float(differences.std(ddof=1)) if differences.size > 1 else math.nan
    level = (1 - CONFIDENCE) / num_tests  # Holm's of the smallest p: no test of the family has a stricter one
    return Verdict(
        kind=_kind(differences, p, margin),
        difference=interval,
        p_value=p,
        num_pairs=int(differences.size),
        first_is_better=probability_of_being_lower(differences),
        detectable=detectable_difference(deviation, differences.size, level),
        pairs_needed=pairs_needed(abs(interval.estimate), deviation, level),
        margin=margin,
    )


def _kind(differences: Floats, p_value: float, margin: float) -> Kind:
    # Of differences without any spread there is no p value, and beyond the margin nothing to doubt.
    if p_value <= 1 - CONFIDENCE or (_has_no_spread(differences) and abs(float(differences.mean())) > margin):
        return "different"
    inner = mean_interval(differences, 2 * CONFIDENCE - 1)  # a 90 % interval is two one-sided tests at 5 %
    if max(abs(inner.low), abs(inner.high)) <= margin:
        return "equivalent"
    return "not enough runs"


def _p_value(differences: Floats) -> float:
    if differences.size < 2 or _has_no_spread(differences):
        return math.nan
    return float(scipy.stats.ttest_1samp(differences, 0.0).pvalue)


def _has_no_spread(differences: Floats) -> bool:
    """Return whether several differences agree to rounding: no test can be made of them."""
    return differences.size > 1 and bool(np.ptp(differences) <= ROUNDING * max(1.0, float(np.abs(differences).max())))


def probability_of_being_lower(differences: Floats) -> Interval:
    """Return how often a difference is below zero, a tie counting half, with Wilson's interval.

    Source: Bouthillier et al. 2021, arXiv:2103.03098, for the question; Wilson 1927 for the interval.
    """
    n = differences.size
    if not n:
        return Interval(math.nan, math.nan, math.nan)
    share = float(np.mean((differences < 0) + 0.5 * (differences == 0)))
    z = float(scipy.special.ndtri((1 + CONFIDENCE) / 2))
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    margin = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return Interval(share, middle - margin, middle + margin)


def power_of(difference: float, deviation: float, num_pairs: int, level: float = 1 - CONFIDENCE) -> float:
    """Return the chance that a paired two-sided t test at a level shows a true difference; NaN below two pairs."""
    if num_pairs < 2 or not deviation > 0:
        return math.nan
    critical, quantiles, weights = _quadrature(num_pairs - 1, level)
    shift = math.sqrt(num_pairs) * difference / deviation
    # The noncentral t at a sample's own deviation is a shifted normal. SciPy's noncentral F is NaN here and there.
    beyond = scipy.special.ndtr(shift - critical * quantiles) + scipy.special.ndtr(-shift - critical * quantiles)
    return float(weights @ beyond)


@cache
def _quadrature(freedom: int, level: float) -> tuple[float, Floats, Floats]:
    """Return a t test's critical value, and nodes and weights over the deviation of a sample from a unit normal."""
    quantiles = np.sqrt(2 * scipy.special.gammaincinv(freedom / 2, (_NODES + 1) / 2) / freedom)
    return float(scipy.special.stdtrit(freedom, 1 - level / 2)), quantiles, _WEIGHTS / 2


def detectable_difference(deviation: float, num_pairs: int, level: float = 1 - CONFIDENCE) -> float:
    """Return the smallest true difference that is shown with a chance of `POWER`; NaN below two pairs."""
    return _detectable_effect(num_pairs, level) * deviation if num_pairs > 1 and deviation > 0 else math.nan


@cache
def _detectable_effect(num_pairs: int, level: float) -> float:
    """Return the same as a multiple of the deviation."""
    return float(
        scipy.optimize.brentq(lambda size: power_of(size, 1.0, num_pairs, level) - POWER, 1e-6, 1e6, xtol=1e-6)
    )


def pairs_needed(difference: float, deviation: float, level: float = 1 - CONFIDENCE) -> int | None:
    """Return the fewest pairs that show a true difference with a chance of `POWER`; None where they are too many."""
    if not deviation > 0 or not difference > 0 or power_of(difference, deviation, MOST_SEEDS, level) < POWER:
        return None
    low, high = 2, MOST_SEEDS
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if power_of(difference, deviation, middle, level) >= POWER else (middle + 1, high)
    return low
