"""Reads what was probed: a quantity's curve for each model, named as a reader would."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from harness.report.comparison import is_baseline
from harness.report.frames import Run
from harness.report.wording import label
from harness.statistics import mean_margin

_FACTORS = ("cell", "num_layers", "backend", "implementation", "num_hiddens", "train_tokens", "grad_clip", "num_epochs")


def curves(run: Run, quantities: Sequence[str]) -> pd.DataFrame:
    """Return rows of these quantities with finite values and 95 % t intervals, each with its model's columns and name.

    Columns: trial_id, model, cell, num_layers, is_baseline, corpus, quantity, at, value, low, high, n.
    """
    found = run.probes[run.probes["quantity"].isin(list(quantities))].copy()
    found = found[np.isfinite(found["value"].astype(float)) & (found["n"] > 0)]
    margins = mean_margin(found["deviation"], found["n"])
    found["low"], found["high"] = found["value"] - margins, found["value"] + margins
    trials = run.trials[run.trials["status"] == "ok"]
    trials = trials[trials["trial_id"].isin(set(found["trial_id"]))]
    named = trials.assign(model=names(trials), is_baseline=is_baseline(trials))
    columns = ["trial_id", "model", "cell", "num_layers", "grad_clip", "seed", "corpus", "text", "is_baseline"]
    return found.merge(named[columns], on="trial_id", how="inner")


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


def at(curve: pd.DataFrame, place: float) -> float:
    """Return a curve's value at one place; NaN where it was not measured there."""
    found = curve.loc[curve["at"] == place, "value"]
    return float(found.iloc[0]) if len(found) else math.nan
