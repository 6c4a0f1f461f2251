"""Intervals and tests: of a median by the order of its observations, of a mean or a slope by Student's t.

The array forms (`median_ranks`, `mean_margin`, `mean_p_values`) serve many groups at once; the others, one sample.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy  # whose stats load with the first test that is made, and take most of a second

CONFIDENCE = 0.95
FEWEST_FOR_MEDIANS = 6
"""Below it even the extremes do not bound a median with 95 %."""
_RESAMPLES = 4999
ROUNDING = 1e-12
"""Share of their size by which numbers may differ that stand for the same."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """An estimate and its interval; the bounds are NaN where the sample is too small for the confidence."""

    estimate: float
    low: float
    high: float


UNKNOWN = Interval(np.nan, np.nan, np.nan)
"""Of what was not measured."""


def median_interval(sample: npt.ArrayLike, confidence: float = CONFIDENCE, correlation: float = 0.0) -> Interval:
    """Return the median with an interval between two of the observations; needs 6 of them for 95 %."""
    ordered = np.sort(np.asarray(sample, dtype=np.float64))
    if not ordered.size:
        return UNKNOWN
    low, high = (int(rank[0]) for rank in median_ranks(np.array([ordered.size]), confidence, correlation))
    bounds = (float(ordered[low]), float(ordered[high])) if low >= 0 else (np.nan, np.nan)
    return Interval(float(np.median(ordered)), *bounds)


def mean_interval(sample: npt.ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Return the mean with its t interval; one observation has none."""
    values = np.asarray(sample, dtype=np.float64)
    if not values.size:
        return UNKNOWN
    mean = float(values.mean())
    deviation = float(values.std(ddof=1)) if values.size > 1 else np.nan
    margin = float(mean_margin(np.array([deviation]), np.array([values.size]), confidence)[0])
    return Interval(mean, mean - margin, mean + margin)


@dataclass(frozen=True)
class MedianRatio:
    """The ratio of two samples' medians, and how far it can be told from one."""

    interval: Interval
    p_value: float
    """Of the Mann-Whitney test that neither sample tends to be larger; NaN where the interval is."""


def median_ratio(first: npt.ArrayLike, second: npt.ArrayLike) -> MedianRatio:
    """Return median(second) / median(first) with its bootstrap interval; each needs 6 positive observations for it."""
    a, b = (np.asarray(sample, dtype=np.float64) for sample in (first, second))
    if not a.size or not b.size:
        return MedianRatio(UNKNOWN, np.nan)
    ratio = float(np.median(b) / np.median(a))
    if min(a.size, b.size) < FEWEST_FOR_MEDIANS:
        return MedianRatio(Interval(ratio, np.nan, np.nan), np.nan)
    if np.ptp(a) == np.ptp(b) == 0:
        return MedianRatio(Interval(ratio, ratio, ratio), 1.0 if ratio == 1 else 0.0)
    # Drawn by resampling with a generator of its own, so that the same two samples always have the same interval.
    drawn = scipy.stats.bootstrap(
        (a, b), _ratio_of_medians, confidence_level=CONFIDENCE, n_resamples=_RESAMPLES, method="percentile",
        vectorized=True, random_state=np.random.default_rng(0),
    )  # fmt: skip
    bounds = drawn.confidence_interval
    p_value = float(scipy.stats.mannwhitneyu(a, b).pvalue)
    return MedianRatio(Interval(ratio, float(bounds.low), float(bounds.high)), p_value)


def _ratio_of_medians(a: Floats, b: Floats, axis: int = -1) -> Floats:
    return np.asarray(np.median(b, axis=axis) / np.median(a, axis=axis), dtype=np.float64)


def median_ranks(
    counts: npt.ArrayLike, confidence: float = CONFIDENCE, correlation: npt.ArrayLike = 0.0
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the 0-based ranks of the ordered observations that bound each median.

    The number of observations below the median is binomial(n, 1/2), whatever their distribution. Where
    even the extremes do not reach the confidence, the low rank is -1 and the high one is n. Where each observation is
    correlated with the next one, so are the sides they lie on, and the ranks lie further out, at most at the extremes.

    Source: Gastwirth and Rubin, Effect of dependence on the level of some one-sample tests, JASA 66, 1971.
    """
    n = np.asarray(counts, dtype=np.int64)
    r = 2 / np.pi * np.arcsin(np.asarray(correlation, dtype=np.float64))
    # The inverse of the binomial distribution by its number of successes; what lies below none of them is none.
    below = np.ceil(scipy.special.bdtrik((1 - confidence) / 2, np.maximum(n, 1), 0.5)).clip(min=0)
    wider = n / 2 - (n / 2 - below) * np.sqrt((1 + r) / (1 - r))
    low = np.where(below >= 1, np.floor(wider).clip(min=1), below).astype(np.int64) - 1
    return low, n - 1 - low


def mean_margin(deviations: npt.ArrayLike, counts: npt.ArrayLike, confidence: float = CONFIDENCE) -> Floats:
    """Return half the width of each mean's t interval, from sample deviations (ddof=1); NaN below two observations."""
    n = np.asarray(counts, dtype=np.float64)
    several = n > 1
    quantiles = scipy.special.stdtrit(np.where(several, n - 1, 1), (1 + confidence) / 2)
    margins = quantiles * np.asarray(deviations, dtype=np.float64) / np.sqrt(np.where(several, n, 1))
    return np.where(several, margins, np.nan)


def t_margin(error: float, freedom: float) -> float:
    """Return half the width of the t interval of an estimate, from its standard error and degrees of freedom."""
    return float(scipy.special.stdtrit(freedom, (1 + CONFIDENCE) / 2) * error)


def t_p_value(estimate: float, error: float, freedom: float) -> float:
    """Return the two-sided p value of Student's t test of an estimate against zero, from its standard error."""
    return float(2 * scipy.special.stdtr(freedom, -(abs(estimate) / error)))


def welch_p_value(difference: float, errors: Sequence[float], freedoms: Sequence[float]) -> float:
    """Return the two-sided p value of Welch's t test that two independent estimates differ, from what each has.

    Source: Welch, The generalization of Student's problem, Biometrika 34, 1947.
    """
    variances = [error**2 for error in errors]
    shares = [variance**2 / freedom for variance, freedom in zip(variances, freedoms, strict=True)]
    return t_p_value(difference, math.sqrt(sum(variances)), sum(variances) ** 2 / sum(shares))


def mean_p_values(means: npt.ArrayLike, deviations: npt.ArrayLike, counts: npt.ArrayLike) -> Floats:
    """Return the two-sided p value of Student's t test of each mean against zero, from sample deviations (ddof=1).

    NaN below two observations, and where they agree to rounding: there is no spread a test could be made with.
    """
    m, s, n = (np.asarray(values, dtype=np.float64) for values in (means, deviations, counts))
    with np.errstate(divide="ignore", invalid="ignore"):
        p_values = 2 * scipy.special.stdtr(n - 1, -np.abs(m) / (s / np.sqrt(n)))
    return np.where((n > 1) & (s > ROUNDING * np.maximum(1.0, np.abs(m))), p_values, np.nan)


@dataclass(frozen=True)
class PairedDifference:
    """The mean of paired differences, and how far it can be told from none."""

    interval: Interval
    num_pairs: int
    p_value: float
    """Of Student's paired t test; NaN below two pairs or where all pairs differ by the same."""
    wilcoxon_p_value: float
    """Of the signed-rank test, which asks nothing of the distribution; with few pairs it cannot be small."""
    effect_size: float
    """Cohen's d of paired samples: the mean over the standard deviation of the differences."""

    @property
    def sign(self) -> int:
        """Return -1 or 1 where the interval leaves out zero, else 0."""
        return sign_beyond(self.interval, 0.0)


def sign_beyond(interval: Interval, level: float) -> int:
    """Return 1 for an interval wholly above the level, -1 for one wholly below, 0 for neither or no interval."""
    return int(interval.low > level) - int(interval.high < level)


def paired_difference(first: npt.ArrayLike, second: npt.ArrayLike) -> PairedDifference:
    """Compare first − second, pair by pair; pairs that are not finite are left out."""
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    differences = differences[np.isfinite(differences)]
    interval = mean_interval(differences)
    p_value = wilcoxon = effect = np.nan
    # Differences that agree to rounding have no spread a test could be made with.
    if differences.size > 1 and np.ptp(differences) > ROUNDING * max(1.0, np.abs(differences).max()):
        p_value = float(scipy.stats.ttest_1samp(differences, 0.0).pvalue)
        wilcoxon = float(scipy.stats.wilcoxon(differences).pvalue)
        effect = float(differences.mean() / differences.std(ddof=1))
    return PairedDifference(interval, int(differences.size), p_value, wilcoxon, effect)


def holm(p_values: npt.ArrayLike) -> Floats:
    """Return Holm's step-down adjustment of several tests' p values; NaN stays NaN and counts for nothing.

    Source: Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6, 1979.
    """
    values = np.asarray(p_values, dtype=np.float64)
    known = np.flatnonzero(np.isfinite(values))
    ordered = known[np.argsort(values[known], kind="stable")]
    adjusted = np.full(values.shape, np.nan)
    factors = np.arange(len(ordered), 0, -1)
    adjusted[ordered] = np.minimum(1.0, np.maximum.accumulate(values[ordered] * factors))
    return adjusted
