"""Frames a run's trials: how each was planned and ended, and what its epochs, timings and held-out texts come to."""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis import columns, floor
from harness.analysis.measurements import throughput, whole
from harness.analysis.transfer import own_test_figures
from harness.contracts.measures import MEASURES
from harness.record.ledger import ENDED
from harness.record.manifest import Manifest
from harness.worker.trial import DEFAULTS


def frame_trials(
    records: Sequence[dict[str, Any]],
    epochs: pd.DataFrame,
    timings: pd.DataFrame,
    manifest: Manifest,
    evaluations: pd.DataFrame,
    disturbed_sessions: Sequence[int],
) -> pd.DataFrame:
    """Return one row a record of the ledger: the columns of trials.csv."""
    names = columns.TRIALS.names
    known = pd.DataFrame([_flat(record) for record in records], columns=names).set_index("trial_id")
    known["unigram_valid_perplexity"] = known["corpus_digest"].map(_unigram_perplexities(manifest))
    timed_by = known["timed_by"].where(known["timed_by"].notna() & (known["timed_by"] != ""))
    rates = throughput(timings, timed_by, disturbed_sessions)
    tests = [own_test_figures(evaluations, known["authors"], part) for part in ("test", "best_epoch_test")]
    for measured in (_last_epochs(epochs), _best_epochs(epochs), _epoch_sums(epochs), rates, *tests):
        for name in measured.columns:
            known[name] = measured[name].reindex(known.index)
    known["num_epochs_done"] = known["num_epochs_done"].fillna(0)
    known = floor.with_floor(_name_pending(known.reset_index()), manifest)
    for column in columns.TRIALS.columns:
        known[column.name] = typed(column.kind, known[column.name])
    known["compile_seconds"] = _compile_seconds(known)
    known["model_flops_utilization"] = known["tokens_per_s"] * known["flops_per_token"] / known["device_flops_per_s"]
    return known[names]


def _compile_seconds(trials: pd.DataFrame) -> pd.Series:
    """Return what the first minibatch took beyond a usual one: building, tracing, compiling."""
    tokens = (trials["batch_size"] * trials["num_steps"]).astype(np.float64)
    return (trials["first_step_seconds"] - tokens / trials["tokens_per_s"]).clip(lower=0)


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    """Return the record with its dictionaries as JSON text, one cell each, and what of them has a column too."""
    versions = record.get("versions") or {}
    return {
        name: json.dumps(value, sort_keys=True) if isinstance(value, (dict, list)) else value
        for name, value in {**DEFAULTS, **record, "kernels": versions.get("kernels", "")}.items()
    }


def typed(kind: columns.Kind, column: pd.Series) -> pd.Series:
    """Return a column in the type that its kind has in a table."""
    if kind == "text":
        return column.astype(object).where(column.notna(), "").astype(str)
    if kind == "whole":
        return whole(column)
    if kind == "flag":
        return column.astype("boolean")
    return pd.to_numeric(column, errors="coerce").astype(np.float64)


def _unigram_perplexities(manifest: Manifest) -> dict[str, float]:
    pairs = ((corpus.get("digest"), corpus.get("unigram_valid_perplexity")) for corpus in manifest.corpora)
    return {
        digest: float(value)
        for digest, value in pairs
        if isinstance(digest, str) and isinstance(value, (int, float)) and math.isfinite(value) and value > 0
    }


def _last_epochs(epochs: pd.DataFrame) -> pd.DataFrame:
    return epochs.drop_duplicates("trial_id", keep="last").set_index("trial_id")[_of_trial("last")]


def _of_trial(how: str) -> list[str]:
    return [measure.name for measure in MEASURES.values() if measure.of_trial == how]


def _best_epochs(epochs: pd.DataFrame) -> pd.DataFrame:
    finite = epochs[np.isfinite(epochs["valid_perplexity"])]
    # A stable sort, so that among equals the first epoch is the best one.
    best = finite.sort_values("valid_perplexity", kind="stable").drop_duplicates("trial_id").set_index("trial_id")
    return best[["valid_perplexity", "epoch"]].set_axis(["best_valid_perplexity", "best_epoch"], axis=1)


def _epoch_sums(epochs: pd.DataFrame) -> pd.DataFrame:
    by_trial = epochs.groupby("trial_id", sort=False)
    sums = by_trial[_of_trial("sum")].sum(min_count=1)
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
