"""The page's part on tuning: each model's search, its perplexity by what was tuned, and best-of-n curves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from harness.analysis import wording
from harness.analysis.best_of_n import leaders
from harness.analysis.frames import Run, records
from harness.analysis.nuisances import mask_tuned
from harness.analysis.one_text import TEXT, differing_factors, label_models
from harness.contracts.visible import visible
from harness.report.drawing import COLOURS, Figure, Key, Panel, rows, specify
from harness.report.figures import Figures
from harness.worker.trial import SETTINGS

_ALWAYS = ("cell", "num_layers")


@dataclass(frozen=True, kw_only=True)
class TunedText:
    """The searches on one text."""

    anchor: str
    title: str
    rows: list[dict[str, Any]]
    drawn: Figures
    changes: str
    """Where the ranking by best of n changes."""


def tuned_texts(run: Run) -> list[TunedText]:
    """Return a part for each text on which models were tuned."""
    groups = run.tuning.groupby(list(TEXT), sort=False, dropna=False)
    return [_tuned_text(run, searches, f"tuning-{place}") for place, (_, searches) in enumerate(groups, 1)]


def _tuned_text(run: Run, searches: pd.DataFrame, anchor: str) -> TunedText:
    points = run.points[run.points["search_id"].isin(searches["search_id"])]
    masked = mask_tuned(points)
    factors = (differing_factors(masked) | set(_ALWAYS)) - {"seed"}
    labels = label_models(masked, [name for name in wording.FACTORS if name in factors])
    series = label_models(masked, [name for name in wording.FACTORS if name in factors - {"num_layers"}])
    points = points.assign(label=labels, series=series)
    names = points.drop_duplicates("search_id").set_index("search_id")["label"].to_dict()
    curves = run.best_of_n[run.best_of_n["search_id"].isin(searches["search_id"])]
    key = Key(list(dict.fromkeys(points["series"]))[: len(COLOURS)])
    sensitivity, best = _sensitivity(points, searches), _best_of_n(curves, points)
    figures = [
        _draw_sensitivity(sensitivity, searches, key, f"{anchor}-points"),
        _draw_best(best, key, f"{anchor}-best"),
    ]
    return TunedText(
        anchor=anchor,
        title=str(searches["corpus"].iloc[0]),
        rows=[{**row, "label": names.get(row["search_id"], row["search_id"])} for row in records(searches)],
        drawn=Figures(
            figures=[figure for figure in figures if figure is not None],
            datasets={f"{anchor}-points": rows(sensitivity), f"{anchor}-best": rows(best)},
            missing=[],
        ),
        changes=_changes(points, searches),
    )


def _sensitivity(points: pd.DataFrame, searches: pd.DataFrame) -> pd.DataFrame:
    """Return each point's first tuned setting and its perplexity; what diverged lies at the upper edge."""
    name = str(searches["tuned"].iloc[0]).split("+")[0]
    known = points[points["status"].isin(["ok", "diverged"])]
    diverged = (known["status"] == "diverged") | ~np.isfinite(known["valid_perplexity"].astype(float))
    perplexity = known["valid_perplexity"].astype(float).mask(diverged)
    return pd.DataFrame(
        {
            "series": known["series"].map(visible),
            "layers": known["num_layers"].astype(int),
            "x": pd.to_numeric(known[name].astype(str).str.rpartition(":")[2]),
            "y": perplexity.fillna(perplexity.max()),
            "diverged": diverged,
            "chosen": known["trial_id"].isin(searches["best_trial_id"]),
        }
    ).sort_values("x", kind="stable")


def _draw_sensitivity(points: pd.DataFrame, searches: pd.DataFrame, key: Key, dataset: str) -> Figure | None:
    if points["y"].isna().all() or points.empty:
        return None
    name = str(searches["tuned"].iloc[0]).split("+")[0]
    scale = "log" if (points["x"] > 0).all() and "(log)" in str(searches["space"].iloc[0]).split(", ")[0] else "linear"
    heading = SETTINGS[name].heading.lower()
    panels = [
        Panel(
            title=wording.plural(int(depth), "layer"),
            description=_describe(points[points["layers"] == depth], heading),
            spec=specify(_sensitivity_chart(int(depth), heading, scale, key, dataset)),
        )
        for depth in sorted(points["layers"].unique())
    ]
    caption = (
        f"Validation perplexity of each point by its {heading} (n = {len(points)}). The large open mark is the "
        "point that was chosen; a cross at the upper edge is one that diverged."
    )
    return Figure(
        title=f"Sensitivity to {heading}", panels=panels, caption=caption, series=key.legend, shared=key.shared
    )


def _sensitivity_chart(depth: int, heading: str, scale: str, key: Key, dataset: str) -> alt.LayerChart:
    base = alt.Chart(alt.NamedData(dataset)).transform_filter(f"datum.layers === {depth}")
    x = alt.X("x:Q", scale=alt.Scale(type=scale, nice=False), axis=alt.Axis(title=heading, tickCount=5, format="~g"))
    y = alt.Y("y:Q", scale=alt.Scale(type="log", nice=False), axis=alt.Axis(title=None, tickCount=5, format="~g"))
    tooltip = [alt.Tooltip("series:N"), alt.Tooltip("x:Q", title=heading, format=".3~g")]
    tooltip.append(alt.Tooltip("y:Q", title="validation perplexity", format=".3f"))
    base = base.encode(x=x, y=y, color=key.colour())
    known = base.transform_filter("!datum.diverged")
    return alt.layer(
        known.mark_line(strokeWidth=1.25),
        known.mark_point(size=40, filled=True, opacity=1).encode(shape=key.shape(), tooltip=tooltip),
        base.transform_filter("datum.diverged").mark_point(shape="cross", size=60, angle=45).encode(tooltip=tooltip),
        base.transform_filter("datum.chosen").mark_point(size=170, filled=False, strokeWidth=2).encode(tooltip=tooltip),
    )


def _describe(points: pd.DataFrame, heading: str) -> str:
    best = points[points["chosen"]]
    named = [f"{row['series']} {wording.perplexity(row['y'])} at {row['x']:g}" for row in records(best)]
    return f"Chart of validation perplexity against {heading}. Chosen: {wording.enumerate_names(named, 8)}."


def _best_of_n(curves: pd.DataFrame, points: pd.DataFrame) -> pd.DataFrame:
    known = points.drop_duplicates("search_id").set_index("search_id")[["series", "num_layers"]]
    joined = curves.join(known, on="search_id")
    return pd.DataFrame(
        {
            "series": joined["series"].map(visible),
            "layers": joined["num_layers"],
            "n": joined["n"],
            "seconds": joined["train_seconds"],
            "y": joined["valid_perplexity"],
            "low": joined["valid_perplexity_low"],
            "high": joined["valid_perplexity_high"],
        }
    )


def _draw_best(best: pd.DataFrame, key: Key, dataset: str) -> Figure | None:
    if not np.isfinite(best["y"].astype(float)).any():
        return None
    depths: Sequence[int] = sorted(int(depth) for depth in best["layers"].unique())
    panels = [
        Panel(
            title=f"{wording.plural(depth, 'layer')}, by {words}",
            description=f"Chart of the expected lowest validation perplexity against {words}, {depth} layers.",
            spec=specify(_best_chart(depth, column, words, key, dataset)),
        )
        for depth in depths
        for column, words in (("n", "points"), ("seconds", "seconds of training"))
    ]
    caption = (
        "Validation perplexity that the best of n points is expected to reach (unbiased; bars are 95 % bootstrap "
        "intervals, too narrow at the largest n), against n and against the training time of so many points."
    )
    return Figure(title="Best of n", panels=panels, caption=caption, series=key.legend, shared=key.shared)


def _best_chart(depth: int, column: str, words: str, key: Key, dataset: str) -> alt.LayerChart:
    base = alt.Chart(alt.NamedData(dataset)).transform_filter(f"datum.layers === {depth} && isValid(datum.y)")
    x = alt.X(f"{column}:Q", scale=alt.Scale(nice=False), axis=alt.Axis(title=words, tickCount=5, format="~g"))
    y = alt.Y("y:Q", scale=alt.Scale(zero=False), axis=alt.Axis(title=None, tickCount=5, format="~g"))
    base = base.encode(x=x, y=y, color=key.colour())
    bounded = base.transform_filter("isValid(datum.low) && isValid(datum.high)")
    tooltip = [alt.Tooltip("series:N"), alt.Tooltip("n:Q"), alt.Tooltip("y:Q", title="expected", format=".3f")]
    return alt.layer(
        base.mark_line(strokeWidth=1.75),
        bounded.mark_rule(strokeWidth=1).encode(y=alt.Y("low:Q"), y2="high:Q"),
        base.mark_point(size=40, filled=True, opacity=1).encode(shape=key.shape(), tooltip=tooltip),
    )


def _changes(points: pd.DataFrame, searches: pd.DataFrame) -> str:
    """Say which model leads at which number of points, of those that were tuned by the same ones."""
    whole = searches[searches["num_done"] + searches["num_diverged"] == searches["num_points"]]
    budgets = whole.groupby(["space", "num_points"], sort=False)["search_id"].agg(list)
    if budgets.empty or len(ids := max(budgets, key=len)) < 2:
        return ""
    by_model = {}
    for search_id in ids:
        # Sorted by what was tuned, the points of one space are the same ones.
        of = points[points["search_id"] == search_id]
        of = of.sort_values(str(of["tuned"].iloc[0]).split("+"), kind="stable")
        reached = of["valid_perplexity"].astype(float).where(of["status"] == "ok", np.inf)
        by_model[str(of["label"].iloc[0])] = reached.to_numpy()
    return _word_leaders(leaders(by_model))


def _word_leaders(by_n: Sequence[str]) -> str:
    shown = list(dict.fromkeys(filter(None, by_n)))
    if not shown:
        return "At no number of points does a model lead beyond what other points might give."
    spans = [f"{name} leads {_word_span([n for n, other in enumerate(by_n, 1) if other == name])}" for name in shown]
    changes = "The ranking changes with the budget: " if len(shown) > 1 else ""
    return f"{changes}{', '.join(spans)} in expected perplexity, beyond what other points might give."


def _word_span(numbers: Sequence[int]) -> str:
    first, last = numbers[0], numbers[-1]
    return f"at n = {first}" if first == last else f"from n = {first} to {last}"
