"""The command that rebuilds a run's report."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.options import FOLDER, plugins_dir, write_report

if TYPE_CHECKING:
    from harness.contracts.descriptors import Exercise
from harness.errors import PluginError


@click.command()
@click.argument("folder", type=FOLDER, default=Path("reports/latest"))
@click.option("--out", type=FOLDER, default=None, help="Write them here, and nothing into FOLDER. [FOLDER]")
@plugins_dir
def report(folder: Path, out: Path | None, plugins_dir: Path | None) -> None:
    """Rebuild the CSV files and the page of the run in FOLDER [reports/latest]."""
    from harness.machine.terminal import Terminal

    console = Terminal()
    write_report(folder, console, _exercises(plugins_dir, console), out)


def _exercises(plugins_dir: Path | None, console: Any) -> Iterable["Exercise"]:
    """Return the exercises that are here; a report needs no plugin, so plugins at odds cost it the answers alone."""
    from harness.machine.terminal import print_line
    from harness.plugins import registry

    try:
        return registry.load(plugins_dir).exercises.values()
    except PluginError as error:
        if plugins_dir is not None:
            raise
        print_line(console, f"No exercise is answered: {error}")
        return ()
