"""Shows the differences between two runs: for the terminal, as CSV, and as one page."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.analysis import columns, wording
from harness.analysis.columns import Column
from harness.analysis.sessions import ALLOWANCE
from harness.contracts.visible import visible
from harness.report.files import write_csv, write_text
from harness.report.page import render_tables
from harness.report.two_runs.rows import ALONE_NOISE, SIGNIFICANT, VERDICTS, Differences, Row

MAX_ROWS = 60
"""Of the terminal's table; beyond it only what differs is listed."""
MAX_PAGE_ROWS = 3000
MAX_NAMES = 12
_HEADINGS = ("model", "measure", "A", "B", "change", "n", "verdict")
_COLOURS = {"better": "green", "worse": "red", "same within noise": "dim", "not comparable": "dim"}

HOW = (
    "Seeds are paired; the change is relative to A, with its 95 % interval: Student's t over the paired seeds' ratios; "
    "of a speed over the timing sessions in which the machine was steady, so that how sessions differ is in it. "
    f"Fewer than two sessions a run do not show that: a standard deviation of {ALLOWANCE:.0%} is allowed for then.",
    "A row is better or worse where its p value, adjusted by Holm over the models, "
    f"is below {SIGNIFICANT:g} and its interval lies beyond the noise: of speeds {ALONE_NOISE:.0%}, and whatever the "
    "device itself differed by. Speeds and times of training are shown and not judged.",
    "What reads the same is the same. One seed has no interval: it is not judged.",
)


def print_differences(differences: Differences, console: Console) -> None:
    """Print the rows, worst first, what was not compared and why, and the count of each verdict."""
    for letter, name in zip("AB", differences.names, strict=True):
        console.print(f"{letter}: {visible(name)}", markup=False, highlight=False, soft_wrap=True)
    for remark in differences.remarks:
        console.print(visible(remark), markup=False, highlight=False, soft_wrap=True)
    judged = [row for row in _ordered(differences) if row.verdict != "not comparable"]
    shown = judged if len(judged) <= MAX_ROWS else [row for row in judged if row.verdict != "same within noise"]
    if shown:
        console.print(_table(shown[:MAX_ROWS]))
    if len(judged) > len(shown[:MAX_ROWS]):
        hidden = len(judged) - len(shown[:MAX_ROWS])
        console.print(f"{wording.plural(hidden, 'row')} not shown; --csv and --html have all.", highlight=False)
    for sentence in [*_refusals(differences), *_alone(differences), _count(differences)]:
        console.print(visible(sentence), markup=False, highlight=False, soft_wrap=True)


def _ordered(differences: Differences) -> list[Row]:
    return [row for verdict in VERDICTS for row in differences.of(verdict)]


def _table(rows: Sequence[Row]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in _HEADINGS:
        table.add_column(heading, justify="right" if heading in ("A", "B", "n") else "left", overflow="fold")
    for row in rows:
        cells = _cells(row)
        cells[-1] = f"[{_COLOURS[row.verdict]}]{row.verdict}[/]" + (escape(f" ({row.note})") if row.note else "")
        table.add_row(*(escape(visible(cell)) for cell in cells[:-1]), visible(cells[-1]))
    return table


def _cells(row: Row) -> list[str]:
    word = wording.FORMATS[row.measure.format]
    return [row.model, row.measure.heading, word(row.before), word(row.after), _change(row), str(row.n), row.verdict]


def _change(row: Row) -> str:
    if pd.isna(row.change.estimate):
        return wording.MISSING
    bounds = wording.bracket(row.change.low, row.change.high, _percent)
    return _percent(row.change.estimate) + (f" ({bounds})" if bounds else "")


def _percent(share: float) -> str:
    digits = 2 if abs(share) < 0.1 else 1
    # Adding zero makes -0.0 a plain one.
    return f"{round(100 * share, digits) + 0.0:+.{digits}f}{wording.NARROW}%"


def _refusals(differences: Differences) -> list[str]:
    """Return a sentence for each reason why rows are not compared."""
    counts = Counter((row.measure.heading, row.note) for row in differences.of("not comparable"))
    return [
        f"Not compared, {wording.plural(number, 'row')} of {heading}: {note}."
        for (heading, note), number in counts.most_common(MAX_NAMES)
    ]


def _alone(differences: Differences) -> list[str]:
    sides = (("A", differences.only_before), ("B", differences.only_after))
    return [f"Only in {letter}: {wording.enumerate_names(names, MAX_NAMES)}." for letter, names in sides if names]


def _count(differences: Differences) -> str:
    if not differences.rows:
        return "The two runs share no setting: there is nothing to compare."
    counts = [(len(differences.of(verdict)), verdict) for verdict in VERDICTS]
    return f"B against A: {', '.join(f'{number} {verdict}' for number, verdict in counts if number)}."


def write_table(differences: Differences, path: Path) -> None:
    """Write one row a comparison as CSV. Raises: RunFolderError where it cannot be written."""
    rows = [_record(row) for row in _ordered(differences)]
    alone = ((differences.only_before, "A", "missing"), (differences.only_after, "B", "nothing lost"))
    for names, where, obstacle in alone:
        rows += [
            {"model": name, "verdict": "not comparable", "note": f"only in {where}", "obstacle": obstacle}
            for name in names
        ]
    write_csv(path, pd.DataFrame(rows, columns=DIFFERENCES.names))


DIFFERENCES = columns.Table(
    name="harness compare --csv",
    row="one row a measure of one model in both runs, worst first",
    columns=(
        Column("model", "What tells it from the others", "text"),
        Column("measure", "The measure: a column of trials.csv, or finished, parity_certified, all", "text"),
        Column("a", "In the first run: the mean over the paired seeds, of a speed over its steady sessions"),
        Column("b", "In the second run"),
        Column("change", "Relative to A: 0.05 is 5 % more in B"),
        Column("change_low", "Lower end of its 95 % interval"),
        Column("change_high", "Upper end of its 95 % interval"),
        Column("n", "Paired seeds; of a speed, the steady sessions of the run that has fewer", "whole"),
        Column("p_value", "Of the paired t test; of a speed, of the t test over sessions"),
        Column("p_adjusted", "By Holm, over the models, measure by measure"),
        Column("verdict", "worse, better, same within noise or not comparable", "text"),
        Column("note", "Why, where there is more to say", "text"),
        Column("deviation", "Between sessions, of a speed's logarithm; empty: too few sessions measured it"),
        Column("obstacle", "Of what is not comparable: missing, disturbed, unjudged or nothing lost", "text"),
    ),
)


def _record(row: Row) -> dict[str, Any]:
    change = row.change
    return {
        "model": row.model.replace("\u00a0", " "),
        "measure": row.measure.name,
        **{"a": row.before, "b": row.after, "n": row.n},
        **{"change": change.estimate, "change_low": change.low, "change_high": change.high},
        **{"p_value": row.p_value, "p_adjusted": row.p_adjusted, "verdict": row.verdict, "note": row.note},
        "deviation": row.deviation,
        "obstacle": row.obstacle if row.verdict == "not comparable" else "",
    }


def write_page(differences: Differences, path: Path) -> None:
    """Write one self-contained page. Raises: RunFolderError where it cannot be written."""
    ordered = _ordered(differences)
    rows = [{"row": row, "cells": _cells(row), "change": _sortable(row.change.estimate)} for row in ordered]
    values = {
        "names": differences.names,
        "remarks": differences.remarks,
        "rows": rows[:MAX_PAGE_ROWS],
        "hidden": len(rows[MAX_PAGE_ROWS:]),
        "counts": [(verdict, len(differences.of(verdict))) for verdict in VERDICTS],
        "alone": _alone(differences),
        "how": HOW,
    }
    write_text(path, render_tables("compare.html.j2", **values))


def _sortable(value: float) -> float | str:
    return "" if pd.isna(value) else float(value)
