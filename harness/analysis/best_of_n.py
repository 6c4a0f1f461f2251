"""Best of n: what the best of n tuned points is expected to reach, for every n up to the number that was tried.

A single best hides how much was searched for it; the curve over n shows at which budget of tuning a ranking holds.

Source: Dodge et al. 2019, "Show Your Work", arXiv:1909.03004, with the unbiased weights of Tang et al. 2020,
arXiv:2004.13705.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy

from harness.analysis.statistics import CONFIDENCE, Floats

_RESAMPLES = 2000


def weights(num_points: int) -> Floats:
    """Return each ordered point's chance to be the best of n drawn without replacement.

    Shapes: (num_points, num_points), row n − 1 for the best of n, columns from the best point to the worst. Of N points
    the j-th best is the best of n in C(N − j, n − 1) of C(N, n) draws.
    """
    n = np.arange(1, num_points + 1)[:, None]
    worse = num_points - np.arange(1, num_points + 1)[None, :]
    return np.asarray(scipy.special.comb(worse, n - 1) / scipy.special.comb(num_points, n), dtype=np.float64)


def expected_best(losses: npt.ArrayLike) -> Floats:
    """Return the expected smallest loss of n of the points, for n = 1 … all of them.

    A point that diverged counts as spent: its loss is infinite, and so is every expectation it has a part in.
    """
    ordered = np.sort(np.where(np.isnan(losses), np.inf, np.asarray(losses, dtype=np.float64)))
    chances = weights(len(ordered))
    finite = np.where(np.isfinite(ordered), ordered, 0.0)
    expected = chances @ finite
    diverging = (chances * ~np.isfinite(ordered)).sum(axis=1) > 0
    return np.where(diverging, np.inf, expected)


def curve(losses: npt.ArrayLike, confidence: float = CONFIDENCE) -> pd.DataFrame:
    """Return the expected best of n points with a bootstrap interval: columns n, loss, low, high.

    The interval resamples the points. At the largest n it is too narrow, since no resample holds a better point than
    the best: read the curve where n is well below the number of points.
    """
    values = np.asarray(losses, dtype=np.float64)
    generator = np.random.default_rng(0)
    draws = values[generator.integers(0, len(values), (_RESAMPLES, len(values)))]
    drawn = np.sort(np.where(np.isnan(draws), np.inf, draws), axis=1)
    chances = weights(len(values))
    with np.errstate(invalid="ignore"):
        curves = np.where(np.isfinite(drawn), drawn, 0.0) @ chances.T
    curves[(~np.isfinite(drawn)).astype(float) @ chances.T > 0] = np.inf
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.quantile(curves, ends, axis=0, method="nearest")
    return pd.DataFrame({"n": np.arange(1, len(values) + 1), "loss": expected_best(values), "low": low, "high": high})


def rank_changes(curves: dict[str, Floats]) -> list[tuple[int, str]]:
    """Return from which n on which model has the lowest expected best; one entry where that never changes."""
    names = list(curves)
    shared = min(len(curve) for curve in curves.values())
    best = np.argmin(np.stack([curves[name][:shared] for name in names]), axis=0)
    changes = [0, *(np.flatnonzero(np.diff(best)) + 1)]
    return [(int(place) + 1, names[int(best[place])]) for place in changes]
