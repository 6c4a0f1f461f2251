"""The rate at which a gradient grows or falls a step back: lines through the logarithm of its norm, near and far."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy

from harness.analysis import evidence
from harness.analysis.statistics import (
    CONFIDENCE,
    UNKNOWN,
    Interval,
    holm,
    paired_difference,
    t_margin,
    t_p_value,
    welch_p_value,
)

STAGES = {"log_norm_init": "before training", "log_norm_trained": "after training"}
"""The probed quantities, by when they were measured."""
TEST = "rate a step"
"""The primary test of each of them."""
MIN_POINTS = 4
"""Distances a rate is fitted to at least."""
BEND = 0.01
"""Share by which the near and the far half's factors a step must differ for a curve to count as bent."""
ALPHA = 1 - CONFIDENCE
_ROUNDING = 1e-9
"""Of a slope, or a difference of slopes."""


@dataclass(frozen=True, kw_only=True)
class _Line:
    """A line through the logarithm of the norm by distance: one model's, or the mean of several seeds'."""

    slopes: tuple[float, ...]
    """One a seed."""
    error: float
    """Standard error of the mean slope: over seeds, or of one seed's from the residuals."""
    freedom: int

    @property
    def slope(self) -> float:
        return float(np.mean(self.slopes))

    def p_value(self) -> float:
        """Return the p value of Student's t test that the gradient neither grows nor falls."""
        return t_p_value(self.slope, self.error, self.freedom) if self.error else _certain(self.slope)

    def rate(self) -> Interval:
        """Return the factor a step with its t interval."""
        margin = t_margin(self.error, self.freedom)
        return Interval(*(float(np.exp(self.slope + shift)) for shift in (0.0, -margin, margin)))


def _line(parts: Sequence[pd.DataFrame]) -> _Line | None:
    """Fit each seed's distances, those of them that have enough; several seeds are their own measure of error."""
    fits = [
        scipy.stats.linregress(part["at"].astype(float), part["value"].astype(float))
        for part in parts
        if len(part) >= MIN_POINTS
    ]
    if not fits:
        return None
    slopes = tuple(float(fit.slope) for fit in fits)
    if len(slopes) > 1:
        return _Line(slopes=slopes, error=float(scipy.stats.sem(slopes)), freedom=len(slopes) - 1)
    longest = max(len(part) for part in parts)
    return _Line(slopes=slopes, error=float(fits[0].stderr), freedom=longest - 2)


def fit(curve: pd.DataFrame, clipped: pd.Series) -> dict[str, object]:
    """Fit a line through the mean logarithm of the norm by distance, and one through each half of the distances."""
    first = curve.iloc[0]
    seeds = [part.sort_values("at") for _, part in curve.groupby("trial_id", sort=False)]
    # What underflows has lost its slope.
    resolved = [part[part["value"] > math.log(np.finfo(np.float64).tiny) + 1] for part in seeds]
    whole = _line(resolved)
    near = _line([part.iloc[: len(part) // 2] for part in resolved])
    far = _line([part.iloc[len(part) // 2 :] for part in resolved])
    stage = STAGES[first["quantity"]]
    mean = curve.groupby("at")["value"].mean()
    return {
        "role": "primary",
        "test": TEST,
        "model": first["model"],
        "layers": int(first["num_layers"]),
        "clip": float(first["grad_clip"]),
        "when": stage,
        **_rate_columns("factor", whole),
        **_rate_columns("near_factor", near),
        **_rate_columns("far_factor", far),
        "far_from": max(_far_from(part) for part in resolved) if near and far else math.nan,
        "bend_p": _bend(near, far),
        "furthest_over_nearest": float(np.exp(mean.iloc[-1] - mean.iloc[0])),
        "steps": float(mean.index[-1]),
        "clipped_share": clipped.get((first["kind"], first["quantity"]), math.nan),
        "n": int(curve["n"].min()),
        "seeds": len(seeds),
    }


def _far_from(part: pd.DataFrame) -> float:
    return float(part["at"].iloc[len(part) // 2]) if len(part) else math.nan


def _rate_columns(name: str, line: _Line | None) -> dict[str, float]:
    rate = line.rate() if line else UNKNOWN
    p_value = line.p_value() if line else math.nan
    return {**evidence.interval_columns(f"{name}_a_step", rate, name), f"{name}_p": p_value}


def _bend(near: _Line | None, far: _Line | None) -> float:
    """Return the p value of a t test that both halves have one slope; NaN where there are no halves.

    Paired over seeds where there are several that have both halves; else Welch's, by the errors of the two fits.
    """
    if near is None or far is None:
        return math.nan
    if len(near.slopes) == len(far.slopes) > 1:
        paired = paired_difference(far.slopes, near.slopes)
        return paired.p_value if math.isfinite(paired.p_value) else _certain(paired.interval.estimate)
    if not near.error**2 + far.error**2:
        return 1.0 if near.slope == far.slope else 0.0
    return welch_p_value(far.slope - near.slope, (near.error, far.error), (near.freedom, far.freedom))


def _certain(slope: float) -> float:
    """Return the p value of a slope, or difference of slopes, without any scatter: no test, and nothing to doubt."""
    return 1.0 if abs(slope) < _ROUNDING else 0.0


def with_shapes(table: pd.DataFrame) -> pd.DataFrame:
    """Say which curves are bent, all tests corrected together, and at which rate each goes on over a long sequence."""
    adjusted = holm(table["bend_p"])
    apart = (table["far_factor_a_step"] / table["near_factor_a_step"] - 1).abs()
    bent = (adjusted < ALPHA) & (apart > BEND)
    shapes = np.where(bent, "bent", np.where(np.isfinite(adjusted), "no bend shown", "not known"))
    shaped = table.assign(bend_p_holm=adjusted, shape=shapes).drop(columns="bend_p")
    for end in ("a_step", "low", "high", "p"):
        shaped[f"long_{end}"] = shaped[f"far_factor_{end}"].where(bent, shaped[f"factor_{end}"])
    shaped["p_corrected"] = holm(shaped["long_p"])
    shaped = shaped.drop(columns=["factor_p", "near_factor_p", "far_factor_p"]).rename(columns={"long_p": "p"})
    rate = shaped["long_a_step"]
    with np.errstate(divide="ignore", invalid="ignore"):
        halving = math.log(0.5) / np.log(rate.to_numpy(dtype=np.float64))
    return shaped.assign(halves_in_steps=np.where((rate > 0) & (rate < 1), halving, np.nan))
