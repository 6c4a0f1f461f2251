"""The `harness presets` commands."""

import click

from harness.cli.options import say


@click.group()
def presets() -> None:
    """Print the published protocols that --preset knows."""


@presets.command("list")
def presets_list() -> None:
    """List the presets."""
    from harness.grid import experiments

    for name in experiments.preset_names():
        say(f"{name:<15} {experiments.preset(name).title}")


@presets.command("show")
@click.argument("name")
def presets_show(name: str) -> None:
    """Print a preset's file, to read or to copy and edit: harness run FILE."""
    from harness.grid import experiments

    click.echo(experiments.preset_text(name), nl=False)
