"""The command that compares two runs."""

from pathlib import Path

import click

from harness.cli.options import FOLDER, Text
from harness.grid import parsing

_FILE = Text("file", parsing.file)
_PERCENTAGE = Text("share", parsing.percentage)


@click.command()
@click.argument("before", metavar="A", type=FOLDER)
@click.argument("after", metavar="B", type=FOLDER)
@click.option("--csv", "table", type=_FILE, default=None, help="Write all rows to this file.")
@click.option("--html", "page", type=_FILE, default=None, help="Write one self-contained page to this file.")
@click.option(
    "--fail-on",
    type=_PERCENTAGE,
    default=None,
    help="Exit 1 where speed or perplexity is worse by more than this beyond noise, or a trial fails that did not. "
    "[never]",
)
def compare(before: Path, after: Path, table: Path | None, page: Path | None, fail_on: float | None) -> None:
    """Compare the runs in the folders A and B: what got faster, better or worse beyond noise."""
    from harness.machine.terminal import lines_console
    from harness.report import two_runs

    differences = two_runs.compare_folders(before, after)
    two_runs.print_differences(differences, lines_console(width=200))
    if table is not None:
        two_runs.write_table(differences, table)
    if page is not None:
        two_runs.write_page(differences, page)
    if fail_on is not None:
        raise SystemExit(two_runs.exit_code(differences, fail_on))
