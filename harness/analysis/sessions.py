"""What timing sessions say of a speed: one by its blocks, which are correlated in time, several by how they differ.

A session times with fresh workers, so sessions differ by more than the blocks of one do. Where a run has several, the
variation over sessions is what an interval rests on: it holds all below it.

Source: Kalibera and Jones, Rigorous Benchmarking in Reasonable Time, ISMM 2013.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.analysis.statistics import (
    FEWEST_FOR_MEDIANS,
    UNKNOWN,
    Floats,
    Interval,
    mean_interval,
    median_interval,
    t_margin,
    t_p_value,
)

ALLOWANCE = 0.05
"""The standard deviation between sessions that is allowed for while it was not measured."""
FEWEST_FREEDOMS = 2
"""Degrees of freedom from which a deviation counts as measured: two sessions of each run, or one and three."""
_MOST_CORRELATED = 0.9
_MEDIAN_ERROR = math.sqrt(math.pi / 2)
"""A median's standard error over a mean's, of normal observations."""


@dataclass(frozen=True)
class SessionSpeed:
    """What one session says of a speed."""

    log_rate: float
    """Of the blocks' median rate."""
    error: float
    """Standard error from its blocks, their correlation in it."""
    num_blocks: int


@dataclass(frozen=True)
class SpeedRatio:
    """How many times as fast the second run is as the first."""

    interval: Interval
    p_value: float
    """That sessions of both have one mean; NaN where the interval is."""
    deviation: float
    """Between sessions, of the logarithm: measured, or NaN where the allowance stands for it."""


def serial_correlation(values: npt.ArrayLike, series: npt.ArrayLike) -> float:
    """Return the correlation of a block with the next one, pooled over series of blocks; none is negative.

    ``series`` says which one each value belongs to; those of one stand together, in the order of time. By ranks, so
    that one slow block does not hide it, and corrected for the bias of short series.

    Source: Marriott and Pope, Bias in the estimation of autocorrelations, Biometrika 41, 1954.
    """
    which = np.unique(np.asarray(series), return_inverse=True)[1].ravel()
    deviations = _rank_deviations(np.asarray(values, dtype=np.float64), which)
    following = which[1:] == which[:-1]
    products = np.bincount(
        which[1:], np.where(following, deviations[1:] * deviations[:-1], 0.0), which.max(initial=0) + 1
    )
    squares, sizes = np.bincount(which, deviations**2), np.bincount(which)
    usable = (sizes >= FEWEST_FOR_MEDIANS) & (squares > 0)
    if not usable.any():
        return 0.0
    total = sizes[usable].sum()
    raw = float((products[: len(sizes)][usable] / squares[usable] * sizes[usable]).sum() / total)
    return float(np.clip(raw + (1 + 4 * raw) * usable.sum() / total, 0.0, _MOST_CORRELATED))


def _rank_deviations(values: Floats, which: npt.NDArray[np.int64]) -> Floats:
    """Return each value's rank in its series less the middle rank; equal ones share theirs."""
    order = np.lexsort((values, which))
    ordered, owners = values[order], which[order]
    begins = np.ones(len(values), dtype=bool)
    begins[1:] = (ordered[1:] != ordered[:-1]) | (owners[1:] != owners[:-1])
    ties = np.cumsum(begins) - 1
    places = np.bincount(ties, np.arange(len(values))) / np.bincount(ties)
    ranks = np.empty(len(values))
    ranks[order] = places[ties]
    means = np.bincount(which, ranks) / np.bincount(which)
    return ranks - means[which]


def effective_size(num_blocks: int, correlation: float) -> float:
    """Return how many independent blocks say as much of the middle as these: of a first-order autoregression."""
    return num_blocks * (1 - correlation) / (1 + correlation)


def session_speed(rates: npt.ArrayLike, correlation: float) -> SessionSpeed:
    """Return what one session's blocks say of a speed."""
    logs = np.log(np.asarray(rates, dtype=np.float64))
    deviation = float(logs.std(ddof=1)) if logs.size > 1 else math.inf
    error = _MEDIAN_ERROR * deviation / math.sqrt(effective_size(logs.size, correlation))
    return SessionSpeed(float(np.median(logs)), error, logs.size)


def speed_ratio(first: Sequence[SessionSpeed], second: Sequence[SessionSpeed]) -> SpeedRatio:
    """Return the ratio of two runs' speeds: over sessions by the pooled t interval of their logarithms' means.

    Where too few sessions show how they differ, `ALLOWANCE` stands for it, beside what the blocks themselves scatter.
    """
    groups = [np.array([each.log_rate for each in side]) for side in (first, second)]
    if not all(group.size for group in groups):
        return SpeedRatio(UNKNOWN, math.nan, math.nan)
    estimate = float(groups[1].mean() - groups[0].mean())
    shares = math.sqrt(sum(1 / group.size for group in groups))
    freedom: float = sum(group.size - 1 for group in groups)
    blocks = math.sqrt(sum(each.error**2 for each in (*first, *second)) / (len(first) + len(second)))
    if freedom >= FEWEST_FREEDOMS:
        squares = sum(float(((group - group.mean()) ** 2).sum()) for group in groups)
        deviation = measured = math.sqrt(squares / freedom)
        # Sessions cannot differ by less than their own blocks leave open; that they seem to is chance.
        error = shares * max(deviation, blocks)
    else:
        measured, freedom = math.nan, math.inf
        error = shares * math.hypot(ALLOWANCE, blocks)
    margin = t_margin(error, freedom)
    bounds = Interval(*(math.exp(value) for value in (estimate, estimate - margin, estimate + margin)))
    return SpeedRatio(bounds, t_p_value(estimate, error, freedom), measured)


def middle(rates: npt.ArrayLike, sessions: npt.ArrayLike, correlation: float | None = None) -> Interval:
    """Return the middle of positive observations, in the order of time, with its interval.

    One session: the median, with the interval of so many independent observations as its correlated ones amount to.
    Several: the geometric mean of the sessions' medians with its t interval over sessions.
    """
    values, numbers = np.asarray(rates, dtype=np.float64), np.asarray(sessions)
    series = by_session(values, numbers)
    if len(series) > 1:
        logs = mean_interval([float(np.median(np.log(each))) for each in series])
        return Interval(*(math.exp(value) for value in (logs.estimate, logs.low, logs.high)))
    if not series:
        return UNKNOWN
    return median_interval(
        values, correlation=serial_correlation(values, numbers) if correlation is None else correlation
    )


def by_session(rates: Floats, sessions: npt.NDArray[np.int64]) -> list[Floats]:
    """Return the rates of each session, in the order they have."""
    return [rates[sessions == number] for number in np.unique(sessions)]
