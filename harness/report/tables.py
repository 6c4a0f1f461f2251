"""Builds the page's smaller tables: means over seeds, what did not finish, what ran, and what was read."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.analysis import wording
from harness.analysis.frames import records
from harness.analysis.one_text import Comparison
from harness.contracts.measures import MEASURES
from harness.texts.preprocessing import remark_on_loss
from harness.worker.trial import NO_BACKEND

Record = Mapping[str, Any]

MAX_STOPPED = 100
MAX_IDS = 4
MAX_LOG = 4000


@dataclass(frozen=True, kw_only=True)
class Mean:
    """One metric over seeds."""

    mean: str
    interval: str


def seed_means(comparison: Comparison, most: int) -> list[dict[str, Any]]:
    """Return the models with several seeds, best mean first; none where every model has one seed."""
    several = comparison.summary[comparison.summary["num_seeds"] > 1]
    names = ("valid_perplexity", "test_perplexity", "train_perplexity", "tokens_per_s")
    metrics = {name: wording.FORMATS[MEASURES[name].format] for name in names}
    return [
        {
            "label": row["label"],
            "num_seeds": row["num_seeds"],
            "means": [
                Mean(
                    mean=word(row[f"{name}_mean"]),
                    interval=wording.bracket(row[f"{name}_mean_low"], row[f"{name}_mean_high"], word),
                )
                for name, word in metrics.items()
            ],
        }
        for row in records(several.sort_values("valid_perplexity_mean", kind="stable").head(most))
    ]


def stopped(trials: pd.DataFrame, log_tails: Mapping[str, str]) -> dict[str, Any]:
    """Return the trials that did not finish, those with one reason together, with the end of one log."""
    others = trials[trials["status"] != "ok"]
    groups = others.groupby(["status", "reason"], sort=False)["trial_id"].agg(list).reset_index()
    rows = [
        {
            **row,
            "count": len(row["trial_id"]),
            "ids": row["trial_id"][:MAX_IDS],
            "more": len(row["trial_id"][MAX_IDS:]),
            "log_tail": log_tails.get(row["trial_id"][0], "")[-MAX_LOG:],
        }
        for row in records(groups.head(MAX_STOPPED))
    ]
    return {"rows": rows, "total": len(others), "hidden": len(groups) - len(rows)}


def superseded(trials: pd.DataFrame) -> dict[str, Any]:
    """Return the trials in whose place others stand, with what they had reached; they count nowhere else."""
    return {
        "total": len(trials),
        "rows": [
            {
                "trial_id": row["trial_id"],
                "why": row["superseded"],
                "revision": row["revision"] or wording.MISSING,
                "status": row["status"],
                "perplexity": wording.perplexity(row["valid_perplexity"]),
            }
            for row in records(trials.head(MAX_STOPPED))
        ],
    }


def workers(trials: pd.DataFrame) -> list[dict[str, str]]:
    """Return what the trials ran on: each device, thread count, concurrency and set of versions once."""
    begun = trials[trials["versions"] != ""]
    names = ["backend", "device", "num_threads", "concurrency", "versions", "environment"]
    groups = begun.groupby(names, sort=False, dropna=False).size().reset_index(name="trials")
    return [
        {
            "backend": "baselines" if row["backend"] == NO_BACKEND else row["backend"],
            "device": row["device"],
            "threads": wording.count(row["num_threads"]),
            "concurrency": wording.count(row["concurrency"]),
            "versions": _pairs(row["versions"], " "),
            "environment": _pairs(row["environment"], "="),
            "trials": wording.count(row["trials"]),
        }
        for row in records(groups)
    ]


def _pairs(text: str, between: str) -> str:
    values = json.loads(text) if text else {}
    return ", ".join(f"{name}{between}{value}" for name, value in values.items()) or wording.MISSING


def corpora(described: Sequence[Record]) -> list[dict[str, str]]:
    """Return the manifest's corpora worded; what one does not say is a dash."""
    texts = ("name", "title", "authors", "text", "tokens", "licence", "source", "digest")
    counts = ("vocab_size", "train_tokens", "valid_tokens")
    return [
        {
            **{name: str(corpus.get(name) or "") for name in texts},
            **{name: _word_number(corpus.get(name), wording.count) for name in counts},
            "unigram": _word_number(corpus.get("unigram_valid_perplexity"), wording.perplexity),
            "entropy": _word_entropy(corpus.get("entropy")),
            "duplicates": _word_number(corpus.get("duplicate_share"), lambda share: f"{share:.1%}"),
        }
        for corpus in described
    ]


def losses(described: Sequence[Record]) -> list[str]:
    """Return a sentence for each text of which the preparation dropped letters."""
    shares = {
        (str(corpus.get("name")), str(corpus.get("text"))): share
        for corpus in described
        if isinstance(share := corpus.get("lost_share"), (int, float))
    }
    return [remark for (name, kind), share in shares.items() if (remark := remark_on_loss(name, kind, share))]


def _word_entropy(entropy: object) -> str:
    """Word what is known of a text's source; nothing where nothing is."""
    if not isinstance(entropy, dict):
        return ""
    low, high = (_word_number(entropy.get(end), lambda value: f"{value:.4f}") for end in ("low", "high"))
    rate = low if low == high else f"{low} to {high}"
    return f"entropy rate {rate} bits per character ({entropy.get('method', '')})"


def _word_number(value: object, word: Callable[[float], str]) -> str:
    return word(value) if isinstance(value, (int, float)) else wording.MISSING
