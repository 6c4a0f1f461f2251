"""Builds the page's rankings: rows of worded cells, each with the value it sorts by."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from harness.analysis import wording
from harness.analysis.floor import SURE
from harness.analysis.frames import records
from harness.analysis.one_text import BASELINE_FACTORS, DIGEST, Comparison
from harness.analysis.wording import FACTORS
from harness.contracts.figures import Measure
from harness.contracts.measures import shown_in
from harness.contracts.settings import Setting
from harness.worker.trial import KINDS, NO_BACKEND

Record = Mapping[str, Any]


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


def _worded(name: str, word: Callable[[float], str]) -> Callable[[Record], Cell]:
    return lambda row: Cell(text=word(row[name]), value=_sortable(row[name]))


def _sortable(value: Any) -> float | str:
    return "" if pd.isna(value) else value if isinstance(value, str) else float(value)


def _factor(name: str) -> Column:
    def cell(row: Record) -> Cell:
        if row["backend"] == NO_BACKEND and name not in BASELINE_FACTORS:
            return Cell(text=wording.MISSING)
        return Cell(text=_word_setting(row[name]), value=_sortable(row[name]))

    return Column(
        heading=FACTORS[name].heading,
        cell=cell,
        kind="text" if KINDS[name] is str else "number",
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
    return Cell(text=wording.signed(value), value=_sortable(value), note=note)


def _parity(row: Record) -> Cell:
    value = row["parity_max_rel_diff"]
    if row["backend"] == NO_BACKEND:
        return Cell(text="not applicable")
    return Cell(text=wording.small(value), value=_sortable(value))


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


_CELLS: Mapping[str, Callable[[Record], Cell]] = {
    "valid_perplexity": _valid_perplexity,
    "excess_bits_per_char": _excess,
    "tokens_per_s": _rate,
    "parity_max_rel_diff": _parity,
}
"""Of measures that have a note, or are not of every trial."""


def _measure(measure: Measure) -> Column:
    heading = measure.heading[0].upper() + measure.heading[1:]
    word = wording.FORMATS[measure.format]
    return Column(heading=heading, cell=_CELLS.get(measure.name, _worded(measure.name, word)))


def _measures(trials: pd.DataFrame) -> list[Column]:
    """Return the measures' columns, without those that only some runs fill and this one does not."""
    shown = shown_in("ranking")
    return [_measure(each) for each in shown if not (each.optional and trials[each.name].isna().all())]


_TRIAL = Column(heading="Trial", cell=lambda row: Cell(text=row["trial_id"], value=row["trial_id"]), kind="id")


def ranking(comparison: Comparison, most: int) -> Table:
    """Return the ranking of at most this many rows, the ranked ones first."""
    names = [
        Column(heading="Rank", cell=_worded("rank", wording.count)),
        *(_factor(name) for name in comparison.factors),
    ]
    columns = [*names, *_measures(comparison.trials), _TRIAL]
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
    if row["leakage_suspected"] is True and not row["valid_bits_per_char"] < row["lowest_honest_bits_per_char"]:
        return (
            f"Suspect: a held-out loss of its lies below half of the {wording.perplexity(row['yardstick_valid_loss'])} "
            "nats a token that a 6-gram needs on the same text. What validates may have been among what trained, or "
            "the cell may see what it predicts."
        )
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
    factors = [name for name in (FACTORS if len(trained) else BASELINE_FACTORS) if name not in comparison.factors]
    shared = [name for name in factors if name != DIGEST and _applies(FACTORS[name], first)]
    return ", ".join(f"{FACTORS[name].heading.lower()} {_word_setting(first[name])}" for name in shared)


def _applies(row: Setting, settings: Record) -> bool:
    return row.applies is None or row.applies(settings)
