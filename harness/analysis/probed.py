"""Reads what was probed: a quantity's curve for each kind of model over its seeds, named as a reader would."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from harness.analysis.frames import SETTINGS, Run
from harness.analysis.one_text import is_baseline
from harness.analysis.statistics import UNKNOWN, Interval, mean_margin
from harness.analysis.wording import label, plural

_FACTORS = ("cell", "num_layers", "backend", "implementation", "num_hiddens", "train_tokens", "grad_clip", "num_epochs")
_OF_KIND = ("model", "cell", "num_layers", "grad_clip", "corpus", "text", "is_baseline")


def by_seed(run: Run, quantities: Sequence[str]) -> pd.DataFrame:
    """Return the finite rows of these quantities as each model has them, with the model's kind, name and settings.

    Columns: kind (the first trial_id of those that differ in their seed alone), trial_id, seed, model, cell,
    num_layers, grad_clip, corpus, text, is_baseline, quantity, at, value, deviation, n (observations).
    """
    rows = run.probes[run.probes["quantity"].isin(list(quantities))]
    rows = rows[np.isfinite(rows["value"].astype(float)) & (rows["n"] > 0)]
    trials = run.trials[run.trials["status"] == "ok"]
    trials = trials[trials["trial_id"].isin(set(rows["trial_id"]))]
    kinds = trials.groupby(list(SETTINGS), sort=False, dropna=False)["trial_id"].transform("first")
    named = trials.assign(kind=kinds, model=names(trials), is_baseline=is_baseline(trials))
    return rows.merge(named[["trial_id", "kind", "seed", *_OF_KIND]], on="trial_id", how="inner")


def curves(run: Run, quantities: Sequence[str], *, geometric: bool = False) -> pd.DataFrame:
    """Return one row a kind of model, quantity and place: the mean over its seeds, with a 95 % interval.

    Each seed's value is a mean over observations (contexts, texts, tokens), and mostly the same ones for every seed. So
    two errors add, in squares: the t interval's over seeds, and that over one seed's observations. Of one seed there is
    the latter alone. A ``geometric`` mean is one of logarithms, where every seed's value is positive; it suits what
    spans many decades, and keeps its interval positive.

    Columns: kind, model, cell, num_layers, grad_clip, corpus, text, is_baseline, quantity, at, value, low, high, n
    (observations of the seed with the fewest), seeds.
    """
    seeds = by_seed(run, quantities)
    seeds["margin"] = mean_margin(seeds["deviation"].where(np.isfinite(seeds["deviation"].astype(float))), seeds["n"])
    rows = [
        {**dict(zip(("kind", "quantity", "at"), key, strict=True)), **_over_seeds(part, geometric)}
        for key, part in seeds.groupby(["kind", "quantity", "at"], sort=False)
    ]
    columns = ["kind", "quantity", "at", "value", "low", "high", "n", "seeds"]
    kinds = seeds.drop_duplicates("kind")[["kind", *_OF_KIND]]
    return pd.DataFrame(rows, columns=columns).merge(kinds, on="kind", how="inner")


def _over_seeds(part: pd.DataFrame, geometric: bool) -> dict[str, float]:
    values, margins = (part[name].to_numpy(dtype=np.float64) for name in ("value", "margin"))
    logarithmic = geometric and bool((values > 0).all())
    if logarithmic:
        # A small relative margin is the logarithm's margin.
        values, margins = np.log(values), margins / values
    estimate = float(values.mean())
    # Of one observation each there is no error but that over seeds.
    known = float(np.mean(margins)) if part["n"].max() > 1 else 0.0
    margin = math.hypot(_over(values), known) if len(values) > 1 else float(margins[0])
    bounds = (estimate, estimate - margin, estimate + margin)
    with np.errstate(over="ignore"):  # a bound may be as good as none
        ends = np.exp(bounds) if logarithmic else np.array(bounds)
    fewest = int(part["n"].min())
    return {**dict(zip(("value", "low", "high"), ends.tolist(), strict=True)), "n": fewest, "seeds": len(values)}


def _over(values: np.ndarray) -> float:
    deviation = float(values.std(ddof=1)) if len(values) > 1 else math.nan
    return float(mean_margin(np.array([deviation]), np.array([len(values)]))[0])


def names(trials: pd.DataFrame) -> pd.Series:
    """Name trials by the cell, the depth where it is one, and whatever else tells them apart."""
    trained = trials[~is_baseline(trials)]
    differing = [name for name in _FACTORS if name not in ("cell", "num_layers") and trained[name].nunique() > 1]
    for several in range(len(differing) + 1):
        factors = ["cell", "num_layers", *differing[:several]]
        # As few words as tell them apart; seeds share a name.
        if not trained.duplicated([*factors, "seed", "corpus", "text", "tokens"]).any():
            break
    plain = label(trials, ["cell"])
    return label(trials, factors).where(~is_baseline(trials), plain)


def at(curve: pd.DataFrame, place: float) -> Interval:
    """Return a curve's value at one place; NaN where it was not measured there."""
    rows = curve[curve["at"] == place]
    return bounded(rows.iloc[0]) if len(rows) else UNKNOWN


def bounded(row: pd.Series) -> Interval:
    """Return a curve's value with its interval."""
    return Interval(*(float(row[name]) for name in ("value", "low", "high")))


def count_seeds(curves: pd.DataFrame) -> str:
    """Word how many seeds stand behind each curve: one gives no interval over seeds, and that is said."""
    trained = curves[~curves["is_baseline"].astype(bool)]  # chance has no part in a baseline
    fewest, most = (1, 1) if trained.empty else (int(trained["seeds"].min()), int(trained["seeds"].max()))
    if most == 1:
        return "one seed"
    return plural(most, "seed") if fewest == most else f"{fewest} to {most} seeds"


def interval_words(curves: pd.DataFrame, observations: str) -> str:
    """Say what a figure's bars are."""
    over = f"over seeds and {observations}" if curves["seeds"].max() > 1 else f"over {observations}"
    return f"bars are 95 % t intervals {over}"
