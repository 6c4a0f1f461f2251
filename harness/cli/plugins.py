"""The commands that list the plugins, and check one."""

from pathlib import Path

import click

from harness.cli.options import plugins_dir, say


@click.group(invoke_without_command=True)
@plugins_dir
@click.pass_context
def plugins(ctx: click.Context, plugins_dir: Path | None) -> None:
    """List cells, backends, baselines, corpora, exercises and executors, and whether they can run here."""
    if ctx.invoked_subcommand is not None:
        ctx.obj = plugins_dir
        return
    from harness.environments import listing
    from harness.machine.terminal import lines_console
    from harness.plugins import registry

    console = lines_console()
    console.print(listing.table(registry.load(plugins_dir), width=console.width))


@plugins.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@plugins_dir
@click.pass_context
def check(ctx: click.Context, names: tuple[str, ...], plugins_dir: Path | None) -> None:
    """Check cells and baselines by their NAMEs; exit 1 where one is not sound.

    A cell is causal, pure, as it declares and differentiable; a baseline's probabilities sum to one. A run checks them
    by itself, once a revision, before anything trains.
    """
    from harness.plugins import registry
    from harness.running.plugin_checks import check_plugins

    problems = check_plugins(registry.load(plugins_dir or ctx.obj), names)
    for name, problem in problems.items():
        say(f"{name}: {problem or 'sound'}")
    raise SystemExit(1 if any(problems.values()) else 0)
