"""Reads a run's ledger into DataFrames, of which those of its trials and of the summary over seeds are made here."""

import json
import math
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis import floor
from harness.analysis.measurements import (
    PROBE_COLUMNS,
    frame_epochs,
    frame_probes,
    frame_timings,
    join_chunks,
    throughput,
    whole,
)
from harness.analysis.statistics import mean_margin
from harness.analysis.transfer import TEST_FIGURES, frame_evaluations, frame_transfer, own_test_figures
from harness.errors import RunFolderError
from harness.record.ledger import ENDED, LedgerReader
from harness.record.manifest import Manifest, read_manifest
from harness.worker.trial import DEFAULTS
from harness.worker.trial import SETTINGS as TRIAL_SETTINGS

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

_PUBLISHED = (
    "cell", "backend", "implementation", "corpus", "authors", "text", "tokens", "train_tokens", "corpus_digest",
    "vocab_size", "num_layers", "num_hiddens", "num_steps", "batch_size", "partition", "optimizer", "learning_rate",
    "grad_clip", "dropout", "num_epochs", "init", "lr_decay", "lr_decay_after", "rmsprop_decay", "mix",
)  # fmt: skip
"""The settings' columns in the order other programs rely on; later ones follow as they are declared."""
SETTINGS = tuple(name for name in dict.fromkeys((*_PUBLISHED, *TRIAL_SETTINGS)) if name != "seed")
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
            epochs = frame_epochs(join_chunks(reader.columns("epochs"), order, ("epoch",)))
            timings = frame_timings(join_chunks(reader.columns("timings"), order, ("phase", "round", "block")))
            evaluations = frame_evaluations(reader.evaluations())
            probes = frame_probes(reader.probes(), order)
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
        for name, value in {**DEFAULTS, **record}.items()
    }


def _typed(name: str, column: pd.Series) -> pd.Series:
    if name in _TEXT:
        return column.astype(object).where(column.notna(), "").astype(str)
    if name in _WHOLE:
        return whole(column)
    if name in ("parity_certified", "leakage_suspected"):
        return column.astype("boolean")
    return pd.to_numeric(column, errors="coerce").astype(np.float64)


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
