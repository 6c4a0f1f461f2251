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
    help="Fail where speed or perplexity is worse by more than this beyond noise, or is not known to be no worse. "
    "[never]",
)
@click.option(
    "--guard",
    type=click.Choice(["both", "perplexity", "speed"]),
    default="both",
    show_default=True,
    help="What --fail-on is about.",
)
def compare(
    before: Path, after: Path, table: Path | None, page: Path | None, fail_on: float | None, guard: str
) -> None:
    """Compare the runs in the folders A and B: what got faster, better or worse beyond noise.

    Exit codes: 0 compared, 1 a bug of ours, 2 wrong usage or no run, 6 nothing could be judged. With --fail-on also: 3
    worse, or a trial that no longer finishes or is no longer certified; 4 a model of A, or its speed, is missing in B;
    5 a speed was not judged, as the machine was under load, under drift or unsteady; 6 something that is guarded was
    not judged for another reason; 0 all was judged and nothing is worse. Of several the first of 3, 4, 5, 6.
    """
    from harness.machine.terminal import lines_console
    from harness.report import two_runs

    differences = two_runs.compare_folders(before, after)
    two_runs.print_differences(differences, lines_console(width=200))
    if table is not None:
        two_runs.write_table(differences, table)
    if page is not None:
        two_runs.write_page(differences, page)
    outcome = two_runs.outcome(differences, fail_on, guard)
    if outcome.reason:
        click.echo(f"Exit {outcome.exit_code}: {outcome.reason}.", err=True)
    raise SystemExit(outcome.exit_code)
