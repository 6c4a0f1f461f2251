"""The command line: one thin function a command; the heavy rooms are entered only by the command that needs them."""

import io
import os
import sys
from pathlib import Path
from typing import Any

import click

from harness import __version__, cli_experiments, selections
from harness.cli_corpora import corpora
from harness.cli_environments import env
from harness.cli_options import FOLDER as _FOLDER
from harness.cli_options import Text as _Text
from harness.cli_options import corpora_dir as _corpora_dir
from harness.cli_options import plugins_dir as _plugins_dir
from harness.errors import HarnessError, UsageError


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


_COUNTS = _Text("counts", selections.counts)
_BUDGETS = _Text("tokens", selections.token_budgets)
_NAMES = _Text("names", selections.names)
_SEEDS = _Text("seeds", selections.seeds)
_RATES = _Text("rates", selections.numbers, low=0.0, open_low=True)
_CLIPS = _Text("norms", selections.numbers, low=0.0, open_low=False)
_SHARES = _Text("shares", selections.numbers, low=0.0, high=1.0, open_low=False)
_SECONDS = _Text("seconds", selections.number, low=0.0, open_low=True)
_INIT = _Text("init", selections.init)
_FACTOR = _Text("factor", selections.number, low=0.0, open_low=True)
_SHARE = _Text("share", selections.number, low=0.0, high=1.0, open_low=True)
_FILE = _Text("file", selections.file)
_PERCENTAGE = _Text("share", selections.percentage)
_TEMPERATURE = _Text("number", selections.number, low=0.0, open_low=False)
_OPTIMIZERS = ("sgd", "adam", "rmsprop")


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
@cli_experiments.experiment_file
@cli_experiments.preset
@click.option(
    "--plugins",
    type=_NAMES,
    default=(),
    help="Cells, backends and baselines, as in lstm,gru,torch,ngram. [all cells, best backend]",
)
@click.option("--layers", type=_COUNTS, default="1", show_default=True, help="Depths, as in 1-4 or 1,2,4.")
@click.option("--hiddens", type=_COUNTS, default="128", show_default=True, help="Hidden units a layer.")
@click.option("--steps", type=_COUNTS, default="35", show_default=True, help="Time steps a minibatch.")
@click.option("--batch-size", "batch_sizes", type=_COUNTS, default="32", show_default=True, help="Rows a minibatch.")
@click.option(
    "--epochs", type=click.IntRange(min=1), default=2, show_default=True, help="Passes over the training text."
)
@click.option(
    "--optimizer", "optimizers", type=_NAMES, default="adam", show_default=True, help="Any of sgd, adam, rmsprop."
)
@click.option(
    "--lr", "learning_rates", type=_RATES, default=(), help="Learning rates. [sgd 1, adam 0.003, rmsprop 0.002]"
)
@click.option(
    "--clip",
    "grad_clips",
    type=_CLIPS,
    default="1",
    show_default=True,
    help="Largest global gradient norm; 0 is no clipping.",
)
@click.option("--dropout", "dropouts", type=_SHARES, default="0", show_default=True, help="Between layers.")
@click.option(
    "--partition",
    type=click.Choice(["sequential", "random", "windows"]),
    default="sequential",
    show_default=True,
    help="Order of minibatches; sequential carries the state, windows are at stride 1.",
)
@click.option(
    "--init",
    type=_INIT,
    default="uniform",
    show_default=True,
    help="First weights: uniform (within 1/sqrt(hiddens)), uniform:0.08, or normal:0.01 (biases zero).",
)
@click.option("--lr-decay", type=_FACTOR, default="1", show_default=True, help="Factor on the rate after each epoch,")
@click.option("--lr-decay-after", type=click.IntRange(min=0), default=0, show_default=True, help="from this one on.")
@click.option("--rmsprop-decay", type=_SHARE, default="0.99", show_default=True, help="RMSprop's memory.")
@click.option("--seeds", type=_SEEDS, default=None, help="How many seeds, as in 3 (0, 1, 2), or which, as in 3,7.")
@click.option("--seed", type=click.IntRange(0, selections.LARGEST_SEED), default=None, help="One seed. [0]")
@click.option(
    "--implementation",
    default="auto",
    show_default=True,
    help="auto (the backend's own layers where it has them), scratch, fused, or all.",
)
@click.option(
    "--corpus",
    "corpora",
    type=_NAMES,
    default="bronte",
    show_default=True,
    help="Named corpora, text files or folders (sub-folders are authors); some books only: NAME:BOOK+BOOK; or sources "
    "as in markov:order=2,seed=1.",
)
@click.option(
    "--authors",
    type=_NAMES,
    default="all",
    show_default=True,
    help="Whose texts train: all together, each alone, or names as in charlotte,anne+emily; all are evaluated.",
)
@click.option(
    "--mix",
    type=click.Choice(["equal", "proportional"]),
    default="proportional",
    show_default=True,
    help="What each of several authors gives: equally many tokens, or in proportion to its size.",
)
@click.option(
    "--text",
    type=click.Choice(["d2l", "raw", "d2l-1.0"]),
    default="d2l",
    show_default=True,
    help="d2l: lower-case letters and spaces, line by line; d2l-1.0: of the whole text; raw: as it stands.",
)
@click.option(
    "--split",
    default="held-out",
    show_default=True,
    help="held-out (of each document a tenth validates, the last tenth tests), 80/10/10, or windows:10000+5000x32.",
)
@click.option(
    "--vocabulary",
    type=click.Choice(["train", "frequency", "alphabetical"]),
    default="train",
    show_default=True,
    help="Of the training part, or of the whole text by frequency or alphabet.",
)
@click.option("--tokens", type=click.Choice(["char", "word"]), default="char", show_default=True)
@click.option(
    "--train-tokens",
    type=_BUDGETS,
    default="all",
    show_default=True,
    help="Training budgets, as in 10k,100k,all; 10k..all:5 is five at equal ratios.",
)
@_corpora_dir
@click.option("--out", type=_FOLDER, default=None, help="The run's folder. [reports/NAME]")
@click.option("--devices", default="auto", show_default=True, help="auto, cpu, or GPU numbers as in 0,1.")
@click.option(
    "--jobs", type=click.IntRange(1, 1000), default=None, help="Workers at a time on the CPU. [cores / threads]"
)
@click.option(
    "--threads", "num_threads", type=click.IntRange(min=1), default=1, show_default=True, help="Threads a worker."
)
@click.option(
    "--per-device",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Workers at a time on each GPU; rows say so.",
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
    type=click.IntRange(min=0),
    default=5,
    show_default=True,
    help="First minibatches held against the float64 reference; 0 certifies nothing.",
)
@click.option(
    "--timing",
    type=click.Choice(["off", "quick", "thorough"]),
    default="quick",
    show_default=True,
    envvar="HARNESS_TIMING",
    show_envvar=True,
    help="After training, time each kind of trial alone, in interleaved rounds: about 7 or 40 s each.",
)
@_plugins_dir
@click.pass_context
def run(ctx: click.Context, /, plugins_dir: Path | None, *, dry_run: bool, **options: Any) -> None:
    """Train a grid of models and write a report.

    The same command again continues where it stopped. EXPERIMENT is a file of these options, as 'harness presets
    show' prints one, or the manifest.json of an earlier run.
    """
    from harness import registry, run
    from harness.live import Terminal
    from harness.runner import Limits

    console = Terminal()
    placement = run.Placement(**_take(options, "out", "devices", "jobs", "num_threads", "per_device"))
    measures = run.Measures(**_take(options, "parity_steps", "timing"))
    limits = Limits(**_take(options, "timeout", "stall_timeout"))
    chosen = ("corpora", "text", "tokens", "train_tokens", "corpora_dir", "authors", "mix", "split", "vocabulary")
    texts = run.TextSelection(**_take(options, *chosen))
    overrides = cli_experiments.current(ctx).overrides
    prepared = run.prepare(registry.load(plugins_dir), _selection(ctx, options, overrides), texts, placement, console)
    if dry_run:
        console.print(run.describe_plan(prepared), markup=False, highlight=False, soft_wrap=True)
        return
    with prepared.folder.opened():
        experiment = cli_experiments.current(ctx, prepared.plan.plugins).as_dict()
        command = ["harness", *sys.argv[1:]]
        outcome = run.execute(prepared, limits, measures, command, console, experiment)
        if outcome.interrupted:
            console.print("Interrupted: the same command continues from here. Writing the report …", soft_wrap=True)
        _write_report(prepared.folder.path, console)
    if placement.out is None:
        prepared.folder.point_latest_here()
    raise SystemExit(outcome.exit_code)


@main.command()
@click.argument("exercises", metavar="[ID]...", nargs=-1)
@click.option(
    "--budget",
    type=click.Choice(["quick", "standard", "full"]),
    default="quick",
    show_default=True,
    help="How much is trained; --dry-run predicts how long that takes here.",
)
@click.option("--out", type=_FOLDER, default=None, help="The run's folder. [reports/exercises_…]")
@click.option("--devices", default="auto", show_default=True, help="auto, cpu, or GPU numbers as in 0,1.")
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
@_plugins_dir
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
        _write_report(folder.path, console)
    if placement.out is None:
        folder.point_latest_here()
    raise SystemExit(outcome.exit_code)


@main.command()
@_plugins_dir
def plugins(plugins_dir: Path | None) -> None:
    """List cells, backends, implementations, baselines and corpora, and whether they can run here."""
    from rich.console import Console

    from harness import inventory, registry

    # Without a terminal one row is one line, for grep.
    console = Console(width=None if sys.stdout.isatty() else 10_000)
    console.print(inventory.table(registry.load(plugins_dir), width=console.width))


@main.command()
@click.argument("folder", type=_FOLDER, default=Path("reports/latest"))
def report(folder: Path) -> None:
    """Rebuild the CSV files and the page of the run in FOLDER [reports/latest]."""
    from rich.console import Console

    _write_report(folder, Console())


@main.command()
@click.argument("before", metavar="A", type=_FOLDER)
@click.argument("after", metavar="B", type=_FOLDER)
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
@click.argument("run_folder", metavar="RUN", type=_FOLDER)
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
@_plugins_dir
def sample(run_folder: Path, trial: str, plugins_dir: Path | None, **request: Any) -> None:
    """Generate text from TRIAL's checkpoint in the folder RUN."""
    from harness import generation, registry
    from harness.run_folder import RunFolder
    from harness.worker.job import SampleRequest

    folder = RunFolder(run_folder)
    found = generation.find_trial(folder, trial)
    click.echo(generation.generate(registry.load(plugins_dir), folder, found, SampleRequest(**request)))


main.add_command(corpora)
main.add_command(env)
main.add_command(cli_experiments.presets)


def _take(options: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: options.pop(name) for name in names}


def _selection(ctx: click.Context, options: dict[str, Any], overrides: tuple[Any, ...]) -> Any:
    from harness.errors import did_you_mean
    from harness.plan import Selection

    for name in options["optimizers"]:
        if name not in _OPTIMIZERS:
            raise UsageError(f"There is no optimizer {name!r}.{did_you_mean(name, _OPTIMIZERS)}")
    cli_experiments.drop_overruled_seeds(ctx, options)
    seed = options.pop("seed")
    if seed is not None and options["seeds"] is not None:
        raise UsageError("--seed and --seeds were both given: keep one of them.")
    options["seeds"] = options["seeds"] or (seed or 0,)
    return Selection(**options, overrides=overrides)


def _write_report(folder: Path, console: Any) -> None:
    from harness.exercises import write_report

    page = write_report(folder)
    console.print(f"Report: {page}", markup=False, highlight=False, soft_wrap=True)
