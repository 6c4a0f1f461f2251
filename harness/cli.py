"""The command line: one thin function a command; the heavy rooms are entered only by the command that needs them."""

import io
import os
import sys
from pathlib import Path
from typing import Any

import click

from harness import __version__, selections
from harness.cli_corpora import corpora
from harness.cli_environments import env
from harness.cli_experiments import presets
from harness.cli_options import FOLDER, Text, devices, plugins_dir, write_report
from harness.cli_run import run
from harness.errors import HarnessError


class _Commands(click.Group):
    """Turns what the user can mend into one sentence and its exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            context = error.ctx or ctx
            click.echo(f"Error: {error.format_message()} '{context.command_path} --help' explains.", err=True)
            ctx.exit(error.exit_code)
        except HarnessError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(130)


_FILE = Text("file", selections.file)
_PERCENTAGE = Text("share", selections.percentage)
_TEMPERATURE = Text("number", selections.number, low=0.0, open_low=False)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="harness")
def main() -> None:
    """Compare recurrent language models: cells, depths, frameworks and texts, by measurement."""
    # Products in this process are a few small ones; threads of theirs would disturb the workers.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # A terminal that lacks a character shows another; it ends nothing.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


@main.command()
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
@click.option("--jobs", type=click.IntRange(1, 1000), default=None, help="Workers at a time on the CPU. [cores]")
@click.option(
    "--timing",
    type=click.Choice(["off", "quick", "thorough"]),
    default=None,
    envvar="HARNESS_TIMING",
    show_envvar=True,
    help="How long the trials whose speed is asked for are timed. [the budget's]",
)
@click.option("--dry-run", is_flag=True, help="Print the plan and a predicted duration, and stop.")
@plugins_dir
def exercises(exercises: tuple[str, ...], budget: str, plugins_dir: Path | None, **options: Any) -> None:
    """Train what the exercises ID need (all of them where none is named), and answer them.

    IDs are deep-rnn-1 … deep-rnn-4 and rnn-1 … rnn-4. The same command again continues where it stopped.
    """
    from harness import registry, run
    from harness.exercises import find, planning, running
    from harness.exercises.exercise import BUDGETS
    from harness.live import Terminal

    console = Terminal()
    chosen, amount = find(exercises), BUDGETS[budget]
    dry_run, timing = options.pop("dry_run"), options.pop("timing") or amount.timing
    placement = run.Placement(**options)
    planned = planning.prepare(chosen, amount, registry.load(plugins_dir), placement, console)
    if dry_run:
        console.print(run.describe_plan(planned.prepared), markup=False, highlight=False, soft_wrap=True)
        return
    folder = planned.prepared.folder
    with folder.opened():
        outcome = running.execute(planned, timing, ["harness", *sys.argv[1:]], console)
        write_report(folder.path, console)
    if placement.out is None:
        folder.point_latest_here()
    raise SystemExit(outcome.exit_code)


@main.command()
@plugins_dir
def plugins(plugins_dir: Path | None) -> None:
    """List cells, backends, implementations, baselines and corpora, and whether they can run here."""
    from rich.console import Console

    from harness import inventory, registry

    # Without a terminal one row is one line, for grep.
    console = Console(width=None if sys.stdout.isatty() else 10_000)
    console.print(inventory.table(registry.load(plugins_dir), width=console.width))


@main.command()
@click.argument("folder", type=FOLDER, default=Path("reports/latest"))
def report(folder: Path) -> None:
    """Rebuild the CSV files and the page of the run in FOLDER [reports/latest]."""
    from rich.console import Console

    write_report(folder, Console())


@main.command()
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
    from rich.console import Console

    from harness import comparing

    found = comparing.compare_folders(before, after)
    comparing.print_differences(found, Console(width=None if sys.stdout.isatty() else 200))
    if table is not None:
        comparing.write_table(found, table)
    if page is not None:
        comparing.write_page(found, page)
    if fail_on is not None:
        raise SystemExit(comparing.exit_code(found, fail_on))


@main.command()
@click.argument("run_folder", metavar="RUN", type=FOLDER)
@click.argument("trial")
@click.option("--prefix", default="time traveller", show_default=True, help="What the text begins with.")
@click.option(
    "--num", "num_tokens", type=click.IntRange(min=1), default=100, show_default=True, help="Tokens to generate."
)
@click.option(
    "--temperature",
    type=_TEMPERATURE,
    default="0.8",
    show_default=True,
    help="0 takes the most probable token each time.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@plugins_dir
def sample(run_folder: Path, trial: str, plugins_dir: Path | None, **request: Any) -> None:
    """Generate text from TRIAL's checkpoint in the folder RUN."""
    from harness import generation, registry
    from harness.run_folder import RunFolder
    from harness.worker.job import SampleRequest

    folder = RunFolder(run_folder)
    found = generation.find_trial(folder, trial)
    click.echo(generation.generate(registry.load(plugins_dir), folder, found, SampleRequest(**request)))


for command in (run, corpora, env, presets):
    main.add_command(command)
