"""The figures of depth: perplexity, throughput and memory against the number of layers."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from harness.analysis import wording
from harness.analysis.frames import records
from harness.analysis.one_text import Comparison, is_baseline
from harness.analysis.statistics import mean_margin
from harness.contracts.visible import visible
from harness.report.drawing import Figure, Key, Panel, perplexity_axis, specify
from harness.report.levels import SAME_LEVELS, Level, ceiling, level_marks, levels, near, say_cut

_TITLES = {
    "valid": "Validation perplexity",
    "rate": "Tokens per second, training",
    "memory": "Memory, MB",
    "gpu_memory": "GPU memory, MB",
}
_PERPLEXITIES = ["valid", "valid_low", "valid_high"]
_FORMATS = {"valid": ",.3f", "rate": ",.0f", "memory": ",.0f", "gpu_memory": ",.0f"}
_WORDS = {"valid": wording.perplexity, "rate": wording.rate}
_MEMORY = {"memory": "peak_rss_bytes", "gpu_memory": "peak_device_bytes"}


def depth_points(comparison: Comparison, series: Sequence[str]) -> pd.DataFrame:
    """Return mean perplexity, throughput and memory by series and depth, with the intervals there are."""
    done = comparison.trials[comparison.trials["status"] == "ok"]
    of_blocks = done.groupby(["series", "num_layers"], sort=False)[["tokens_per_s_low", "tokens_per_s_high"]].first()
    summary = comparison.summary[comparison.summary["series"].isin(series)]
    summary = summary.join(of_blocks, on=["series", "num_layers"]).sort_values("num_layers", kind="stable")
    # One seed has no interval over seeds; its blocks still show how steady the speed was.
    one_seed = summary["num_seeds"] == 1
    places = summary["series"].map({name: place for place, name in enumerate(series)})
    points = pd.DataFrame(
        {
            "series": summary["series"].map(visible),
            "layers": summary["num_layers"],
            "place": summary["num_layers"] + (0.0 if one_seed.all() else _shift(summary["num_layers"], places)),
            "seeds": summary["num_seeds"],
            "valid": summary["valid_perplexity_mean"],
            "valid_low": summary["valid_perplexity_mean_low"],
            "valid_high": summary["valid_perplexity_mean_high"],
            "rate": summary["tokens_per_s_mean"],
            "rate_low": summary["tokens_per_s_low"].where(one_seed, summary["tokens_per_s_mean_low"]),
            "rate_high": summary["tokens_per_s_high"].where(one_seed, summary["tokens_per_s_mean_high"]),
        }
    )
    memory = _memory(done).reindex(pd.MultiIndex.from_frame(summary[["series", "num_layers"]]))
    return points.assign(**{name: memory[name].to_numpy() for name in memory})


def _memory(done: pd.DataFrame) -> pd.DataFrame:
    """Return the mean of each kind of memory over seeds in MB, with its t interval, by series and depth."""
    columns: dict[str, pd.Series] = {}
    for name, column in _MEMORY.items():
        megabytes = done[column].astype(float) / 1e6
        groups = megabytes.groupby([done["series"], done["num_layers"]], sort=False)
        mean, margin = groups.mean(), mean_margin(groups.std(), groups.count())
        columns |= {name: mean, f"{name}_low": mean - margin, f"{name}_high": mean + margin}
    return pd.DataFrame(columns)


def _shift(layers: pd.Series, places: pd.Series) -> pd.Series:
    """Return how far to draw each series beside its depth, so that intervals do not hide each other."""
    return (places - places.max() / 2) * 0.012 * float(layers.max() - layers.min())


def draw_depth(comparison: Comparison, points: pd.DataFrame, key: Key, dataset: str) -> Figure | None:
    """Draw each against depth; nothing where fewer than two depths have finished trials."""
    names = [name for name in _TITLES if points.loc[points[name].notna(), "layers"].nunique() > 1]
    if not names:
        return None
    marked = near(levels(comparison), points["valid"])
    axes = {name: _axis_from_zero(name) for name in names} | {"valid": _perplexity_axis(comparison, points, marked)}
    marks = {"valid": level_marks(marked, axes["valid"])}
    panels = [
        Panel(
            title=_TITLES[name],
            description=_describe(points, name),
            spec=specify(_chart(name, points, axes[name], key, dataset, marks.get(name, []))),
        )
        for name in names
    ]
    return Figure(
        title="Depth",
        panels=panels,
        caption=" ".join(_caption(comparison, points)),
        series=key.legend,
        shared=key.shared,
    )


def _layers_axis(points: pd.DataFrame) -> alt.X:
    ticks = sorted(int(depth) for depth in points["layers"].unique())
    margin = 0.06 * (ticks[-1] - ticks[0])
    scale = alt.Scale(domain=[ticks[0] - margin, ticks[-1] + margin], nice=False)
    return alt.X("place:Q", scale=scale, axis=alt.Axis(title="layers", values=ticks, format="d"))


def _perplexity_axis(comparison: Comparison, points: pd.DataFrame, marked: Sequence[Level]) -> alt.Y:
    values = [points[name] for name in _PERPLEXITIES]
    return perplexity_axis("valid", [*values, [level.room for level in marked]], ceiling(comparison))


def _axis_from_zero(name: str) -> alt.Y:
    # From zero: what is spent is compared as ratios.
    spaced = "replace(format(datum.value, '~s'), /([kMG])$/, ' $1')"
    axis = alt.Axis(title=None, tickCount=5, labelExpr=spaced)
    return alt.Y(f"{name}:Q", scale=alt.Scale(zero=True, domainMin=0), axis=axis)


def _chart(
    name: str, points: pd.DataFrame, y: alt.Y, key: Key, dataset: str, marks: Sequence[alt.Chart]
) -> alt.LayerChart:
    low, high = f"{name}_low", f"{name}_high"
    base = alt.Chart(alt.NamedData(dataset)).transform_filter(f"isValid(datum.{name})")
    base = base.encode(x=_layers_axis(points), color=key.colour())
    bounded = base.transform_filter(f"isValid(datum.{low}) && isValid(datum.{high})")
    bars = bounded.mark_rule(strokeWidth=1.5, clip=True).encode(y=alt.Y(f"{low}:Q"), y2=f"{high}:Q")
    tooltip = [alt.Tooltip("series:N"), alt.Tooltip("layers:Q", format="d"), alt.Tooltip("seeds:Q", format="d")]
    titles = {name: _TITLES[name].lower(), low: "interval from", high: "to"}
    tooltip += [alt.Tooltip(f"{column}:Q", title=title, format=_FORMATS[name]) for column, title in titles.items()]
    return alt.layer(
        *marks,
        base.mark_line(strokeWidth=2, clip=True).encode(y=y),
        *([bars] if points[[low, high]].notna().all(axis=1).any() else []),
        base.mark_point(size=60, filled=True, opacity=1, clip=True).encode(y=y, shape=key.shape(), tooltip=tooltip),
    )


def _describe(points: pd.DataFrame, name: str) -> str:
    word = _WORDS.get(name, wording.count)
    known = points.dropna(subset=[name])
    named = [f"{row['series']}, {row['layers']}: {word(row[name])}" for row in records(known)]
    return f"Line chart of {_TITLES[name].lower()} by number of layers: {'; '.join(named[:24])}."


def _caption(comparison: Comparison, points: pd.DataFrame) -> list[str]:
    sentences = [f"Finished trials by number of layers (n = {int(points['seeds'].sum())})."]
    several = bool((points["seeds"] > 1).any())
    if several:
        sentences.append("Points are means over seeds, bars their 95 % t intervals.")
    if (points["seeds"] == 1).any():
        whose = "Where a model has one seed, its" if several else "One seed a model: perplexity has no interval; the"
        sentences.append(f"{whose} bar on tokens per second is the median's 95 % interval over the trial's blocks.")
    summary = comparison.summary
    drawn, finished = points["series"].nunique(), summary[~is_baseline(summary)]["series"].nunique()
    if drawn < finished:
        sentences.append(f"Only the best {drawn} of {finished} models are drawn; summary.csv has all.")
    if points["memory"].notna().any():
        sentences.append("Memory is the worker's largest resident set, the framework's own share included.")
    sentences += say_cut(comparison, points[_PERPLEXITIES])
    if near(levels(comparison), points["valid"]):
        sentences.append(SAME_LEVELS)
    return sentences
