"""The command that rebuilds a run's report."""

from pathlib import Path

import click

from harness.cli.options import FOLDER, write_report


@click.command()
@click.argument("folder", type=FOLDER, default=Path("reports/latest"))
def report(folder: Path) -> None:
    """Rebuild the CSV files and the page of the run in FOLDER [reports/latest]."""
    from rich.console import Console

    write_report(folder, Console())
