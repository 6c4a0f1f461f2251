"""Reads a run's ledger into DataFrames: trials, epochs, timed blocks, and the summary over seeds."""

import json
import math
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.errors import RunFolderError
from harness.ledger import ENDED, LedgerReader
from harness.report import floor
from harness.report.manifest import Manifest, read_manifest
from harness.report.transfer import TEST_FIGURES, frame_evaluations, frame_transfer, own_test_figures
from harness.statistics import mean_margin, median_ranks
from harness.worker.trial import Trial

LEDGER = "run.sqlite"

TRIAL_COLUMNS = (
    "trial_id", "status", "reason", "cell", "backend", "implementation", "corpus", "authors", "train_tokens",
    "num_layers", "num_hiddens", "num_steps", "batch_size", "optimizer", "learning_rate", "grad_clip", "num_epochs",
    "seed", "device", "num_threads", "concurrency", "num_params", "train_perplexity", "valid_perplexity",
    "valid_bits_per_char", "valid_accuracy", "valid_top5_accuracy", "tokens_per_s", "tokens_per_s_low",
    "tokens_per_s_high", "model_flops_utilization", "train_seconds", "peak_rss_bytes", "peak_device_bytes",
    "parity_certified", "parity_max_rel_diff",
)  # fmt: skip
"""The first columns of trials.csv, in this order: other programs rely on them."""

_MORE_TRIAL_COLUMNS = (
    "text", "tokens", "partition", "dropout", "vocab_size", "corpus_digest", "unigram_valid_perplexity",
    "num_epochs_done", "best_valid_perplexity", "best_epoch", "train_loss", "valid_loss", "valid_seconds",
    "first_step_seconds", "compile_seconds", "attempts", "resumed_epochs", "slot", "versions", "environment",
    "environment_hash", "parity_steps", "timed_by", "timing_note", "flops_per_token", "device_flops_per_s",
    "device_bytes_per_s", "per_device", "init", "lr_decay", "lr_decay_after", "rmsprop_decay",
    "mix", *TEST_FIGURES, *floor.COLUMNS, "leakage_suspected",
)  # fmt: skip

_EPOCH_COLUMNS = (
    "trial_id", "epoch", "train_loss", "train_perplexity", "train_accuracy", "train_top5_accuracy", "valid_loss",
    "valid_perplexity", "valid_bits_per_char", "valid_accuracy", "valid_top5_accuracy", "grad_norm", "train_tokens",
    "train_seconds", "valid_seconds", "train_seconds_so_far", "recorded_at",
)  # fmt: skip
PROBE_COLUMNS = ("trial_id", "probe", "quantity", "at", "value", "deviation", "n")
"""The columns of probes.csv."""
_TIMING_COLUMNS = ("trial_id", "phase", "round", "block", "tokens", "seconds", "tokens_per_s")

_WHOLE = (
    "train_tokens", "num_layers", "num_hiddens", "num_steps", "batch_size", "num_epochs", "seed", "num_threads",
    "concurrency", "num_params", "peak_rss_bytes", "peak_device_bytes", "vocab_size", "num_epochs_done", "best_epoch",
    "attempts", "resumed_epochs", "parity_steps", "per_device", "lr_decay_after",
)  # fmt: skip
_TEXT = (
    "trial_id", "status", "reason", "cell", "backend", "implementation", "corpus", "authors", "optimizer", "device",
    "text", "tokens", "partition", "corpus_digest", "slot", "versions", "environment",
    "environment_hash", "timed_by", "timing_note", "init", "mix",
)  # fmt: skip

_LATER_SETTINGS = {field.name: field.default for field in fields(Trial) if field.default is not MISSING}
"""What a ledger of an earlier version does not say."""
SETTINGS = tuple(field.name for field in fields(Trial) if field.name != "seed")
"""What two trials share that differ by their seed alone."""
METRICS = (
    "train_perplexity", "valid_perplexity", "valid_bits_per_char", "valid_accuracy", "tokens_per_s", "train_seconds",
)  # fmt: skip
"""What summary.csv averages over seeds."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run as its report sees it; every frame is in plan order."""

    trials: pd.DataFrame
    """One row a trial: the columns of trials.csv."""
    pending: pd.Series
    """By trial_id: whether the same command would still run the trial."""
    epochs: pd.DataFrame
    timings: pd.DataFrame
    summary: pd.DataFrame
    transfer: pd.DataFrame
    """One row a finished trial and author: what it reaches on the author's held-out text."""
    samples: dict[str, str]
    """Generated text by trial_id, of the trials that are done."""
    log_tails: dict[str, str]
    """The last lines of their logs by trial_id, of the trials that failed."""
    manifest: Manifest
    folder: Path = Path()
    """Where its checkpoints lie."""
    probes: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(PROBE_COLUMNS)))
    """One row a quantity probed on a trained model."""


def read_run(folder: Path) -> Run:
    """Read the folder's ledger and manifest.

    Raises: RunFolderError where there is no ledger or it is damaged.
    """
    path = folder / LEDGER
    try:
        with LedgerReader(path) as reader:
            # Trials before epochs: while a run goes on, a trial read as done then has all its epochs.
            planned = reader.trials()
            order = {record["trial_id"]: position for position, record in enumerate(planned)}
            epochs = _frame_epochs(_frame(reader.columns("epochs"), order, ("epoch",)))
            timings = _frame_timings(_frame(reader.columns("timings"), order, ("phase", "round", "block")))
            evaluations = frame_evaluations(reader.evaluations())
            probes = _frame_probes(reader.probes(), order)
    except sqlite3.Error as error:
        raise RunFolderError(f"The ledger {path} cannot be read ({error}): run the same command again.") from None
    manifest = read_manifest(folder)
    evaluations = evaluations[evaluations["trial_id"].isin(list(order))]
    trials = _frame_trials(planned, epochs, timings, manifest, evaluations)
    return Run(
        trials=trials,
        pending=pd.Series({r["trial_id"]: r["status"] not in ENDED for r in planned}, dtype=bool),
        epochs=epochs,
        timings=timings,
        summary=summarise(trials),
        transfer=frame_transfer(evaluations, trials),
        samples=_texts(planned, "sample", ("ok",)),
        log_tails=_texts(planned, "log_tail", ("failed", "timeout")),
        manifest=manifest,
        folder=folder,
        probes=probes,
    )


def _texts(planned: Sequence[dict[str, Any]], fact: str, statuses: Sequence[str]) -> dict[str, str]:
    texts = ((record["trial_id"], record.get(fact)) for record in planned if record["status"] in statuses)
    return {trial_id: text for trial_id, text in texts if isinstance(text, str) and text}


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return one dict a row, of Python values."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


# --- epochs and timed blocks ------------------------------------------------------------------------------


_WHOLE_CELLS = ("epoch", "round", "block", "tokens")


def _frame(chunks: Iterable[dict[str, Sequence[Any]]], order: dict[str, int], then: Sequence[str]) -> pd.DataFrame:
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


def _frame_epochs(frame: pd.DataFrame) -> pd.DataFrame:
    with np.errstate(over="ignore"):
        for part in ("train", "valid"):
            frame[f"{part}_perplexity"] = np.exp(frame[f"{part}_loss"])
    frame["train_tokens"] = _whole(frame["train_tokens"])
    frame["train_seconds_so_far"] = frame.groupby("trial_id")["train_seconds"].cumsum()
    frame["recorded_at"] = _iso_time(frame["recorded_at"])
    return frame[list(_EPOCH_COLUMNS)]


def _iso_time(seconds: pd.Series) -> pd.Series:
    whole = np.floor(seconds.to_numpy(np.float64)).astype("datetime64[s]")
    return pd.Series(np.strings.add(np.datetime_as_string(whole, unit="s"), "Z"), index=seconds.index, dtype=object)


def _frame_timings(frame: pd.DataFrame) -> pd.DataFrame:
    seconds = frame["seconds"].astype(np.float64)
    frame["tokens_per_s"] = frame["tokens"].astype(np.float64) / seconds.where(seconds > 0)
    return frame[list(_TIMING_COLUMNS)]


def _frame_probes(records: Sequence[dict[str, Any]], order: Mapping[str, int]) -> pd.DataFrame:
    known = [record for record in records if record["trial_id"] in order]
    known.sort(key=lambda record: order[record["trial_id"]])
    frame = pd.DataFrame.from_records(known, columns=list(PROBE_COLUMNS))
    measured = ["at", "value", "deviation", "n"]
    frame[measured] = frame[measured].astype(np.float64)
    return frame


def throughput(timings: pd.DataFrame, timed_by: pd.Series) -> pd.DataFrame:
    """Return each trial's tokens_per_s: the median of its kind's blocks in the timing phase, with its 95 % interval.

    ``timed_by`` names by trial_id the trial whose measurement it shares. A trial that was not timed has the median of
    its own training blocks, of which the first, in which caches and clocks warm up, counts only where it is alone.
    """
    alone = timings[(timings["phase"] == "timing") & timings["tokens_per_s"].notna()]
    shared = _medians(alone).reindex(timed_by.dropna()).set_axis(timed_by.dropna().index)
    trained = _medians(steady_blocks(timings))
    timed = shared.dropna(subset=["tokens_per_s"])
    return pd.concat([timed, trained.drop(timed.index, errors="ignore")])


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


# --- trials -----------------------------------------------------------------------------------------------


def _frame_trials(
    records: Sequence[dict[str, Any]],
    epochs: pd.DataFrame,
    timings: pd.DataFrame,
    manifest: Manifest,
    evaluations: pd.DataFrame,
) -> pd.DataFrame:
    columns = (*TRIAL_COLUMNS, *_MORE_TRIAL_COLUMNS)
    known = pd.DataFrame([_flat(record) for record in records], columns=list(columns)).set_index("trial_id")
    known["unigram_valid_perplexity"] = known["corpus_digest"].map(_unigram_perplexities(manifest))
    rates = throughput(timings, known["timed_by"].where(known["timed_by"].notna() & (known["timed_by"] != "")))
    test = own_test_figures(evaluations, known["authors"])
    for measured in (_last_epochs(epochs), _best_epochs(epochs), _epoch_sums(epochs), rates, test):
        for name in measured.columns:
            known[name] = measured[name].reindex(known.index)
    known["num_epochs_done"] = known["num_epochs_done"].fillna(0)
    known = floor.with_floor(_name_pending(known.reset_index()), manifest)
    for name in columns:
        known[name] = _typed(name, known[name])
    known["compile_seconds"] = _compile_seconds(known)
    known["model_flops_utilization"] = known["tokens_per_s"] * known["flops_per_token"] / known["device_flops_per_s"]
    return known[list(columns)]


def _compile_seconds(trials: pd.DataFrame) -> pd.Series:
    """Return what the first minibatch took beyond a usual one: building, tracing, compiling."""
    tokens = (trials["batch_size"] * trials["num_steps"]).astype(np.float64)
    return (trials["first_step_seconds"] - tokens / trials["tokens_per_s"]).clip(lower=0)


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    """Return the record with its dictionaries as JSON text, one cell each."""
    return {
        name: json.dumps(value, sort_keys=True) if isinstance(value, (dict, list)) else value
        for name, value in (_LATER_SETTINGS | record).items()
    }


def _typed(name: str, column: pd.Series) -> pd.Series:
    if name in _TEXT:
        return column.astype(object).where(column.notna(), "").astype(str)
    if name in _WHOLE:
        return _whole(column)
    if name in ("parity_certified", "leakage_suspected"):
        return column.astype("boolean")
    return pd.to_numeric(column, errors="coerce").astype(np.float64)


def _whole(column: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce").astype(np.float64)
    return numbers.where(numbers % 1 == 0).astype("Int64")


def _unigram_perplexities(manifest: Manifest) -> dict[str, float]:
    pairs = ((corpus.get("digest"), corpus.get("unigram_valid_perplexity")) for corpus in manifest.corpora)
    return {
        digest: float(value)
        for digest, value in pairs
        if isinstance(digest, str) and isinstance(value, (int, float)) and math.isfinite(value) and value > 0
    }


_LAST = (
    "train_loss", "train_perplexity", "valid_loss", "valid_perplexity", "valid_bits_per_char", "valid_accuracy",
    "valid_top5_accuracy",
)  # fmt: skip


def _last_epochs(epochs: pd.DataFrame) -> pd.DataFrame:
    return epochs.drop_duplicates("trial_id", keep="last").set_index("trial_id")[list(_LAST)]


def _best_epochs(epochs: pd.DataFrame) -> pd.DataFrame:
    finite = epochs[np.isfinite(epochs["valid_perplexity"])]
    # A stable sort, so that among equals the first epoch is the best one.
    best = finite.sort_values("valid_perplexity", kind="stable").drop_duplicates("trial_id").set_index("trial_id")
    return best[["valid_perplexity", "epoch"]].set_axis(["best_valid_perplexity", "best_epoch"], axis=1)


def _epoch_sums(epochs: pd.DataFrame) -> pd.DataFrame:
    by_trial = epochs.groupby("trial_id", sort=False)
    sums = by_trial[["train_seconds", "valid_seconds"]].sum(min_count=1)
    return sums.assign(num_epochs_done=by_trial.size())


def _name_pending(trials: pd.DataFrame) -> pd.DataFrame:
    """Call trials that are still to run 'skipped', with the reason that they are."""
    pending = ~trials["status"].isin(ENDED)
    done = trials["num_epochs_done"].astype(int).astype(str) + " of " + trials["num_epochs"].astype(str)
    begun = "Not run to the end yet (" + done + " epochs); the same command again continues it."
    unbegun = "Not run yet; the same command again runs it."
    # A released trial waits again, but keeps its epochs.
    reasons = begun.where((trials["num_epochs_done"] > 0) | (trials["status"] == "running"), unbegun)
    return trials.assign(
        status=trials["status"].where(~pending, "skipped"), reason=trials["reason"].where(~pending, reasons)
    )


# --- the summary over seeds -------------------------------------------------------------------------------


def summarise(trials: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each model and setting: the mean over its finished seeds with a 95 % t interval."""
    done = trials[trials["status"] == "ok"]
    groups = done.groupby(list(SETTINGS), sort=False, dropna=False)
    summary = pd.DataFrame({"num_seeds": groups["seed"].nunique(), "num_params": groups["num_params"].first()})
    numbers = groups[list(METRICS)]
    with np.errstate(invalid="ignore"):
        means, deviations, counts = numbers.mean(), numbers.std(), numbers.count()
    margins = mean_margin(deviations, counts)
    bounds = {"mean": means, "mean_low": means - margins, "mean_high": means + margins}
    for metric in METRICS:
        for name, values in bounds.items():
            summary[f"{metric}_{name}"] = values[metric]
    # Seeds that share one measurement have no spread of speeds: theirs is the interval of that measurement.
    measured = groups["timed_by"].agg(["nunique", "first"])
    shared = (measured["nunique"] == 1) & (measured["first"] != "")
    own = groups[["tokens_per_s_low", "tokens_per_s_high"]].first()
    for end in ("low", "high"):
        name = f"tokens_per_s_mean_{end}"
        summary[name] = (
            summary[name].clip(lower=0).where(~shared | (summary["num_seeds"] < 2), own[f"tokens_per_s_{end}"])
        )
    return summary.reset_index()


def varying(trials: pd.DataFrame, names: Iterable[str]) -> list[str]:
    """Return those of the columns in which the trials differ."""
    return [name for name in names if trials[name].nunique(dropna=False) > 1]
