"""The command that trains a grid: its options, as the README's table lists them."""

import sys
from pathlib import Path
from typing import Any

import click

from harness.cli import experiments as cli_experiments
from harness.cli.options import FOLDER, Text, corpora_dir, devices, plugins_dir, write_report
from harness.errors import UsageError
from harness.grid import parsing as parsing

_COUNTS = Text("counts", parsing.counts)
_BUDGETS = Text("tokens", parsing.token_budgets)
_NAMES = Text("names", parsing.names)
_SEEDS = Text("seeds", parsing.seeds)
_RATES = Text("rates", parsing.numbers, low=0.0, open_low=True)
_CLIPS = Text("norms", parsing.numbers, low=0.0, open_low=False)
_SHARES = Text("shares", parsing.numbers, low=0.0, high=1.0, open_low=False)
_SECONDS = Text("seconds", parsing.number, low=0.0, open_low=True)
_INIT = Text("init", parsing.init)
_FACTOR = Text("factor", parsing.number, low=0.0, open_low=True)
_SHARE = Text("share", parsing.number, low=0.0, high=1.0, open_low=True)
_OPTIMIZERS = ("sgd", "adam", "rmsprop")


@click.command()
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
@click.option("--seed", type=click.IntRange(0, parsing.LARGEST_SEED), default=None, help="One seed. [0]")
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
@corpora_dir
@click.option("--out", type=FOLDER, default=None, help="The run's folder. [reports/NAME]")
@devices
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
@plugins_dir
@click.pass_context
def run(ctx: click.Context, /, plugins_dir: Path | None, *, dry_run: bool, **options: Any) -> None:
    """Train a grid of models and write a report.

    The same command again continues where it stopped. EXPERIMENT is a file of these options, as 'harness presets
    show' prints one, or the manifest.json of an earlier run.
    """
    from harness.grid import experiments
    from harness.plugins import registry
    from harness.running import run
    from harness.running.live import Terminal
    from harness.running.workplace import Limits

    console = Terminal()
    placement = run.Placement(**_take(options, "out", "devices", "jobs", "num_threads", "per_device", "executor"))
    measures = run.Measures(**_take(options, "parity_steps", "timing"))
    limits = Limits(**_take(options, "timeout", "stall_timeout"))
    chosen = ("corpora", "text", "tokens", "train_tokens", "corpora_dir", "authors", "mix", "split", "vocabulary")
    texts = run.TextSelection(**_take(options, *chosen))
    overrides = cli_experiments.current(ctx).overrides
    known = registry.load(plugins_dir)
    experiments.check_names(overrides, known)
    prepared = run.prepare(known, _selection(ctx, options, overrides), texts, placement, console)
    if dry_run:
        console.print(run.describe_plan(prepared), markup=False, highlight=False, soft_wrap=True)
        return
    with prepared.folder.opened():
        experiment = cli_experiments.current(ctx, prepared.plan.plugins).as_dict()
        command = ["harness", *sys.argv[1:]]
        outcome = run.execute(prepared, limits, measures, command, console, experiment)
        if outcome.interrupted:
            console.print("Interrupted: the same command continues from here. Writing the report …", soft_wrap=True)
        write_report(prepared.folder.path, console, known.exercises.values())
    if placement.out is None:
        prepared.folder.point_latest_here()
    raise SystemExit(outcome.exit_code)


def _take(options: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: options.pop(name) for name in names}


def _selection(ctx: click.Context, options: dict[str, Any], overrides: tuple[Any, ...]) -> Any:
    from harness.errors import did_you_mean
    from harness.grid.plan import Selection

    for name in options["optimizers"]:
        if name not in _OPTIMIZERS:
            raise UsageError(f"There is no optimizer {name!r}.{did_you_mean(name, _OPTIMIZERS)}")
    cli_experiments.drop_overruled_seeds(ctx, options)
    seed = options.pop("seed")
    if seed is not None and options["seeds"] is not None:
        raise UsageError("--seed and --seeds were both given: keep one of them.")
    options["seeds"] = options["seeds"] or (seed or 0,)
    return Selection(**options, overrides=overrides)
