"""What all figures share: their parts, colours, shapes and axes, and ticks at round numbers."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import numpy.typing as npt
import pandas as pd

from harness.analysis import wording
from harness.contracts.visible import visible

Rows = list[dict[str, Any]]
Spec = dict[str, Any]

COLOURS = [f"var(--series-{position})" for position in range(1, 8)]
"""Okabe and Ito's colours, which readers of every colour vision can tell apart; style.css holds their values."""
SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right"]
"""One a series beside its colour, so that no reader depends on the colour."""

RULE = "var(--rule)"
QUIET = "var(--quiet)"
_SEPARATOR = wording.SEPARATOR
HEIGHT = 240

CONFIG: Spec = {
    "background": None,
    "font": 'system-ui, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif',
    "view": {"stroke": None},
    "axis": {
        "labelColor": QUIET,
        "labelFontSize": 12,
        "titleColor": QUIET,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "gridColor": "var(--line)",
        "domain": False,
        "ticks": False,
        "labelPadding": 6,
        "titlePadding": 6,
        "labelSeparation": 8,
    },
    "axisX": {"grid": False, "domain": True, "domainColor": RULE, "ticks": True, "tickColor": RULE, "tickSize": 4},
}
"""Colours are the page's CSS variables, so that drawings follow light, dark and print by themselves."""

_TICKS_PER_DECADE = ([1], [1, 3], [1, 2, 5], [1, 1.5, 2, 3, 5, 7], [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9])


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One drawing of a figure."""

    title: str
    description: str
    """What a reader who cannot see the drawing is told."""
    spec: Spec
    """Vega-Lite, without the data and the look."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One or several drawings under one caption."""

    title: str
    panels: list[Panel]
    caption: str
    series: Sequence[str]
    """The names in the legend, in the order of `COLOURS` and `SHAPES`."""
    dashed: str = ""
    """What a dashed line means, where there is one."""
    shared: str = ""
    """What the names in the legend leave out, because all series share it."""


@dataclass(frozen=True)
class Key:
    """Which series has which colour and shape, the same in all figures of a comparison."""

    series: Sequence[str]

    @property
    def names(self) -> list[str]:
        """The series as the data name them."""
        return [visible(name) for name in self.series]

    @property
    def legend(self) -> list[str]:
        """The names without what all series share, so that a legend can be read at a glance."""
        shared = set(self._shared)
        short = [_SEPARATOR.join(part for part in name.split(_SEPARATOR) if part not in shared) for name in self.series]
        return short if all(short) else list(self.series)

    @property
    def shared(self) -> str:
        """What the legend leaves out."""
        return _SEPARATOR.join(self._shared) if self.legend != list(self.series) else ""

    @property
    def _shared(self) -> list[str]:
        parts = [name.split(_SEPARATOR) for name in self.series]
        # The first part is the cell's name, which stays.
        return [part for part in parts[0][1:] if all(part in other for other in parts)] if len(parts) > 1 else []

    def colour(self) -> alt.Color:
        """Return the colour channel; the page draws the legend, which wraps better on a phone."""
        scale = alt.Scale(domain=self.names, range=COLOURS[: len(self.series)])
        return alt.Color("series:N", scale=scale, legend=None)

    def shape(self) -> alt.Shape:
        """Return the shape channel."""
        scale = alt.Scale(domain=self.names, range=SHAPES[: len(self.series)])
        return alt.Shape("series:N", scale=scale, legend=None)


def specify(chart: alt.LayerChart) -> Spec:
    """Return the chart as Vega-Lite, as wide as its place on the page."""
    spec: Spec = chart.properties(width="container", height=HEIGHT).to_dict(validate=False)
    for part in ("$schema", "config"):
        spec.pop(part, None)
    return spec


def rows(frame: pd.DataFrame) -> Rows:
    """Return the frame as JSON values: five digits are more than a drawing shows; what is not finite is null."""
    columns = {str(name): [_value(value) for value in frame[name].tolist()] for name in frame.columns}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _value(value: Any) -> Any:
    if value is None or value is pd.NA:
        return None
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    return value


def perplexity_axis(name: str, values: Iterable[npt.ArrayLike], ceiling: float = math.inf) -> alt.Y:
    """Return the perplexity channel for these values: logarithmic where they span a factor of two."""
    known = np.concatenate([np.asarray(part, dtype=np.float64) for part in values])
    known = known[np.isfinite(known) & (known > 0)].clip(max=ceiling)
    low, high = float(known.min()), float(known.max())
    if high < 2 * low:
        margin = max((high - low) * 0.1, low * 0.01)
        scale = alt.Scale(domain=[low - margin, high + margin], nice=False, zero=False)
        return alt.Y(f"{name}:Q", scale=scale, axis=alt.Axis(title=None, tickCount=5))
    # A tenth of the span on top, where the baseline's name stands.
    low, high = low / 1.06, high * (high / low) ** 0.1
    scale = alt.Scale(type="log", domain=[low, high], nice=False)
    return alt.Y(f"{name}:Q", scale=scale, axis=alt.Axis(title=None, values=log_ticks(low, high), format="~r"))


def log_ticks(low: float, high: float) -> list[float]:
    """Return round numbers between the bounds, a handful where there are so many."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks: list[float] = []
    for steps in _TICKS_PER_DECADE:
        ticks = [float(f"{step * 10.0**decade:g}") for decade in decades for step in steps]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) >= 4:
            break
    return ticks


def whole_ticks(low: int, high: int, most: int = 6) -> list[int]:
    """Return whole numbers at a round distance, and the lower bound where no other tick is near it."""
    distances = (factor * 10**power for power in range(12) for factor in (1, 2, 5))
    distance = next(distance for distance in distances if (high - low) // distance < most)
    ticks = list(range(math.ceil(low / distance) * distance, high + 1, distance))
    return [low, *ticks] if not ticks or ticks[0] - low > distance / 2 else ticks
