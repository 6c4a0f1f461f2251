"""Finds in a run's tables what exercises compare: finished trials, pairs, speeds, intervals and their words."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis.frames import SETTINGS, Run
from harness.analysis.measurements import disturbed, steady_sessions, timed_blocks
from harness.analysis.nuisances import best_of_values, mask_tuned
from harness.analysis.one_text import TEXT, is_baseline
from harness.analysis.sessions import middle
from harness.analysis.statistics import (
    CONFIDENCE,
    UNKNOWN,
    Interval,
    PairedDifference,
    paired_difference,
    sign_beyond,
)
from harness.analysis.text_intervals import difference_over_texts
from harness.record.folder import RunFolder
from harness.worker.checkpoints import shapes_in


def finished(run: Run) -> pd.DataFrame:
    """Return the trials that are done with finite figures, baselines among them; what is suspect or uncertified not."""
    trials = run.trials
    done = (trials["status"] == "ok") & np.isfinite(trials["valid_perplexity"].astype(float))
    done &= ~trials["leakage_suspected"].fillna(False).astype(bool)
    done &= trials["parity_certified"].fillna(True).astype(bool)
    return trials[done]


def cells(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trained models among trials."""
    return trials[~is_baseline(trials)]


def baselines(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the baselines among trials."""
    return trials[is_baseline(trials)]


def kinds(trials: pd.DataFrame) -> pd.Series:
    """Return the number of each trial's kind of model: those that differ in their seed alone are of one kind."""
    return trials.groupby(list(SETTINGS), sort=False, dropna=False).ngroup()


def weight_shapes(run: Run, trial_id: str) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a trained model's weights; none where its checkpoint is not there or can't be read."""
    return shapes_in(RunFolder(run.folder).checkpoint(trial_id), trial_id)


def settings_without(*names: str) -> list[str]:
    """Return what two trials must share that may differ in these columns and their seed."""
    return [name for name in SETTINGS if name not in names]


_BUDGET = ("num_points", "space")
"""Of tuning."""


def pairs(trials: pd.DataFrame, column: str, first: str, second: str, free: Sequence[str] = ()) -> pd.DataFrame:
    """Return the trials that differ in one column alone, side by side: columns end in ``_first`` and ``_second``.

    They share seed and settings, but for the columns ``free`` and for what was tuned for each of them, by as many
    points of the same space: whose space was wider or searched longer has an advantage of its own. Of a model that
    was tried with several values of a nuisance, as of learning rates, the best by validation takes part.
    """
    trials = best_of_values(trials, compared=(column, *free))
    keys = [*settings_without(column, *free), "seed"]
    masked = mask_tuned(trials)
    shared = [name for name in keys if not masked[name].isna().any()]
    apart = [name for name in keys if name not in shared]
    parts = []
    for value in (first, second):
        part = trials[trials[column] == value]
        # What was tuned is no key, but which settings were.
        same = masked.loc[part.index, [*apart, *_BUDGET]].add_prefix("_same_")
        part = part.join(same).drop_duplicates([*keys, *free])
        parts.append(part)
    matched = parts[0].merge(
        parts[1], on=[*shared, *(f"_same_{name}" for name in (*apart, *_BUDGET))], suffixes=("_first", "_second")
    )
    return matched.drop(columns=[f"_same_{name}" for name in (*apart, *_BUDGET)])


def on_one_text(matched: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs on the text that has the most of them: perplexities of two texts have no common mean."""
    if matched.empty:
        return matched
    numbers = matched.groupby(list(TEXT), sort=False, dropna=False)["seed"].transform("size")
    first = matched.loc[numbers.idxmax(), list(TEXT)]
    return matched[(matched[list(TEXT)] == first).all(axis=1)]


def differences_by_seed(matched: pd.DataFrame, first: str, second: str) -> PairedDifference:
    """Compare two columns of pairs, seed by seed: what pairs of one seed differ by is averaged first.

    Depths, backends and settings of one seed are no further draws of chance: backends that train the same model would
    count it twice.
    """
    means = matched.groupby("seed", sort=False)[[first, second]].mean()
    return paired_difference(means[first].astype(float), means[second].astype(float))


def sign_corrected(interval: Interval, p_adjusted: float, level: float = 0.0) -> int:
    """Return the side of the level an interval lies on, 0 where the test corrected for its family does not agree.

    A p value that is not known (differences without any spread) leaves it to the interval.
    """
    return 0 if p_adjusted >= 1 - CONFIDENCE else sign_beyond(interval, level)


def interval_columns(name: str, interval: Interval, ends: str = "") -> dict[str, float]:
    """Return an interval as columns of evidence: ``name``, and with its own or another stem ``_low`` and ``_high``."""
    stem = ends or name
    return {name: interval.estimate, f"{stem}_low": interval.low, f"{stem}_high": interval.high}


def read_interval(row: Mapping[str, Any], name: str, ends: str = "") -> Interval:
    """Return the interval that `interval_columns` wrote into a row."""
    stem = ends or name
    return Interval(*(float(row[column]) for column in (name, f"{stem}_low", f"{stem}_high")))


class Speeds:
    """What the timing phase measured, found again for any two trials."""

    def __init__(self, run: Run) -> None:
        steady = steady_sessions(timed_blocks(run.timings), disturbed(run.sessions))
        self._rates = {
            str(trial_id): blocks.set_index(["session", "round"])["tokens_per_s"]
            for trial_id, blocks in steady.groupby("trial_id", sort=False)
        }
        self._timed_by = run.trials.set_index("trial_id")["timed_by"].to_dict()

    def measurement(self, trial_id: str) -> str:
        """Return the trial whose measurement a trial shares; empty where it was not timed."""
        name = str(self._timed_by.get(trial_id) or "")
        return name if name in self._rates else ""

    def ratio(self, first: str, second: str) -> Interval:
        """Return how many times as fast the first trial is as the second, from blocks timed in the same rounds.

        Each round times both within seconds of each other, so the middle of the rounds' ratios has an interval that a
        change of the machine's speed between rounds does not widen. NaN where they were not timed together.
        """
        names = [self.measurement(trial_id) for trial_id in (first, second)]
        if not all(names):
            return UNKNOWN
        ratios = (self._rates[names[0]] / self._rates[names[1]]).dropna()
        ratios = ratios[np.isfinite(ratios)]
        return middle(ratios.to_numpy(np.float64), ratios.index.get_level_values("session").to_numpy())


def word_interval(interval: Interval, digits: int = 3, unit: str = "") -> str:
    """Word an estimate with its interval, or say that there is none."""
    if not math.isfinite(interval.estimate):
        return "not known"
    estimate = f"{_decimal(interval.estimate, digits)}{unit}"
    if not (math.isfinite(interval.low) and math.isfinite(interval.high)):
        return f"{estimate} (no interval: too few observations)"
    return f"{estimate} (95 % interval {_decimal(interval.low, digits)} to {_decimal(interval.high, digits)})"


def word_bounds(interval: Interval, digits: int = 3) -> str:
    """Word an estimate with its bounds alone, for the second and further of a sentence."""
    if not (math.isfinite(interval.low) and math.isfinite(interval.high)):
        return _decimal(interval.estimate, digits) if math.isfinite(interval.estimate) else "not known"
    ends = (_decimal(value, digits) for value in (interval.estimate, interval.low, interval.high))
    return "{} ({} to {})".format(*ends)


def _decimal(value: float, digits: int) -> str:
    """Word a number with so many digits; what rounds to zero has no sign."""
    return f"{round(value, digits) + 0.0:.{digits}f}"


def word_over_texts(run: Run, pairs: Iterable[tuple[str, str]], part: str, authors: str = "all") -> str:
    """Word how far pairs of trials differ in a part's loss over other texts of the kind, the first less the second.

    Nothing where losses are not known by blocks of text, or these are too few.
    """
    difference = difference_over_texts(run.texts, pairs, part, authors)
    if not math.isfinite(difference.low):
        return ""
    return f"{word_bounds(difference)} nats a token over blocks of the {_TEXTS[part]} text"


_TEXTS = {"valid": "validation", "test": "test", "best_epoch_test": "test"}


def count_seeds(trials: pd.DataFrame) -> str:
    """Word how many seeds stand behind trials: one gives no interval, and that is said."""
    number = int(trials["seed"].nunique())
    return "one seed, which gives no interval" if number == 1 else f"{number} seeds"
