"""Learning curves: how a loss falls with the size of the training text, fitted, with what the fit is worth.

Source: the form L(D) = L∞ + a D^(−b) of Hestness et al., Deep learning scaling is predictable, empirically,
arXiv:1712.00409, 2017.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy  # whose parts load with the first curve that is fitted

from harness.analysis.statistics import CONFIDENCE, Interval

MIN_SIZES = 4
"""Three parameters pass through any three points; the fourth is the first that can disagree."""
_STARTS = (0.1, 0.3, 0.6, 1.0)
_RESAMPLES = 300
_MAX_STEPS = 60
"""A flat curve has no exponent, and could be fitted for ever."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PowerLaw:
    """L(D) = floor + factor · (D / unit)^(−exponent)."""

    floor: float
    factor: float
    exponent: float
    unit: float

    def at(self, sizes: npt.ArrayLike) -> Floats:
        """Return the loss at training sizes."""
        return np.asarray(
            self.floor + self.factor * (np.asarray(sizes, np.float64) / self.unit) ** -self.exponent, np.float64
        )


@dataclass(frozen=True)
class FittedCurve:
    """A fit and its bootstrap intervals, NaN where the sizes were trained once each."""

    law: PowerLaw
    floor: Interval
    exponent: Interval
    resampled: tuple[PowerLaw, ...]

    def predict(self, size: float) -> Interval:
        """Return the loss at a size with its bootstrap interval."""
        return _interval(float(self.law.at(size)), [float(law.at(size)) for law in self.resampled])


def fit(losses: Mapping[float, Sequence[float]]) -> FittedCurve | None:
    """Fit the losses found at each size; None below `MIN_SIZES` sizes or where nothing fits.

    The bootstrap is parametric: it draws each size's mean from Student's t about the one found, as wide as its interval
    over seeds. Drawn anew among a few seeds the means would lie too close: of three seeds at less than half that width.
    It shows how chance moves the fit; it can't show that the form is wrong, which `held_out_error` may.
    """
    finite = {size: [value for value in seeds if np.isfinite(value)] for size, seeds in losses.items()}
    known = {size: seeds for size, seeds in sorted(finite.items()) if seeds}
    if len(known) < MIN_SIZES:
        return None
    sizes = np.array(list(known), np.float64)
    law = _least_squares(sizes, np.array([np.mean(seeds) for seeds in known.values()]))
    if law is None:
        return None
    resampled: list[PowerLaw] = []
    if min(len(seeds) for seeds in known.values()) > 1:
        generator = np.random.default_rng(0)  # the same losses always have the same intervals
        means = np.array([np.mean(seeds) for seeds in known.values()])
        errors = np.array([scipy.stats.sem(seeds) for seeds in known.values()])
        freedom = np.array([len(seeds) - 1 for seeds in known.values()])
        for _ in range(_RESAMPLES):
            again = _least_squares(sizes, means + errors * generator.standard_t(freedom), near=law)
            resampled += [again] if again is not None else []
    return FittedCurve(
        law=law,
        floor=_interval(law.floor, [each.floor for each in resampled]),
        exponent=_interval(law.exponent, [each.exponent for each in resampled]),
        resampled=tuple(resampled),
    )


def held_out_error(losses: Mapping[float, Sequence[float]]) -> tuple[float, float] | None:
    """Fit all sizes but the largest and predict that one: return the error, found − predicted, and how far it lay.

    The second is the factor from the largest size fitted to the one predicted. None where too few sizes are left.
    """
    means = {size: float(np.mean(seeds)) for size, seeds in sorted(losses.items()) if len(seeds)}
    *smaller, largest = means
    if len(smaller) < MIN_SIZES - 1:
        return None
    law = _least_squares(np.array(smaller, np.float64), np.array([means[size] for size in smaller]))
    if law is None:
        return None
    return means[largest] - float(law.at(largest)), largest / smaller[-1]


def _least_squares(sizes: Floats, losses: Floats, near: PowerLaw | None = None) -> PowerLaw | None:
    """Fit by bounded least squares from several exponents, and return the best."""
    unit = float(np.exp(np.mean(np.log(sizes))))
    scaled = sizes / unit
    span = float(np.ptp(losses)) or 1e-6
    if near is None:
        starts = [(max(0.0, losses.min() - span / 2), span, exponent) for exponent in _STARTS]
    else:
        starts = [(near.floor, near.factor, near.exponent)]

    def residuals(parameters: Floats) -> Floats:
        floor, factor, exponent = parameters
        return np.asarray(floor + factor * scaled**-exponent - losses, np.float64)

    best, cost = None, np.inf
    for start in starts:
        inside = np.clip(start, [0.0, -10 * span, 1e-3], [losses.max(), 100 * span, 5.0])
        solution = scipy.optimize.least_squares(
            residuals,
            inside,
            bounds=([-1e-9, -10 * span - 1e-9, 1e-4], [losses.max() + 1e-9, 100 * span + 1e-9, 5.1]),
            max_nfev=_MAX_STEPS,
        )
        if np.all(np.isfinite(solution.x)) and solution.cost < cost:
            best, cost = solution.x, float(solution.cost)
    return None if best is None else PowerLaw(max(0.0, float(best[0])), float(best[1]), float(best[2]), unit)


def _interval(estimate: float, resampled: Sequence[float]) -> Interval:
    if len(resampled) < 2:
        return Interval(estimate, np.nan, np.nan)
    low, high = np.percentile(resampled, [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)])
    return Interval(estimate, float(low), float(high))
