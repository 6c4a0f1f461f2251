"""The command that trains a grid: its options, as the README's table lists them."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from harness.cli import experiments as cli_experiments
from harness.cli.options import (
    FOLDER,
    INTERRUPTED,
    JOBS,
    TIMING,
    Text,
    corpora_dir,
    devices,
    force,
    plugins_dir,
    say,
    write_report,
)
from harness.contracts import numerals
from harness.grid import parsing
from harness.grid.selection import AXES, TEXT_OPTIONS, of_values
from harness.grid.tuning import TUNING_OPTIONS

_NAMES = Text("names", parsing.names)
_SECONDS = Text("seconds", parsing.number, low=0.0, open_low=True)
_SEED = Text("seed", parsing.count, high=parsing.LARGEST_SEED)
_THREADS = Text("count", parsing.count, low=1, high=1000)
_PER_DEVICE = Text("count", parsing.count, low=1, high=64)
_STEPS = Text("count", parsing.count)
_SESSIONS = Text("count", parsing.count, low=1, high=100)


def _setting_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command an option for each setting of a grid, of its texts and of its tuning."""
    for name, row in reversed([*AXES.items(), *TEXT_OPTIONS.items(), *TUNING_OPTIONS.items()]):
        default = row.typed or None
        kind = Text.of_row(row)
        option = click.option(row.option, name, type=kind, default=default, show_default=bool(default), help=row.help)
        command = option(command)
    return command


@click.command(epilog=numerals.GRAMMAR)
@cli_experiments.experiment_file
@cli_experiments.preset
@click.option(
    "--plugins",
    type=_NAMES,
    default=(),
    help="Cells, backends and baselines, as in lstm,gru,torch,ngram. [all cells, best backend]",
)
@click.option("--seed", "single_seed", type=_SEED, default=None, help="One seed. [0]")
@click.option(
    "--implementation",
    default="auto",
    show_default=True,
    help="auto (the backend's own layers where it has them), scratch, fused, or all.",
)
@_setting_options
@corpora_dir
@click.option("--out", type=FOLDER, default=None, help="The run's folder. [reports/NAME]")
@devices
@click.option("--jobs", type=JOBS, default=None, help="Workers at a time on the CPU. [cores / threads]")
@click.option("--threads", "num_threads", type=_THREADS, default=1, show_default=True, help="Threads a worker.")
@click.option(
    "--per-device",
    type=_PER_DEVICE,
    default=1,
    show_default=True,
    help="Workers at a time on each GPU; rows say so.",
)
@click.option(
    "--executor", default="local", show_default=True, help="Where workers run, as 'harness plugins' lists executors."
)
@click.option("--timeout", type=_SECONDS, default=None, help="Seconds a trial may take. [no limit]")
@click.option(
    "--stall-timeout",
    type=_SECONDS,
    default="300",
    show_default=True,
    help="Seconds a worker may be silent.",
)
@click.option("--dry-run", is_flag=True, help="Print the plan, the skips and a predicted duration, and stop.")
@click.option(
    "--parity-steps",
    type=_STEPS,
    default=5,
    show_default=True,
    help="First minibatches held against the float64 reference; 0 checks no cell and certifies nothing.",
)
@click.option(
    "--timing",
    type=TIMING,
    default="quick",
    show_default=True,
    envvar="HARNESS_TIMING",
    show_envvar=True,
    help="After training, time each kind of trial alone, in interleaved rounds: about 7 or 40 s each.",
)
@click.option(
    "--timing-sessions",
    "num_sessions",
    type=_SESSIONS,
    default=1,
    show_default=True,
    help="Timing sessions the run is to have, each with fresh workers; a larger number adds those that are missing.",
)
@force
@click.option("--trust", is_flag=True, help="Read texts outside the current folder that EXPERIMENT names, unasked.")
@plugins_dir
@click.pass_context
def run(ctx: click.Context, /, plugins_dir: Path | None, *, dry_run: bool, trust: bool, **options: Any) -> None:
    """Train a grid of models and write a report.

    The same command again continues where it stopped. EXPERIMENT is a file of these options, as 'harness presets
    show' prints one, or the manifest.json of an earlier run.

    Exit codes: 0 all trials ok, 1 some not, 2 wrong usage, plugin or text, 130 interrupted.
    """
    from harness.grid import experiments
    from harness.machine.terminal import Terminal
    from harness.plugins import registry
    from harness.running import run
    from harness.running.workplace import Limits

    console = Terminal()
    placement = run.Placement(**_take(options, "out", "devices", "jobs", "num_threads", "per_device", "executor"))
    measurements = run.Measurements(**_take(options, "parity_steps", "timing", "num_sessions", "anew"))
    limits = Limits(**_take(options, "timeout", "stall_timeout"))
    overrides = cli_experiments.current(ctx).overrides
    selection, texts = of_values(cli_experiments.with_seeds(ctx, options), overrides)
    if not trust:
        cli_experiments.require_consent(ctx, texts.corpora)
    known = registry.load(plugins_dir)
    experiments.check_names(overrides, known)
    prepared = run.prepare(known, selection, texts, placement, console)
    if dry_run:
        say(prepared.describe(measurements.anew))
        return
    with prepared.folder.opened():
        experiment = cli_experiments.current(ctx, prepared.plan.plugins).as_dict()
        command = ["harness", *sys.argv[1:]]
        outcome = run.execute(prepared, limits, measurements, command, console, experiment)
        if outcome.interrupted:
            console.print(INTERRUPTED, soft_wrap=True)
        write_report(prepared.folder.path, console, known.exercises.values())
    if placement.out is None:
        prepared.folder.point_latest_here()
    raise SystemExit(outcome.exit_code)


def _take(options: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: options.pop(name) for name in names}
