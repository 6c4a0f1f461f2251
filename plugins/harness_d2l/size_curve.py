"""The curve over training sizes: which trials it is of, its rows of evidence, its tests, and its figure."""

import math

import numpy as np
import pandas as pd

from harness.analysis import evidence, nuisances
from harness.analysis.frames import records
from harness.analysis.judging import BITS, Compared
from harness.analysis.learning_curves import FittedCurve
from harness.analysis.statistics import mean_interval
from harness.analysis.wording import count, label
from harness.report import charts

MORE_TEXT, MORE_BOOKS, BASELINE = "more text", "more books", "beside the best baseline"
PROMISE = 10
"""How many times the largest text the curve is asked about."""


def best_bits(trials: pd.DataFrame) -> pd.Series:
    """Return bits per character after the best epoch, which a small text reaches long before the last one."""
    last, best = trials["valid_perplexity"].astype(float), trials["best_valid_perplexity"].astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return trials["valid_bits_per_char"].astype(float) * (np.log(best) / np.log(last)).where(last != best, 1.0)


def longest(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials of the model and text with the most training sizes, best of them first where several have."""
    if trials.empty:
        return trials
    model = evidence.settings_without("train_tokens", "corpus_digest", "num_epochs", *nuisances.UNASKED)
    trials = nuisances.best_of_values(trials)
    groups = trials.groupby(model, sort=False, dropna=False)
    order = groups.agg(sizes=("train_tokens", "nunique"), bits=("bits", "min")).reset_index()
    first = order.sort_values(["sizes", "bits"], ascending=[False, True], kind="stable").iloc[0]
    chosen = trials[(trials[model] == first[model]).all(axis=1)]
    # Several numbers of epochs on one size: the one that did best stands for the size, seed by seed.
    return (
        chosen.sort_values("bits", kind="stable").drop_duplicates(["train_tokens", "seed"]).sort_values("train_tokens")
    )


def model_name(curve: pd.DataFrame) -> str:
    """Name the model of a curve: its cell and depth."""
    return str(label(curve.head(1), ["cell", "num_layers"]).iloc[0])


def size_rows(name: str, trials: pd.DataFrame) -> pd.DataFrame:
    """Return a row a training size: the mean over seeds with its interval."""
    rows = []
    for size, part in trials.groupby("train_tokens"):
        interval = mean_interval(part["bits"])
        rows.append(
            {
                "model": name,
                "train_tokens": float(size),
                **evidence.interval_columns("bits_per_char", interval, "bits"),
                "perplexity": float(np.exp(np.log(part["best_valid_perplexity"].astype(float)).mean())),
                "n": len(part),
            }
        )
    return pd.DataFrame(rows)


def fit_rows(fitted: FittedCurve | None, most: float) -> pd.DataFrame:
    """Return the fitted floor, and what the fit promises of more text, as rows."""
    if fitted is None:
        return pd.DataFrame()
    beyond = PROMISE * most
    named = (
        ("fitted floor", math.inf, fitted.floor),
        (f"fitted, {PROMISE} times the text", beyond, fitted.predict(beyond)),
    )
    return pd.DataFrame(
        [
            {"model": name, "train_tokens": size, **evidence.interval_columns("bits_per_char", interval, "bits")}
            for name, size, interval in named
        ]
    )


def largest(curve: pd.DataFrame) -> pd.DataFrame:
    """Return the trials of the largest text."""
    return curve[curve["train_tokens"] == curve["train_tokens"].max()]


def best_baseline(baselines: pd.DataFrame) -> pd.Series | None:
    """Return the baseline with the fewest bits; None where there is none."""
    return None if baselines.empty else baselines.sort_values("bits", kind="stable").iloc[0]


def over_sizes(trials: pd.DataFrame, test: str) -> Compared:
    """Return the bits of the largest text beside those of the smallest, paired over seeds."""
    sizes = (trials["train_tokens"].max(), trials["train_tokens"].min())
    ends = [trials[trials["train_tokens"] == size].groupby("seed")["bits"].mean() for size in sizes]
    both = pd.concat(ends, axis=1, keys=["largest", "smallest"]).dropna().astype(float)
    of = {"train_tokens": float(sizes[0]), "beside": f"{count(sizes[1])} tokens"}
    return Compared(test=test, scale=BITS, first=both["largest"].to_numpy(), second=both["smallest"].to_numpy(), of=of)


def beside_baseline(curve: pd.DataFrame, baselines: pd.DataFrame) -> list[Compared]:
    """Return the model's bits on its largest text beside those of the best baseline, which has no seeds."""
    best = best_baseline(baselines)
    if best is None:
        return []
    own = largest(curve).groupby("seed")["bits"].mean().to_numpy(dtype=np.float64)
    of = {"train_tokens": float(curve["train_tokens"].max()), "beside": str(best["cell"])}
    return [Compared(test=BASELINE, scale=BITS, first=own, second=np.full_like(own, float(best["bits"])), of=of)]


def draw(table: pd.DataFrame, fitted: FittedCurve | None, most: float, books: pd.DataFrame) -> charts.Drawn:
    """Draw the curve with its fit, the baselines and the books."""
    points = [
        (row["model"], row["train_tokens"], row["bits_per_char"], row["bits_low"], row["bits_high"])
        for row in records(table)
    ]
    caption = (
        f"Bits per character of held-out text by training tokens (n = {int(table['n'].sum())} trials); bars are 95 % "
    )
    caption += "t intervals over seeds."
    if not books.empty:
        caption += f" Whole books are all held against the held-out text of {books.iloc[0]['evaluated_on']} alone."
    if fitted is not None:
        for size in np.geomspace(float(table["train_tokens"].min()), PROMISE * most, 12):
            predicted = fitted.predict(float(size))
            points.append(("fitted", float(size), predicted.estimate, predicted.low, predicted.high))
        caption += (
            f" The fit's bars are bootstrap intervals; beyond {count(most)} tokens it is a promise, not a figure."
        )
    return charts.draw(
        charts.point_frame(points),
        name="exercise-deep-rnn-3",
        title="Perplexity against training text",
        x=charts.Axis(title="training tokens", log=True),
        y=charts.Axis(title="Bits per character"),
        caption=caption,
    )
