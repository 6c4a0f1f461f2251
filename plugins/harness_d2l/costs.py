"""What two cells cost beside each other: tokens a second, and seconds to the perplexity both have reached."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis import evidence
from harness.analysis.frames import Run
from harness.analysis.statistics import UNKNOWN, Interval, mean_interval, sign_beyond

Times = Mapping[tuple[str, str], float]
"""By pair, the logarithm of the first's seconds over the second's."""


MEASURED = ("parameters", "tokens a second", "seconds to the perplexity both reach")
_SIDES = {1: "more", -1: "less", 0: "not to be told apart"}


def rows(speeds: evidence.Speeds, times: Times, matched: pd.DataFrame, **of: Any) -> list[dict[str, Any]]:
    """Return rows of evidence, first over second: tokens a second, seconds to one perplexity, parameters."""
    params = float((matched["num_params_first"] / matched["num_params_second"]).astype(float).mean())
    ratios = (Interval(params, math.nan, math.nan), speed(speeds, matched), time_ratio(times, matched))
    return [
        {
            "role": "secondary",
            "test": name,
            **of,
            "verdict": _SIDES[sign_beyond(ratio, 1.0)] if math.isfinite(ratio.low) else "",
            "unit": "times",
            **evidence.interval_columns("difference", ratio),
        }
        for name, ratio in zip(MEASURED, ratios, strict=True)
        if math.isfinite(ratio.estimate)
    ]


def time_ratio(times: Times, matched: pd.DataFrame) -> Interval:
    """Return the first's seconds over the second's to the perplexity both reach, over seeds."""
    pairs = list(zip(matched["trial_id_first"], matched["trial_id_second"], strict=True))
    logs = matched.assign(time=[times.get(pair, math.nan) for pair in pairs]).groupby("seed", sort=False)["time"].mean()
    log = mean_interval(logs.dropna())
    return Interval(*(float(np.exp(value)) for value in (log.estimate, log.low, log.high)))


def speed(speeds: evidence.Speeds, matched: pd.DataFrame) -> Interval:
    """Return the first's tokens per second over the second's: one pair's rounds, or over several pairs' medians.

    Seeds share one measurement, so a pair is a kind of trial.
    """
    ratios = {}
    for names in zip(matched["trial_id_first"], matched["trial_id_second"], strict=True):
        kind = tuple(speeds.measurement(name) for name in names)
        if all(kind) and kind not in ratios:
            ratios[kind] = speeds.ratio(*names)
    known = [ratio for ratio in ratios.values() if math.isfinite(ratio.estimate)]
    if len(known) < 2:
        return known[0] if known else UNKNOWN
    # The kinds' own intervals are narrow; what the ratio is over depths lies between the least and the largest of them.
    estimate = float(np.exp(np.mean([math.log(ratio.estimate) for ratio in known])))
    return Interval(estimate, min(ratio.low for ratio in known), max(ratio.high for ratio in known))


def time_ratios(run: Run, matched: pd.DataFrame) -> Times:
    """Return by pair the logarithm of the first's seconds over the second's, to the perplexity both have reached.

    Seconds are tokens by the trial's tokens per second, measured alone where it was: training may share the machine.
    """
    ids = {*matched["trial_id_first"], *matched["trial_id_second"]}
    epochs = run.epochs[run.epochs["trial_id"].isin(ids)]
    # A list of each trial's rows, not a frame: of thousands of trials frames take seconds.
    tokens = epochs["train_tokens"].astype(float).groupby(epochs["trial_id"], sort=False).cumsum().to_numpy()
    losses = epochs["valid_loss"].to_numpy()
    curves = {
        trial_id: (tokens[rows].tolist(), losses[rows].tolist())
        for trial_id, rows in epochs.groupby("trial_id", sort=False).indices.items()
    }
    rates = run.trials.set_index("trial_id")["tokens_per_s"].to_dict()
    ratios = {}
    for pair in zip(matched["trial_id_first"], matched["trial_id_second"], strict=True):
        if any(name not in curves for name in pair):
            continue
        goal = max(min(curves[name][1]) for name in pair)
        seconds = [_seconds_to(*curves[name], goal, rates.get(name, math.nan)) for name in pair]
        if all(math.isfinite(value) and value > 0 for value in seconds):
            ratios[pair] = math.log(seconds[0] / seconds[1])
    return ratios


def _seconds_to(tokens: Sequence[float], losses: Sequence[float], goal: float, rate: float) -> float:
    """Return the training seconds to a loss, between epochs in proportion; NaN where it was not reached."""
    if not rate > 0 or not math.isfinite(goal):
        return math.nan
    if losses[0] <= goal:
        return tokens[0] / rate
    for (t0, v0), (t1, v1) in pairwise(zip(tokens, losses, strict=True)):
        if v1 <= goal < v0:
            return (t0 + (t1 - t0) * (v0 - goal) / (v0 - v1)) / rate
    return math.nan
