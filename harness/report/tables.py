"""Builds the page's tables: rows of worded cells, each with the value it sorts by."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from harness.report import wording
from harness.report.comparison import BASELINE_FACTORS, Comparison
from harness.report.floor import SURE
from harness.report.frames import records
from harness.report.wording import FACTORS
from harness.worker.trial import NO_BACKEND

Record = Mapping[str, Any]

MAX_STOPPED = 100
MAX_IDS = 4
MAX_LOG = 4000


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell: what is read, what sorts, and a quieter second line."""

    text: str
    value: float | str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column: its heading, how a row's cell is worded, and what it holds."""

    heading: str
    cell: Callable[[Record], Cell]
    kind: Literal["number", "text", "id"] = "number"
    header: bool = False
    """Whether its cells are the headers of their rows."""


@dataclass(frozen=True, kw_only=True)
class Unranked:
    """A trial outside the ranking: who it is, and why."""

    cells: list[Cell]
    status: str
    reason: str
    reached: str
    """What it had reached, where an epoch ended."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A ranking: the ranked rows, then the others under the first ``num_names`` columns and one wide cell."""

    columns: list[Column]
    num_names: int
    ranked: list[list[Cell]]
    unranked: list[Unranked]
    num_ranked: int
    num_unranked: int


_FACTOR_HEADINGS = {
    "cell": "Cell", "num_layers": "Layers", "backend": "Backend", "implementation": "Implementation",
    "num_hiddens": "Hiddens", "train_tokens": "Training tokens", "mix": "Mix", "num_steps": "Steps",
    "batch_size": "Batch",
    "partition": "Partition", "optimizer": "Optimizer", "learning_rate": "Learning rate", "grad_clip": "Clip",
    "dropout": "Dropout", "init": "Initial weights", "lr_decay": "Learning rate decay", "num_epochs": "Epochs",
    "seed": "Seed",
}  # fmt: skip
_WORDED_FACTORS = ("cell", "backend", "implementation", "mix", "partition", "optimizer", "init")


def _measure(heading: str, name: str, word: Callable[[float], str]) -> Column:
    return Column(heading=heading, cell=lambda row: Cell(text=word(row[name]), value=_sortable(row[name])))


def _sortable(value: Any) -> float | str:
    return "" if pd.isna(value) else value if isinstance(value, str) else float(value)


def _factor(name: str) -> Column:
    def cell(row: Record) -> Cell:
        if row["backend"] == NO_BACKEND and name not in BASELINE_FACTORS:
            return Cell(text=wording.MISSING)
        return Cell(text=_word_setting(row[name]), value=_sortable(row[name]))

    return Column(
        heading=_FACTOR_HEADINGS[name],
        cell=cell,
        kind="text" if name in _WORDED_FACTORS else "number",
        header=name == "cell",
    )


def _word_setting(value: Any) -> str:
    if isinstance(value, str):
        return value
    if pd.isna(value):
        return wording.MISSING
    return wording.count(value) if value % 1 == 0 else f"{value:g}"


def _valid_perplexity(row: Record) -> Cell:
    value, epoch = row["valid_perplexity"], row["best_epoch"]
    earlier = bool(pd.notna(epoch)) and epoch < row["num_epochs_done"]
    note = f"{wording.perplexity(row['best_valid_perplexity'])} at epoch {epoch}" if earlier else ""
    return Cell(text=wording.perplexity(value), value=_sortable(value), note=note)


def _excess(row: Record) -> Cell:
    value, rate = row["excess_bits_per_char"], row["entropy_rate"]
    note = f"above {wording.ratio(rate)}" if _is_finite(value) else ""
    return Cell(text=f"{value:+.3f}" if _is_finite(value) else wording.MISSING, value=_sortable(value), note=note)


def _parity(row: Record) -> Cell:
    value = row["parity_max_rel_diff"]
    if row["backend"] == NO_BACKEND:
        return Cell(text="not applicable")
    return Cell(text=f"{value:.1e}" if _is_finite(value) else wording.MISSING, value=_sortable(value))


def _rate(row: Record) -> Cell:
    value = row["tokens_per_s"]
    note = wording.bracket(row["tokens_per_s_low"], row["tokens_per_s_high"], wording.rate)
    how = _word_timing(row)
    return Cell(text=wording.rate(value), value=_sortable(value), note=", ".join(part for part in (note, how) if part))


def _word_timing(row: Record) -> str:
    """Return what a reader must know of a rate that was not taken alone on a quiet machine."""
    if not _is_finite(row["tokens_per_s"]):
        return ""
    if not row["timed_by"]:
        return "while training"
    return str(row["timing_note"]).split(":")[0]


_MEASURES = (
    Column(heading="Validation perplexity", cell=_valid_perplexity),
    _measure("Training perplexity", "train_perplexity", wording.perplexity),
    _measure("Bits per character", "valid_bits_per_char", wording.ratio),
    Column(heading="Excess bits", cell=_excess),
    _measure("Accuracy", "valid_accuracy", wording.ratio),
    Column(heading="Tokens per second", cell=_rate),
    _measure("Utilization", "model_flops_utilization", wording.ratio),
    _measure("Training, s", "train_seconds", wording.seconds),
    Column(heading="Parity difference", cell=_parity),
    _measure("Parameters", "num_params", wording.count),
    _measure("Memory, MB", "peak_rss_bytes", wording.megabytes),
    _measure("GPU memory, MB", "peak_device_bytes", wording.megabytes),
)
_OPTIONAL = {
    "GPU memory, MB": "peak_device_bytes",
    "Parity difference": "parity_max_rel_diff",
    "Utilization": "model_flops_utilization",
    "Excess bits": "excess_bits_per_char",
}
"""Columns that only some runs fill."""
_TRIAL = Column(heading="Trial", cell=lambda row: Cell(text=row["trial_id"], value=row["trial_id"]), kind="id")


def ranking(comparison: Comparison, most: int) -> Table:
    """Return the ranking of at most this many rows, the ranked ones first."""
    names = [_measure("Rank", "rank", wording.count), *(_factor(name) for name in comparison.factors)]
    empty = [heading for heading, name in _OPTIONAL.items() if comparison.trials[name].isna().all()]
    columns = [*names, *(column for column in _MEASURES if column.heading not in empty), _TRIAL]
    ranked, unranked = comparison.ranked, comparison.unranked
    return Table(
        columns=columns,
        num_names=len(names),
        ranked=[[column.cell(row) for column in columns] for row in records(ranked.head(most))],
        unranked=[_unranked(row, names) for row in records(unranked.head(max(0, most - len(ranked))))],
        num_ranked=len(ranked),
        num_unranked=len(unranked),
    )


def _unranked(row: Record, names: list[Column]) -> Unranked:
    reason = row["reason"]
    if row["status"] == "ok":
        reason = _word_unranked(row)
    done = int(row["num_epochs_done"])
    reached = (
        f"Validation perplexity {wording.perplexity(row['valid_perplexity'])} after {wording.plural(done, 'epoch')}."
        if done
        else ""
    )
    return Unranked(cells=[column.cell(row) for column in names], status=row["status"], reason=reason, reached=reached)


def _is_finite(value: float) -> bool:
    return bool(pd.notna(value)) and math.isfinite(value)


def _word_unranked(row: Record) -> str:
    if not _is_finite(row["valid_perplexity"]):
        return "No finite validation perplexity."
    if row["leakage_suspected"] is True:
        return (
            f"Leakage: its {wording.ratio(row['valid_bits_per_char'])} bits per character lie below what the text's "
            f"source allows, {wording.ratio(row['entropy_rate'])}, and below "
            f"{wording.ratio(row['lowest_honest_bits_per_char'])}, {SURE:g} standard errors of this validation text "
            "lower. What validates must have been among what trained."
        )
    return _word_uncertified(row)


def _word_uncertified(row: Record) -> str:
    difference = row["parity_max_rel_diff"]
    if pd.isna(row["parity_certified"]):
        return "Without a parity certificate: its first steps were not compared with the reference."
    by = f" by up to {difference:.1e} of its figures" if _is_finite(difference) else ""
    return f"Without a parity certificate: its first steps differ from the reference{by}."


def shared_settings(comparison: Comparison) -> str:
    """Word the settings all trials share, so that the table needs no column for them."""
    trained = comparison.trained
    first = (trained if len(trained) else comparison.trials).iloc[0]
    shared = [name for name in (FACTORS if len(trained) else BASELINE_FACTORS) if name not in comparison.factors]
    return ", ".join(f"{_FACTOR_HEADINGS[name].lower()} {_word_setting(first[name])}" for name in shared)


# --- the smaller tables -----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Mean:
    """One metric over seeds."""

    mean: str
    interval: str


def seed_means(comparison: Comparison, most: int) -> list[dict[str, Any]]:
    """Return the models with several seeds, best mean first; none where every model has one seed."""
    several = comparison.summary[comparison.summary["num_seeds"] > 1]
    metrics = {
        "valid_perplexity": wording.perplexity,
        "train_perplexity": wording.perplexity,
        "tokens_per_s": wording.rate,
    }
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


def _word_entropy(entropy: object) -> str:
    """Word what is known of a text's source; nothing where nothing is."""
    if not isinstance(entropy, dict):
        return ""
    low, high = (_word_number(entropy.get(end), lambda value: f"{value:.4f}") for end in ("low", "high"))
    rate = low if low == high else f"{low} to {high}"
    return f"entropy rate {rate} bits per character ({entropy.get('method', '')})"


def _word_number(value: object, word: Callable[[float], str]) -> str:
    return word(value) if isinstance(value, (int, float)) else wording.MISSING
