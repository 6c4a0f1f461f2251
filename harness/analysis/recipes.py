"""What training stands behind figures: at which rate, whether it was tuned, and whether models were still learning."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis.frames import Run
from harness.analysis.one_text import is_baseline
from harness.analysis.wording import count, enumerate_names, plural
from harness.contracts.settings import Setting, rows
from harness.contracts.training import Training
from harness.worker.trial import DEFAULTS, SETTINGS

_PLACE = re.compile(r"\{[^}]*\}")
"""Of a value in the words of a setting."""
TREND_EPOCHS = 3
"""The last epochs, whose trend says whether a model was still learning."""
STILL = 0.002
"""Nats a token by which its validation loss must fall an epoch for that: 0.2 % of perplexity."""


def are_learning(run: Run, trial_ids: Iterable[str]) -> pd.Series:
    """Return by trial whether its model was still learning at the end; NA where one epoch alone shows no trend.

    It was where the last epoch is the best on validation, and the loss fell in the last ones, by least squares.
    """
    epochs = run.epochs[run.epochs["trial_id"].isin(set(trial_ids))]
    losses = epochs.groupby("trial_id", sort=False)["valid_loss"]
    return pd.Series({trial_id: _is_learning(each) for trial_id, each in losses}, dtype="boolean")


def _is_learning(losses: pd.Series) -> bool | None:
    values = losses.to_numpy(dtype=np.float64)
    last = values[-TREND_EPOCHS:]
    if len(last) < 2 or not np.isfinite(last).all():
        return None
    slope = float(np.polyfit(np.arange(len(last)), last, 1)[0])
    return bool(slope < -STILL and values[-1] <= np.nanmin(values))


def word_recipe(run: Run, trials: pd.DataFrame) -> str:
    """Return the sentence on what an answer rests on: rates, tuned or not, and models that were still learning.

    Nothing where there is no trained model among the trials.
    """
    if trials.empty:
        return ""
    is_tuned = trials["tuned"].str.split("+").map(lambda names: "learning_rate" in names) & (trials["role"] == "final")
    rates = [_word_tuned(run, trials[is_tuned])] if is_tuned.any() else []
    if not is_tuned.all():
        rest = trials[~is_tuned]
        rates.append(_word_untuned(rest, plural(len(rest), "more model") if rates else "All"))
    return f"{'; '.join(rates)}; {_word_learning(run, trials)}."


def word_recipe_of_probed(run: Run, quantities: Sequence[str]) -> str:
    """Return that sentence on the models of which these quantities were probed after they were trained."""
    probed = set(run.probes.loc[run.probes["quantity"].isin(list(quantities)), "trial_id"])
    trials = run.trials[run.trials["trial_id"].isin(probed) & (run.trials["status"] == "ok")]
    return word_recipe(run, trials[~is_baseline(trials)])


def word_settings(trials: pd.DataFrame) -> str:
    """Word how models were trained: the optimizer, its rate, and what differs from the defaults, ranges included."""
    names = [name for name in SETTINGS if name in rows(Training) or name == "dropout"]
    parts = []
    for name in (name for name in names if name not in _ELSEWHERE):
        values = sorted(trials[name].dropna().unique())
        if name in ("optimizer", "learning_rate") or values != [DEFAULTS.get(name)]:
            parts.append(_word_values(SETTINGS[name], values))
    return ", ".join(parts)


_ELSEWHERE = ("num_epochs", "seed", "batch_size", "num_steps")
"""What is no part of a recipe, but of the budget or of the data."""


def _word_values(row: Setting, values: Sequence[Any]) -> str:
    """Word one value, or the least and the largest of several."""
    form = _PLACE.search(row.words)
    assert form is not None  # every setting of training has a place for its value
    before, after = row.words[: form.start()], row.words[form.end() :]
    ends = dict.fromkeys(form[0].format(value) for value in (values[0], values[-1]))
    return f"{before}{' to '.join(ends)}{after}"


def _word_tuned(run: Run, trials: pd.DataFrame) -> str:
    """Say by what budget the rates were tuned, which were chosen, and whether any lies at the edge of its space."""
    points = " or ".join(f"{number}" for number in sorted(trials["num_points"].dropna().astype(int).unique()))
    rates = sorted(trials["learning_rate"].unique())
    ends = " to ".join(dict.fromkeys(f"{rate:g}" for rate in (rates[0], rates[-1])))
    searches = run.tuning[run.tuning["search_id"].isin(set(trials["search_id"]))]
    at_edge = int((searches["at_edge"] != "").sum())
    edge = f", {at_edge} of {len(searches)} at the edge of their space" if at_edge else ""
    spaces = searches["space"].unique()
    apart = f", not all in the same space ({enumerate_names(spaces)})" if len(spaces) > 1 else ""
    earlier = int(searches["num_earlier_points"].fillna(0).sum())
    spent = f", after {plural(earlier, 'point')} of spaces that were given up" if earlier else ""
    return (
        f"Learning rates were tuned, {points} points a model{apart}{spent}, the best by validation trained again under "
        f"fresh seeds: {ends} ({enumerate_names(trials['optimizer'].unique())}){edge}"
    )


def _word_untuned(trials: pd.DataFrame, subject: str) -> str:
    pairs = trials[["learning_rate", "optimizer"]].drop_duplicates().sort_values("learning_rate")
    rates = [f"{rate:g} ({optimizer})" for rate, optimizer in pairs.itertuples(index=False)]
    if len(rates) == 1:
        return f"{subject} at one untuned learning rate, {rates[0]}: another may reverse it"
    return f"{subject} at untuned learning rates, {enumerate_names(rates, 6)}: others may reverse it"


def _word_learning(run: Run, trials: pd.DataFrame) -> str:
    known = are_learning(run, trials["trial_id"]).dropna()
    models = plural(len(trials), "model")
    if known.empty:
        return f"whether the {models} were still learning at the end is not known (one epoch each)"
    if not known.any():
        return f"none of the {models} was still learning at the end"
    return f"{count(int(known.sum()))} of {models} were still learning at the end (more epochs may change the answer)"
