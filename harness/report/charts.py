"""The one kind of figure exercises draw: a quantity against another, by series, with intervals where there are any."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import altair as alt
import numpy as np
import pandas as pd

from harness.analysis import wording
from harness.contracts.visible import visible
from harness.report.drawing import COLOURS, Figure, Key, Panel, Rows, rows, specify


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One axis: its title, and whether it is logarithmic."""

    title: str
    log: bool = False
    zero: bool = False
    nominal: bool = False
    """Whether it names things."""


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A figure with its data; no figure where there is nothing to draw."""

    figure: Figure | None
    datasets: Mapping[str, Rows]


NOTHING = Drawn(figure=None, datasets={})


def draw(
    points: pd.DataFrame,
    *,
    name: str,
    title: str,
    x: Axis,
    y: Axis,
    caption: str,
    lines: bool = True,
    level: float | None = None,
) -> Drawn:
    """Draw the columns x, y, low, high by the column series; ``level`` is a dotted line to read against.

    On a logarithmic axis what is not positive has no place: the caption says how many points that leaves out.
    """
    series = [str(value) for value in points["series"].drop_duplicates()][: len(COLOURS)]
    candidates = _candidates(points, series, x, y)
    shown = candidates[_has_place(candidates, x, y)]
    if shown.empty:
        return NOTHING
    key = Key(series)
    chart = alt.layer(*_layers(shown, key, name, x, y, lines, level))
    sentences = [caption]
    if points["series"].nunique() > len(series):
        sentences.append(f"Only {len(series)} of {points['series'].nunique()} series are drawn.")
    if left_out := len(candidates) - len(shown):
        sentences.append(f"{wording.plural(left_out, 'point')} of zero or unknown value cannot be drawn here.")
    figure = Figure(
        title=title,
        panels=[Panel(title=y.title, description=_describe(shown, x, y), spec=specify(chart))],
        caption=" ".join(sentences),
        series=key.legend,
        shared=key.shared,
    )
    return Drawn(figure=figure, datasets={name: rows(shown[["series", "x", "y", "low", "high"]])})


def _candidates(points: pd.DataFrame, series: Sequence[str], x: Axis, y: Axis) -> pd.DataFrame:
    """Return the points of these series as a reader sees their names; a bound without a place is none."""
    candidates = points[points["series"].isin(series)].copy()
    for column in ("series", *(column for axis, column in ((x, "x"), (y, "y")) if axis.nominal)):
        candidates[column] = candidates[column].map(visible)
    if y.log:
        candidates.loc[~(candidates["low"].astype(float) > 0), "low"] = np.nan
    return candidates


def _has_place(points: pd.DataFrame, x: Axis, y: Axis) -> pd.Series:
    """Return which points have a place on both axes."""
    placed = pd.Series(True, index=points.index)
    for axis, column in ((x, "x"), (y, "y")):
        if not axis.nominal:
            values = points[column].astype(float)
            placed &= np.isfinite(values) & ((values > 0) | (not axis.log))
    return placed


def _layers(
    shown: pd.DataFrame, key: Key, dataset: str, x: Axis, y: Axis, lines: bool, level: float | None
) -> list[alt.Chart]:
    base = alt.Chart(alt.NamedData(dataset)).encode(
        x=_channel(alt.X, "x", x, _are_whole(shown["x"], x)), color=key.colour()
    )
    if x.nominal and len(key.names) > 1:
        base = base.encode(xOffset=alt.XOffset("series:N", sort=key.names))  # so that intervals do not hide each other
    values = _channel(alt.Y, "y", y)
    tooltip = [alt.Tooltip("series:N")]
    tooltip += [alt.Tooltip("x:N") if x.nominal else alt.Tooltip("x:Q", format=".4~g")]
    tooltip += [alt.Tooltip(f"{column}:Q", format=".4~g") for column in ("y", "low", "high")]
    layers = [_level(level, values)] if level is not None else []
    if lines:
        layers.append(base.mark_line(strokeWidth=2).encode(y=values))
    if shown[["low", "high"]].astype(float).notna().all(axis=1).any():
        bounded = base.transform_filter("isValid(datum.low) && isValid(datum.high)")
        layers.append(bounded.mark_rule(strokeWidth=1.5).encode(y=alt.Y("low:Q"), y2="high:Q"))
    layers.append(base.mark_point(size=55, filled=True, opacity=1).encode(y=values, shape=key.shape(), tooltip=tooltip))
    return layers


def _are_whole(values: pd.Series, axis: Axis) -> bool:
    return not axis.nominal and bool((values.astype(float) % 1 == 0).all())


def _channel(kind: type, column: str, axis: Axis, whole: bool = False) -> alt.X | alt.Y:
    if axis.nominal:
        return kind(f"{column}:N", sort=None, axis=alt.Axis(title=axis.title, labelAngle=0))
    scale = alt.Scale(type="log", nice=False) if axis.log else alt.Scale(zero=axis.zero)
    title = axis.title if kind is alt.X else None
    # Over many decades decimals would be rows of zeros; anywhere else powers are harder to read.
    powers = axis.log and kind is alt.Y
    steps = {"tickMinStep": 1} if whole and not axis.log else {}  # there is no epoch 1.5
    form = "~e" if powers else ",~r"
    return kind(f"{column}:Q", scale=scale, axis=alt.Axis(title=title, tickCount=6, format=form, **steps))


def _level(level: float, values: alt.Y) -> alt.Chart:
    mark = alt.Chart(alt.Data(values=[{"y": level}])).mark_rule(
        color="var(--rule)", strokeDash=[1, 3], strokeCap="round", strokeWidth=1.5
    )
    return mark.encode(y=values)


def _describe(points: pd.DataFrame, x: Axis, y: Axis) -> str:
    ends = points.groupby("series", sort=False).last()
    named = [
        f"{series} {row.y:.4g} at {row.x if x.nominal else format(row.x, '.4g')}"
        for series, row in zip(ends.index, ends.itertuples(), strict=True)
    ]
    return f"Chart of {y.title} against {x.title}. Last points: {wording.enumerate_names(named, 8)}."


def point_frame(points: Sequence[tuple[str, float | str, float, float, float]]) -> pd.DataFrame:
    """Return points (series, x, y, low, high) as `draw` takes them."""
    return pd.DataFrame(points, columns=["series", "x", "y", "low", "high"])
