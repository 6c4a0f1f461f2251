"""The column dictionary: `python -m harness.report.dictionary` prints docs/columns.md."""

from collections.abc import Iterator

from harness.analysis.columns import TABLES, Column, Table
from harness.report.answers import ANSWERS
from harness.report.two_runs.presentation import DIFFERENCES

_INTRODUCTION = """\
# Columns

Every column of the CSV files a run leaves and of `harness compare --csv`. The files are UTF-8 with a header, their rows
end as RFC 4180 has it, figures have twelve digits; what is not known is an empty cell, and a text that a spreadsheet
would run as a formula has an apostrophe before it. New columns come behind those that are here.

`python -m harness.report.dictionary > docs/columns.md` makes this page from the rows that also make the files: settings
are the fields of `harness.worker.trial.Trial`, measures are `harness.contracts.measures.ROWS`, the rest is in
`harness.analysis.columns`."""


def dictionary() -> str:
    """Return the page."""
    return (
        "\n\n".join([_INTRODUCTION, *("\n".join(_section(table)) for table in (*TABLES, ANSWERS, DIFFERENCES))]) + "\n"
    )


def _section(table: Table) -> Iterator[str]:
    yield f"## {table.name}\n"
    yield f"{table.row[0].upper()}{table.row[1:]}.\n"
    yield "| column | holds | unit | better | meaning |"
    yield "|---|---|---|---|---|"
    yield from map(_row, table.columns)


def _row(column: Column) -> str:
    holds = {"whole": "whole number", "flag": "True or False"}.get(column.kind, column.kind)
    meaning = column.description.replace("|", "\\|").replace("<", "\\<")
    return f"| `{column.name}` | {holds} | {column.unit} | {column.better} | {meaning} |"


if __name__ == "__main__":
    print(dictionary(), end="")
