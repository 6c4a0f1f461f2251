"""The command that rebuilds a run's report."""

from pathlib import Path

import click

from harness.cli.options import FOLDER, plugins_dir, write_report


@click.command()
@click.argument("folder", type=FOLDER, default=Path("reports/latest"))
@click.option("--out", type=FOLDER, default=None, help="Write them here, and nothing into FOLDER. [FOLDER]")
@plugins_dir
def report(folder: Path, out: Path | None, plugins_dir: Path | None) -> None:
    """Rebuild the CSV files and the page of the run in FOLDER [reports/latest]."""
    from harness.machine.terminal import Terminal
    from harness.plugins import registry

    write_report(folder, Terminal(), registry.load(plugins_dir).exercises.values(), out)
