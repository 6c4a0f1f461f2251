"""What training stands behind figures: at which rate, whether it was tuned, and whether models were still learning."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from harness.analysis.frames import Run
from harness.analysis.wording import enumerate_names, plural

TREND_EPOCHS = 3
"""The last epochs, whose trend says whether a model was still learning."""
STILL = 0.002
"""Nats a token by which the validation loss must fall an epoch for that: 0.2 % of perplexity."""


def trends(run: Run, trial_ids: Iterable[str]) -> pd.Series:
    """Return by trial the change of its validation loss an epoch over the last ones, by least squares.

    Units: nats a token an epoch; NaN where there is one epoch alone.
    """
    epochs = run.epochs[run.epochs["trial_id"].isin(set(trial_ids))]
    last = epochs.groupby("trial_id", sort=False).tail(TREND_EPOCHS)
    losses = last.groupby("trial_id", sort=False)["valid_loss"]
    return losses.agg(_slope).astype(float)


def _slope(losses: pd.Series) -> float:
    values = losses.to_numpy(dtype=np.float64)
    values = values[np.isfinite(values)]
    return float(np.polyfit(np.arange(len(values)), values, 1)[0]) if len(values) > 1 else float("nan")


def still_learning(run: Run, trials: pd.DataFrame) -> int | None:
    """Return how many of these models were still learning at the end; None where no trend is known."""
    known = trends(run, trials["trial_id"]).dropna()
    return int((known < -STILL).sum()) if len(known) else None


def word_recipe(run: Run, trials: pd.DataFrame) -> str:
    """Return the sentence on what an answer rests on: an untuned rate is named, and models that were still learning.

    Nothing where there is no trained model among the trials.
    """
    if trials.empty:
        return ""
    return f"{_word_rates(trials)}; {_word_learning(run, trials)}."


def _word_rates(trials: pd.DataFrame) -> str:
    pairs = trials[["learning_rate", "optimizer"]].drop_duplicates().sort_values("learning_rate")
    rates = [f"{rate:g} ({optimizer})" for rate, optimizer in pairs.itertuples(index=False)]
    if len(rates) == 1:
        return f"All at one untuned learning rate, {rates[0]}: another may reverse it"
    return f"At untuned learning rates, {enumerate_names(rates, 6)}: others may reverse it"


def _word_learning(run: Run, trials: pd.DataFrame) -> str:
    number = still_learning(run, trials)
    models = plural(len(trials), "model")
    if number is None:
        return f"whether the {models} were still learning at the end is not known (one epoch each)"
    if not number:
        return f"none of the {models} was still learning at the end"
    return f"{number} of {models} were still learning at the end (more epochs may change it)"
