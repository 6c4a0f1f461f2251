"""The command that lists the plugins."""

import sys
from pathlib import Path

import click

from harness.cli.options import plugins_dir


@click.command()
@plugins_dir
def plugins(plugins_dir: Path | None) -> None:
    """List cells, backends, implementations, baselines and corpora, and whether they can run here."""
    from rich.console import Console

    from harness.environments import listing
    from harness.plugins import registry

    # Without a terminal one row is one line, for grep.
    console = Console(width=None if sys.stdout.isatty() else 10_000)
    console.print(listing.table(registry.load(plugins_dir), width=console.width))
