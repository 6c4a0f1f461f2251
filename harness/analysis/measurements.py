"""Frames what a ledger measured within trials: epochs, timed blocks and the speeds they show, and probes."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis.columns import EPOCHS, PROBES, SESSIONS, TIMINGS
from harness.analysis.sessions import middle, serial_correlation
from harness.analysis.statistics import median_ranks
from harness.contracts.figures import Part
from harness.contracts.measures import FIGURES, stored_in

_WHOLE_CELLS = ("epoch", "round", "block", "tokens", "session")


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
    if "session" not in frame.columns:
        frame["session"] = 0
    return frame[TIMINGS.names]


def frame_sessions(records: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Return one row a timing session: the columns of sessions.csv."""
    sentinels = [json.loads(record["sentinel"]) for record in records]
    frame = pd.DataFrame.from_records(records, columns=[*{name: 0 for record in records for name in record}])
    frame = frame.assign(
        num_rounds=[len(rates) for rates in sentinels],
        sentinel_flops_per_s=[float(np.median(rates)) if rates else np.nan for rates in sentinels],
    ).reindex(columns=SESSIONS.names)
    frame["whole"] = frame["whole"].astype("boolean")
    frame["started_at"] = _iso_time(frame["started_at"].astype(np.float64))
    return frame


def frame_probes(records: Sequence[dict[str, Any]], order: Mapping[str, int]) -> pd.DataFrame:
    """Return one row a probed quantity, in plan order."""
    known = [record for record in records if record["trial_id"] in order]
    known.sort(key=lambda record: order[record["trial_id"]])
    frame = pd.DataFrame.from_records(known, columns=PROBES.names)
    measured = ["at", "value", "deviation", "n"]
    frame[measured] = frame[measured].astype(np.float64)
    return frame


def throughput(timings: pd.DataFrame, timed_by: pd.Series, disturbed: Sequence[int] = ()) -> pd.DataFrame:
    """Return each trial's tokens_per_s: the middle of its kind's blocks in the timing phase, with its 95 % interval.

    ``timed_by`` names by trial_id the trial whose measurement it shares; sessions that were ``disturbed`` count where
    it has no other. A trial that was not timed has the median of its own training blocks, of which the first, in which
    caches and clocks warm up, counts only where it is alone.
    """
    timed_alone = _middles(steady_sessions(timed_blocks(timings), disturbed))
    shared = timed_alone.reindex(timed_by.dropna()).set_axis(timed_by.dropna().index)
    trained = _medians(steady_blocks(timings))
    timed = shared.dropna(subset=["tokens_per_s"])
    return pd.concat([timed, trained.drop(timed.index, errors="ignore")])


def disturbed(sessions: pd.DataFrame) -> list[int]:
    """Return the numbers of the sessions that something disturbed."""
    return [int(number) for number in sessions.loc[sessions["disturbance"] != "", "session"]]


def steady_sessions(blocks: pd.DataFrame, disturbed: Sequence[int]) -> pd.DataFrame:
    """Return the blocks of sessions that were not disturbed; of a trial that has none, all."""
    steady = ~blocks["session"].isin(list(disturbed))
    return blocks[steady | ~steady.groupby(blocks["trial_id"]).transform("any")]


def timed_blocks(timings: pd.DataFrame) -> pd.DataFrame:
    """Return the blocks of the timing phase, in which each kind of trial ran alone."""
    return timings[(timings["phase"] == "timing") & timings["tokens_per_s"].notna()]


def steady_blocks(timings: pd.DataFrame) -> pd.DataFrame:
    """Return the blocks of training but for each trial's first, which counts only where it is alone."""
    blocks = timings[(timings["phase"] == "training") & timings["tokens_per_s"].notna()]
    by_trial = blocks.groupby("trial_id", sort=False)["tokens_per_s"]
    return blocks[(by_trial.cumcount() > 0) | (by_trial.transform("size") == 1)]


def _middles(blocks: pd.DataFrame) -> pd.DataFrame:
    """Return the middle of each trial's blocks over its sessions; how blocks are correlated is asked of all trials."""
    correlation = correlation_of(blocks)
    intervals = {
        trial_id: middle(own["tokens_per_s"].to_numpy(np.float64), own["session"].to_numpy(), correlation)
        for trial_id, own in blocks.groupby("trial_id", sort=False)
    }
    names = ("tokens_per_s", "tokens_per_s_low", "tokens_per_s_high")
    columns = [[getattr(each, end) for each in intervals.values()] for end in ("estimate", "low", "high")]
    return pd.DataFrame(dict(zip(names, columns, strict=True)), index=list(intervals), dtype=np.float64)


def correlation_of(blocks: pd.DataFrame) -> float:
    """Return how a block's rate is correlated with that of the next one of its trial and session, in order of time."""
    series = blocks.groupby(["trial_id", "session"], sort=False).ngroup()
    return serial_correlation(blocks["tokens_per_s"].to_numpy(np.float64), series.to_numpy())


def _medians(blocks: pd.DataFrame) -> pd.DataFrame:
    correlation = correlation_of(blocks)
    ordered = blocks.sort_values(["trial_id", "tokens_per_s"])
    rates = ordered.groupby("trial_id", sort=False)["tokens_per_s"]
    rank = rates.cumcount().to_numpy()
    # Few sizes, many blocks: each size's ranks are looked up once.
    sizes, which = np.unique(rates.transform("size"), return_inverse=True)
    low, high = median_ranks(sizes, correlation=correlation)
    bounds = {
        name: ordered[rank == bound[which]].set_index("trial_id")["tokens_per_s"]
        for name, bound in (("tokens_per_s_low", low), ("tokens_per_s_high", high))
    }
    return pd.DataFrame({"tokens_per_s": rates.median(), **bounds})


def whole(column: pd.Series) -> pd.Series:
    """Return the column as whole numbers; what is none is missing."""
    numbers = pd.to_numeric(column, errors="coerce").astype(np.float64)
    return numbers.where(numbers % 1 == 0).astype("Int64")
