"""The command that answers exercises."""

import sys
from pathlib import Path
from typing import Any

import click

from harness.cli.options import FOLDER, INTERRUPTED, JOBS, TIMING, devices, force, plugins_dir, say, write_report


@click.command()
@click.argument("exercises", metavar="[ID]...", nargs=-1)
@click.option(
    "--budget",
    type=click.Choice(["quick", "standard", "full"]),
    default="quick",
    show_default=True,
    help="How much is trained; --dry-run predicts how long that takes here.",
)
@click.option("--out", type=FOLDER, default=None, help="The run's folder. [reports/exercises_…]")
@devices
@click.option("--jobs", type=JOBS, default=None, help="Workers at a time on the CPU. [cores]")
@click.option(
    "--timing",
    type=TIMING,
    default=None,
    envvar="HARNESS_TIMING",
    show_envvar=True,
    help="How long the trials whose speed is asked for are timed. [the budget's]",
)
@click.option("--dry-run", is_flag=True, help="Print the plan and a predicted duration, and stop.")
@force
@plugins_dir
def exercises(exercises: tuple[str, ...], budget: str, plugins_dir: Path | None, **options: Any) -> None:
    """Train what the exercises ID need (all of them where none is named), and answer them.

    'harness plugins' lists the IDs. The same command again continues where it stopped.

    Exit codes: 0 all trials ok, 1 some not, 2 wrong usage or plugin, 130 interrupted.
    """
    from harness.contracts.exercises import BUDGETS
    from harness.machine.terminal import Terminal
    from harness.plugins import registry
    from harness.running import run
    from harness.running.exercises import execute, prepare

    console = Terminal()
    amount, known = BUDGETS[budget], registry.load(plugins_dir)
    dry_run, timing = options.pop("dry_run"), options.pop("timing") or amount.timing
    anew = options.pop("anew")
    placement = run.Placement(**options)
    planned = prepare(exercises, amount, known, placement, console)
    if dry_run:
        say(planned.prepared.describe(anew))
        return
    folder = planned.prepared.folder
    with folder.opened():
        outcome = execute(planned, timing, anew, ["harness", *sys.argv[1:]], console)
        if outcome.interrupted:
            console.print(INTERRUPTED, soft_wrap=True)
        write_report(folder.path, console, known.exercises.values())
    if placement.out is None:
        folder.point_latest_here()
    raise SystemExit(outcome.exit_code)
