"""The roofline figure: how near each timed trial comes to what the device can compute and move.

Source: Williams, Waterman and Patterson 2009, "Roofline: An Insightful Visual Performance Model".
"""

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from harness.analysis.frames import records
from harness.analysis.one_text import Comparison
from harness.contracts.visible import visible
from harness.report.drawing import QUIET, Figure, Key, Panel, log_ticks, specify

_BYTES = 12
"""Moved for each weight and time step where no cache holds it: read forward, read backward, gradient added to."""
_COLUMNS = ["series", "layers", "intensity", "rate", "utilization", "roof"]


def roofline_points(comparison: Comparison, series: Sequence[str]) -> pd.DataFrame:
    """Return each timed model's arithmetic intensity and rate, and the roof as rows without a series."""
    trials = comparison.trials
    timed = trials[trials["series"].isin(series) & (trials["timed_by"] != "") & trials["device_flops_per_s"].gt(0)]
    timed = timed.drop_duplicates("timed_by")
    if timed.empty:
        return pd.DataFrame(columns=_COLUMNS)
    points = pd.DataFrame(
        {
            "series": timed["series"].map(visible),
            "layers": timed["num_layers"],
            "intensity": timed["flops_per_token"] * timed["batch_size"] / (_BYTES * timed["num_params"]),
            "rate": timed["tokens_per_s"] * timed["flops_per_token"],
            "utilization": timed["model_flops_utilization"],
        }
    )
    peak, bandwidth = timed["device_flops_per_s"].max(), timed["device_bytes_per_s"].max()
    low, high = points["intensity"].min() / 4, points["intensity"].max() * 4
    corners = np.unique(np.clip([low, peak / bandwidth, high], low, high))
    roof = pd.DataFrame({"intensity": corners, "roof": np.minimum(peak, bandwidth * corners)})
    return pd.concat([points, roof], ignore_index=True)[_COLUMNS]


def draw_roofline(points: pd.DataFrame, key: Key, dataset: str) -> Figure | None:
    """Draw the points under their roof; nothing where no trial was timed alone."""
    if points.empty:
        return None
    known = points.dropna(subset=["rate"])
    words = [f"{row['series']}, {row['layers']:.0f}: {row['utilization']:.0%}" for row in records(known)]
    panel = Panel(
        title="Arithmetic done per second",
        description=f"Roofline chart. Share of the device's best rate by model and layers: {'; '.join(words[:24])}.",
        spec=specify(_chart(points, key, dataset)),
    )
    caption = (
        f"Timed models (n = {len(known)}) under what the device can do: its best rate of a large product (level) and "
        "its memory's copy rate (slope). Operations per byte count each weight as moved anew in every time step; "
        "a point above the slope has its weights in a cache."
    )
    return Figure(title="Roofline", panels=[panel], caption=caption, series=key.legend, shared=key.shared)


def _chart(points: pd.DataFrame, key: Key, dataset: str) -> alt.LayerChart:
    base = alt.Chart(alt.NamedData(dataset))
    rates = pd.concat([points["rate"], points["roof"]]).dropna()
    low, high = rates.min() / 1.5, rates.max() * 1.5
    spaced = "replace(format(datum.value, '~s'), /([kMGT])$/, ' $1')"
    y = alt.Axis(title="FLOP/s", values=log_ticks(low, high), labelExpr=spaced)
    x = alt.Axis(title="operations per byte", format="~r")
    scale = alt.Scale(type="log", nice=False, domain=[points["intensity"].min(), points["intensity"].max()])
    across = alt.X("intensity:Q", scale=scale, axis=x)
    up = alt.Scale(type="log", nice=False, domain=[low, high])
    tooltip = [
        alt.Tooltip("series:N"),
        alt.Tooltip("layers:Q", format="d"),
        alt.Tooltip("rate:Q", title="FLOP/s", format=".3s"),
        alt.Tooltip("utilization:Q", title="share of the best", format=".0%"),
    ]
    roof = base.transform_filter("isValid(datum.roof)").mark_line(strokeDash=[4, 3], color=QUIET)
    marks = base.transform_filter("isValid(datum.rate)").mark_point(size=60, filled=True, opacity=1)
    return alt.layer(
        roof.encode(x=across, y=alt.Y("roof:Q", scale=up, axis=y)),
        marks.encode(x=across, y=alt.Y("rate:Q", scale=up), color=key.colour(), shape=key.shape(), tooltip=tooltip),
    )
