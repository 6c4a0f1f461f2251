"""Settings that are tuned rather than compared: models are told apart without them, and none is averaged over them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from harness.analysis.columns import SETTINGS
from harness.grid.tuning import NUISANCES

UNASKED = (*NUISANCES, "lr_decay_after")
"""Settings that two models may differ in and still be compared: nuisances, and what only says when one of them acts."""
RESULTS = ("", "final")
"""The roles of trials that are results: not tuned, or the final trials of what a search chose."""


def mask_tuned(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows without the settings that a search chose: models that were tuned differ in none of them."""
    masked = frame.copy()
    for names in frame["tuned"].unique():
        for name in filter(None, str(names).split("+")):
            masked[name] = masked[name].astype(object).mask(frame["tuned"] == names, np.nan)
    return masked


def _searched_where_any(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials without those of a model that a search tuned: its final ones stand for it."""
    is_final = trials["role"] == "final"
    fixed = [trials[name] for name in SETTINGS if name not in NUISANCES]
    has_final = is_final.groupby(fixed, sort=False, dropna=False).transform("any")
    return trials[is_final | ~has_final]


def best_of_values(trials: pd.DataFrame, compared: Sequence[str] = ()) -> pd.DataFrame:
    """Return of each model the trials with the nuisance values that are best by mean validation loss over seeds.

    A model that was tried with several values, of which none was chosen by a search, is never averaged over them: the
    column ``tuned`` names those in which the chosen ones were the best of several. Where a search chose them, what was
    trained at other values too is left out. The settings ``compared`` are no nuisances here.
    """
    free = [name for name in NUISANCES if name not in compared]
    if len(free) == len(NUISANCES):
        trials = _searched_where_any(trials)
    masked = mask_tuned(trials)
    fixed = [name for name in SETTINGS if name not in free]
    keys = [*fixed, *(name for name in ("search_id",) if name in trials)]
    model = masked.groupby(keys, sort=False, dropna=False).ngroup()
    values = masked.groupby([model, *(masked[name] for name in free)], sort=False, dropna=False).ngroup()
    loss = trials["valid_loss"].astype(float).groupby(values).transform("mean")
    lowest = loss.groupby(model).transform("min")
    chosen = values.where(loss == lowest).groupby(model).transform("min")
    several = {
        name: masked[name].groupby(model).transform(lambda column: column.nunique(dropna=False)) > 1 for name in free
    }
    tuned = trials["tuned"].copy()
    for name, varies in several.items():
        tuned = tuned.where(~varies, tuned + np.where(tuned == "", "", "+") + name)
    return trials.assign(tuned=tuned)[values == chosen]
