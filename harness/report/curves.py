"""The figures of the epochs: perplexity by epoch, and by the seconds it took."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from harness.analysis import wording
from harness.analysis.frames import records
from harness.analysis.one_text import Comparison
from harness.contracts.visible import visible
from harness.report.drawing import QUIET, Figure, Key, Panel, perplexity_axis, specify, whole_ticks
from harness.report.levels import SAME_LEVELS, ceiling, describe_levels, level_marks, levels, near, say_cut

FINE = 16
"""From this many curves on they are drawn finer."""
MAX_PANELS = 8
MAX_POINTS = 100
"""Epochs drawn a curve: more are not seen, and only make the page larger."""


def curve_points(comparison: Comparison, series: Sequence[str], most: int) -> pd.DataFrame:
    """Return the epochs to draw, of at most this many trials of these series."""
    trials = comparison.trials.assign(done=comparison.trials["status"] == "ok")
    trials = trials[trials["series"].isin(series) & (trials["num_epochs_done"] > 0)]
    trials = _best_of_each(trials).head(most)
    facts = trials.set_index("trial_id")[["label", "series", "num_layers", "done", "num_epochs_done"]]
    epochs = comparison.epochs[np.isfinite(comparison.epochs["valid_perplexity"])]
    epochs = epochs.join(facts, on="trial_id", how="inner")
    last = ~epochs["trial_id"].duplicated(keep="last")
    drawn = last | (epochs["epoch"] == 1) | (epochs["epoch"] % _stride(epochs["num_epochs_done"]) == 0)
    points = pd.DataFrame(
        {
            # Only the last point says which trial it is: its mark alone has a tooltip.
            "trial": epochs["label"].map(visible).where(last, ""),
            "line": pd.factorize(epochs["trial_id"])[0],
            "series": epochs["series"].map(visible),
            "layers": epochs["num_layers"],
            "epoch": epochs["epoch"],
            "valid": epochs["valid_perplexity"],
            "train": epochs["train_perplexity"],
            "seconds": epochs["train_seconds_so_far"],
            "done": epochs["done"].astype(bool),
            "last": last,
        }
    )
    return points[drawn]


def _best_of_each(trials: pd.DataFrame) -> pd.DataFrame:
    """Order trials so that the best of each series and depth come before any second one."""
    trials = trials.sort_values(["done", "valid_perplexity"], ascending=[False, True], kind="stable")
    turn = trials.groupby(["series", "num_layers"], sort=False).cumcount()
    return trials.loc[turn.sort_values(kind="stable").index]


def _stride(num_epochs: pd.Series) -> pd.Series:
    return (num_epochs.astype(int) // MAX_POINTS).clip(lower=1)


# --- by epoch ---------------------------------------------------------------------------------------------


def draw_curves(comparison: Comparison, points: pd.DataFrame, key: Key, dataset: str) -> Figure:
    """Draw a panel a depth: all panels share one specification, and the depth is its parameter."""
    marked = levels(comparison)
    values = [points["valid"], points["train"], [level.room for level in marked]]
    valid, train = (perplexity_axis(name, values, ceiling(comparison)) for name in ("valid", "train"))
    base = alt.Chart(alt.NamedData(dataset)).transform_filter("datum.layers === depth")
    base = base.encode(x=_epoch_axis(int(points["epoch"].max())), color=key.colour(), detail="line:N")
    width = 2 if points["line"].nunique() < FINE else 1.25
    chart = alt.layer(
        *level_marks(marked, valid),
        base.mark_line(strokeWidth=0.6 * width, strokeDash=[3, 3], clip=True).encode(y=train),
        base.transform_filter("datum.last").mark_point(shape="stroke", size=40, clip=True).encode(y=train),
        base.mark_line(strokeWidth=width, clip=True).encode(y=valid),
        *_end_marks(base.encode(y=valid), key),
    )
    spec = specify(chart)
    depths = sorted(int(depth) for depth in points["layers"].unique())
    panels = [
        Panel(
            title=wording.plural(depth, "layer"),
            description=_describe_curves(points[points["layers"] == depth], depth),
            spec={**spec, "params": [{"name": "depth", "value": depth}]},
        )
        for depth in depths[:MAX_PANELS]
    ]
    caption = " ".join(_curve_caption(comparison, points))
    return Figure(
        title="Perplexity by epoch",
        panels=panels,
        caption=caption,
        series=key.legend,
        shared=key.shared,
        dashed="training",
    )


def _epoch_axis(last: int) -> alt.X:
    domain = [1, last + 0.03 * (last - 1)] if last > 1 else [0, 2]
    axis = alt.Axis(title="epoch", values=whole_ticks(1, last), format="d")
    return alt.X("epoch:Q", scale=alt.Scale(domain=domain, nice=False), axis=axis)


def _end_marks(base: alt.Chart, key: Key) -> list[alt.Chart]:
    """Return the last epochs' marks: filled where the trial is done, open where it has not finished."""
    tooltip = [
        alt.Tooltip("trial:N"),
        alt.Tooltip("epoch:Q", format="d"),
        alt.Tooltip("valid:Q", title="validation perplexity", format=".3f"),
        alt.Tooltip("train:Q", title="training perplexity", format=".3f"),
        alt.Tooltip("seconds:Q", title="training time, s", format=",.1f"),
    ]
    looks: dict[str, dict[str, Any]] = {
        "datum.last && datum.done": {"filled": True},
        "datum.last && !datum.done": {"filled": False, "fill": "var(--paper)"},
    }
    return [
        base.transform_filter(which)
        .mark_point(size=55, opacity=1, clip=True, **look)
        .encode(shape=key.shape(), tooltip=tooltip)
        for which, look in looks.items()
    ]


def _describe_curves(points: pd.DataFrame, depth: int) -> str:
    ends = points[points["last"]].sort_values("valid", kind="stable")
    named = [
        f"{row['series']} {wording.perplexity(row['valid'])} after {wording.plural(row['epoch'], 'epoch')}"
        for row in records(ends)
    ]
    return (
        f"Line chart of perplexity by epoch, {wording.plural(depth, 'layer')}. "
        f"Last validation perplexities: {wording.enumerate_names(named, 8)}."
    )


def _curve_caption(comparison: Comparison, points: pd.DataFrame) -> list[str]:
    drawn, begun = points["line"].nunique(), int((comparison.trained["num_epochs_done"] > 0).sum())
    sentences = [f"Perplexity after each epoch: validation solid, training dashed; one line a trial (n = {drawn})."]
    if drawn < begun:
        sentences.append(
            f"Only {drawn} of {wording.count(begun)} trials are drawn, the best of each model and depth first."
        )
    if points["layers"].nunique() > MAX_PANELS:
        sentences.append(f"Only the first {MAX_PANELS} depths are drawn.")
    if not points["done"].all():
        sentences.append("An open mark ends a trial that has not finished.")
    if int(_stride(comparison.trials["num_epochs_done"]).max()) > 1:
        sentences.append(f"Of long trials about {MAX_POINTS} epochs are drawn.")
    return [*sentences, *say_cut(comparison, points[["valid", "train"]]), *describe_levels(comparison)]


# --- by time ----------------------------------------------------------------------------------------------


def draw_times(comparison: Comparison, points: pd.DataFrame, key: Key, dataset: str) -> Figure | None:
    """Draw how soon the finished trials reached which perplexity; nothing where none has finished."""
    points = points[points["done"] & points["seconds"].notna()]
    if points.empty:
        return None
    marked = near(levels(comparison), points["valid"])
    values = [points["valid"], [level.room for level in marked]]
    valid = perplexity_axis("valid", values, ceiling(comparison))
    base = alt.Chart(alt.NamedData(dataset)).transform_filter("datum.done")
    base = base.encode(x=_seconds_axis(points), y=valid, color=key.colour(), detail="line:N")
    layers = base.transform_filter("datum.last").mark_text(align="left", dx=8, fontSize=11, clip=True)
    chart = alt.layer(
        *level_marks(marked, valid),
        base.mark_line(strokeWidth=1.75, clip=True),
        *_end_marks(base, key),
        layers.encode(text="layers:N", color=alt.value(QUIET)),  # some series' colours are too pale for a text
    )
    return Figure(
        title="Time to quality",
        panels=[Panel(title="Validation perplexity", description=_describe_times(points), spec=specify(chart))],
        caption=_time_caption(comparison, points),
        series=key.legend,
        shared=key.shared,
    )


def _seconds_axis(points: pd.DataFrame) -> alt.X:
    totals = points.loc[points["last"], "seconds"]
    last = float(totals.max())
    if totals.min() > 0 and last / totals.min() > 10:
        first = float(points.loc[points["seconds"] > 0, "seconds"].min())
        scale = alt.Scale(type="log", domain=[first, last * 1.2], nice=False)
        return alt.X("seconds:Q", scale=scale, axis=alt.Axis(title="seconds of training", tickCount=6, format="~s"))
    scale = alt.Scale(domain=[0, last * 1.04 or 1], nice=False)
    return alt.X("seconds:Q", scale=scale, axis=alt.Axis(title="seconds of training", tickCount=6, format=",~r"))


def _describe_times(points: pd.DataFrame) -> str:
    ends = points[points["last"]].sort_values("valid", kind="stable")
    named = [
        f"{row['trial']} {wording.perplexity(row['valid'])} after {wording.seconds(row['seconds'])} s"
        for row in records(ends)
    ]
    return f"Line chart of validation perplexity by seconds of training: {wording.enumerate_names(named, 12)}."


def _time_caption(comparison: Comparison, points: pd.DataFrame) -> str:
    shared = comparison.trials["concurrency"].max()
    sentences = [
        f"Validation perplexity against training time, validation not included: one line a finished trial "
        f"(n = {points['line'].nunique()}), at its end the number of its layers."
    ]
    if pd.notna(shared) and shared > 1:
        sentences.append(f"Up to {shared} trials shared the machine while they trained, which makes each slower.")
    if near(levels(comparison), points["valid"]):
        sentences.append(SAME_LEVELS)
    return " ".join(sentences)
