"""Frames what a ledger measured within trials: epochs, timed blocks and the speeds they show, and probes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis.columns import EPOCHS, PROBES, TIMINGS
from harness.analysis.statistics import median_ranks
from harness.contracts.figures import Part
from harness.contracts.measures import FIGURES, stored_in

_WHOLE_CELLS = ("epoch", "round", "block", "tokens")


def join_chunks(chunks: Iterable[dict[str, Sequence[Any]]], order: dict[str, int], then: Sequence[str]) -> pd.DataFrame:
    """Join a table's chunks in plan order, and by these columns within a trial."""
    parts: dict[str, list[np.ndarray]] = {}
    places = dict(order)
    for chunk in chunks:
        for name, values in chunk.items():
            parts.setdefault(name, []).append(_array(name, values, places))
    columns = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    rows = np.lexsort([columns[name] for name in (*reversed(then), "trial_id")])
    # One string a trial or phase, not one a row.
    names = {"trial_id": list(places), "phase": _PHASES}
    return pd.DataFrame(
        {
            name: np.array(names[name], dtype=object)[values[rows]] if name in names else values[rows]
            for name, values in columns.items()
        }
    )


_PHASES = ("timing", "training")


def _array(name: str, values: Sequence[Any], places: dict[str, int]) -> np.ndarray:
    """Return a column's cells as numbers; of a trial its place, of a phase which it is."""
    if name == "trial_id":
        # While a run goes on, a trial may have been planned since the plan was read.
        for value in set(values) - places.keys():
            places[value] = len(places)
        return np.array(list(map(places.__getitem__, values)), dtype=np.int64)
    if name == "phase":
        return np.array([value == _PHASES[1] for value in values], dtype=np.int64)
    # A loss that was not a number comes back as None, which float64 takes for NaN.
    return np.array(values, dtype=np.int64 if name in _WHOLE_CELLS else np.float64)


def frame_epochs(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row an epoch: the columns of epochs.csv."""
    # A ledger of an earlier version may lack a measure; it is not known then.
    stored = stored_in("epochs")
    frame = frame.assign(**{measure.name: np.nan for measure in stored if measure.name not in frame.columns})
    parts: tuple[Part, ...] = ("train", "valid")
    for figure in FIGURES:
        for part in parts:
            if figure.derive and not figure.stored and (name := figure.column(part)):
                frame[name] = figure.derive(frame[f"{part}_loss"], np.nan)
    for measure in stored:
        if measure.whole:
            frame[measure.name] = whole(frame[measure.name])
    frame["train_seconds_so_far"] = frame.groupby("trial_id")["train_seconds"].cumsum()
    frame["recorded_at"] = _iso_time(frame["recorded_at"])
    return frame[EPOCHS.names]


def _iso_time(seconds: pd.Series) -> pd.Series:
    whole = np.floor(seconds.to_numpy(np.float64)).astype("datetime64[s]")
    return pd.Series(np.strings.add(np.datetime_as_string(whole, unit="s"), "Z"), index=seconds.index, dtype=object)


def frame_timings(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row a timed block: the columns of timings.csv."""
    seconds = frame["seconds"].astype(np.float64)
    frame["tokens_per_s"] = frame["tokens"].astype(np.float64) / seconds.where(seconds > 0)
    return frame[TIMINGS.names]


def frame_probes(records: Sequence[dict[str, Any]], order: Mapping[str, int]) -> pd.DataFrame:
    """Return one row a probed quantity, in plan order."""
    known = [record for record in records if record["trial_id"] in order]
    known.sort(key=lambda record: order[record["trial_id"]])
    frame = pd.DataFrame.from_records(known, columns=PROBES.names)
    measured = ["at", "value", "deviation", "n"]
    frame[measured] = frame[measured].astype(np.float64)
    return frame


def throughput(timings: pd.DataFrame, timed_by: pd.Series) -> pd.DataFrame:
    """Return each trial's tokens_per_s: the median of its kind's blocks in the timing phase, with its 95 % interval.

    ``timed_by`` names by trial_id the trial whose measurement it shares. A trial that was not timed has the median of
    its own training blocks, of which the first, in which caches and clocks warm up, counts only where it is alone.
    """
    shared = _medians(timed_blocks(timings)).reindex(timed_by.dropna()).set_axis(timed_by.dropna().index)
    trained = _medians(steady_blocks(timings))
    timed = shared.dropna(subset=["tokens_per_s"])
    return pd.concat([timed, trained.drop(timed.index, errors="ignore")])


def timed_blocks(timings: pd.DataFrame) -> pd.DataFrame:
    """Return the blocks of the timing phase, in which each kind of trial ran alone."""
    return timings[(timings["phase"] == "timing") & timings["tokens_per_s"].notna()]


def steady_blocks(timings: pd.DataFrame) -> pd.DataFrame:
    """Return the blocks of training but for each trial's first, which counts only where it is alone."""
    blocks = timings[(timings["phase"] == "training") & timings["tokens_per_s"].notna()]
    by_trial = blocks.groupby("trial_id", sort=False)["tokens_per_s"]
    return blocks[(by_trial.cumcount() > 0) | (by_trial.transform("size") == 1)]


def _medians(blocks: pd.DataFrame) -> pd.DataFrame:
    ordered = blocks.sort_values(["trial_id", "tokens_per_s"])
    rates = ordered.groupby("trial_id", sort=False)["tokens_per_s"]
    rank = rates.cumcount().to_numpy()
    # Few sizes, many blocks: each size's ranks are looked up once.
    sizes, which = np.unique(rates.transform("size"), return_inverse=True)
    low, high = median_ranks(sizes)
    bounds = {
        name: ordered[rank == bound[which]].set_index("trial_id")["tokens_per_s"]
        for name, bound in (("tokens_per_s_low", low), ("tokens_per_s_high", high))
    }
    return pd.DataFrame({"tokens_per_s": rates.median(), **bounds})


def whole(column: pd.Series) -> pd.Series:
    """Return the column as whole numbers; what is none is missing."""
    numbers = pd.to_numeric(column, errors="coerce").astype(np.float64)
    return numbers.where(numbers % 1 == 0).astype("Int64")
