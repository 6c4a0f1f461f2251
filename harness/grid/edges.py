"""Whether the best point of a search lies at the edge of its space, and which option widens it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.contracts.settings import Range
from harness.grid.tuning import NUISANCES

FEWEST_POINTS = 8
"""Of 3 to 7 an optimum within is called an edge in 22 to 59 % of simulated searches (tests/grid/test_spaces.py)."""
_CLEARLY_WORSE = 0.01
"""Nats: about 1 % of perplexity. What is less is the luck of one seed."""
_TREND = 0.8
"""Rank correlation of loss and setting in the half next to the edge, from which on the loss falls towards it."""
_FACTOR = 10.0
"""By which a logarithmic range grows at a time; a linear one grows by half its length."""


def widened(values: Mapping[str, Sequence[Any]], losses: Sequence[float], best: int, space: Mapping[str, Range]) -> str:
    """Say which option widens a space where its best point lies at an edge; nothing where it does not.

    A point is at an edge if no point beyond it is clearly worse, and losses fall towards that edge in the half of the
    points next to it; a diverged point (an infinite loss) is worse. An edge behind which a setting has no values, as
    dropout below 0, is none. Below `FEWEST_POINTS` it cannot be told.
    """
    if len(losses) < FEWEST_POINTS:
        return ""
    wider = {name: _wider(name, values[name], losses, best, bounds) for name, bounds in space.items()}
    if all(wider[name] == bounds for name, bounds in space.items()):
        return ""
    return "widen it by --tune-over " + ",".join(_typed(name, bounds, wider[name]) for name, bounds in space.items())


def _typed(name: str, usual: Range, wider: Range) -> str:
    row = NUISANCES[name]
    option = row.option.removeprefix("--")
    unchanged = wider == usual and (not isinstance(row.search, Range) or usual == row.search)
    return option if unchanged else f"{option}={wider.low:g}:{wider.high:g}"


def _wider(name: str, values: Sequence[Any], losses: Sequence[float], best: int, bounds: Range) -> Range:
    numbers = np.array([_number(value) for value in values])
    low, high = (_is_edge(sign * numbers, np.array(losses), best) for sign in (1, -1))
    lowest, highest = _limits(name)
    if bounds.scale == "log":
        ends = bounds.low / _FACTOR, bounds.high * _FACTOR
    else:
        ends = bounds.low - (bounds.high - bounds.low) / 2, bounds.high + (bounds.high - bounds.low) / 2
    return replace(
        bounds,
        low=max(ends[0], lowest) if low else bounds.low,
        high=min(ends[1], highest) if high else bounds.high,
    )


def _limits(name: str) -> tuple[float, float]:
    """Return between which values a setting has any."""
    values = NUISANCES[name].values
    given = {} if values is None else values.bounds
    high = float(given.get("high", np.inf))
    return float(given.get("low", 0.0)), high if np.isinf(high) else high - 0.001


def _number(value: Any) -> float:
    return float(value.rpartition(":")[2]) if isinstance(value, str) else float(value)


def _is_edge(numbers: npt.NDArray[np.float64], losses: npt.NDArray[np.float64], best: int) -> bool:
    """Return whether the best point is at the low edge."""
    beyond = losses[numbers < numbers[best]]
    if len(losses) < 2 or (beyond > losses[best] + _CLEARLY_WORSE).any():
        return False
    alike = np.maximum(losses, losses[best] + _CLEARLY_WORSE)
    near = np.argsort(numbers, kind="stable")[: max(2, (len(losses) + 1) // 2)]
    return bool(_rank_correlation(numbers[near], alike[near]) > _TREND)


def _rank_correlation(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float:
    from scipy.stats import spearmanr  # imported where something was tuned

    if len(set(first.tolist())) < 2 or len(set(second.tolist())) < 2:
        return 0.0
    return float(spearmanr(first, second).statistic)
