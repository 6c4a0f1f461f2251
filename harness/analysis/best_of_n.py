"""Best of n: what the best of n tuned points is expected to reach, for every n up to the number that was tried.

A single best hides how much was searched for it; the curve over n shows at which budget of tuning a ranking holds.

Source: Dodge et al. 2019, "Show Your Work", arXiv:1909.03004, with the unbiased weights of Tang et al. 2020,
arXiv:2004.13705.
"""

from collections.abc import Mapping

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
    (expected,) = _expected_best_of(np.asarray(losses, dtype=np.float64)[None])
    return np.asarray(expected)


def _expected_best_of(points: Floats) -> Floats:
    """Return the expected best of n of each row of points. Shapes: both (rows, num_points)."""
    ordered = np.sort(np.where(np.isnan(points), np.inf, points), axis=1)
    chances = weights(ordered.shape[1])
    expected = np.where(np.isfinite(ordered), ordered, 0.0) @ chances.T
    expected[(~np.isfinite(ordered)).astype(float) @ chances.T > 0] = np.inf
    return np.asarray(expected, dtype=np.float64)


def curve(losses: npt.ArrayLike, confidence: float = CONFIDENCE) -> pd.DataFrame:
    """Return the expected best of n points with a bootstrap interval: columns n, loss, low, high.

    The interval resamples the points. At the largest n it is too narrow, since no resample holds a better point than
    the best: read the curve where n is well below the number of points.
    """
    values = np.asarray(losses, dtype=np.float64)
    generator = np.random.default_rng(0)
    draws = values[generator.integers(0, len(values), (_RESAMPLES, len(values)))]
    curves = _expected_best_of(draws)
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.quantile(curves, ends, axis=0, method="nearest")
    return pd.DataFrame({"n": np.arange(1, len(values) + 1), "loss": expected_best(values), "low": low, "high": high})


def leaders(points: Mapping[str, npt.ArrayLike]) -> list[str]:
    """Return for each n the model whose best of n is expected to be lowest, or '' where no model's lead is shown.

    Shapes: each model's losses (num_points,), of the same points in the same order. A lead is shown where it holds in
    97.5 % of resamples of the points, drawn alike for all models: points are good or bad for all of them together.
    """
    names = list(points)
    losses = np.stack([np.asarray(points[name], dtype=np.float64) for name in names])
    num_points = losses.shape[1]
    draws = np.random.default_rng(0).integers(0, num_points, (_RESAMPLES, num_points))
    drawn = np.stack([_expected_best_of(each[draws]) for each in losses])
    first = _expected_best_of(losses).argmin(axis=0)
    leads = (drawn.argmin(axis=0) == first) & np.isfinite(drawn.min(axis=0))
    return [
        names[place] if share >= (1 + CONFIDENCE) / 2 else ""
        for place, share in zip(first, leads.mean(axis=0), strict=True)
    ]
