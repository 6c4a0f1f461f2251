"""The command that generates text."""

from pathlib import Path
from typing import Any

import click

from harness.cli.options import FOLDER, Text, plugins_dir, say
from harness.grid import parsing

_TEMPERATURE = Text("number", parsing.number, low=0.0, open_low=False)
_COUNT = Text("count", parsing.count, low=1)
_SEED = Text("seed", parsing.count, high=parsing.LARGEST_SEED)


@click.command()
@click.argument("run_folder", metavar="RUN", type=FOLDER)
@click.argument("trial")
@click.option("--prefix", default=None, help="What the text begins with. [first words of the validation text]")
@click.option("--num", "num_tokens", type=_COUNT, default=100, show_default=True, help="Tokens to generate.")
@click.option(
    "--temperature",
    type=_TEMPERATURE,
    default="0.8",
    show_default=True,
    help="0 takes the most probable token each time.",
)
@click.option("--seed", type=_SEED, default=0, show_default=True, help="Decides what is drawn.")
@plugins_dir
def sample(run_folder: Path, trial: str, prefix: str | None, plugins_dir: Path | None, **request: Any) -> None:
    """Generate text from TRIAL's checkpoint in the folder RUN."""
    from harness.plugins import registry
    from harness.record.folder import RunFolder
    from harness.running import sampling
    from harness.worker.job import SampleRequest

    folder = RunFolder(run_folder)
    chosen = sampling.find_trial(folder, trial)
    prefix = sampling.default_prefix(folder, chosen) if prefix is None else prefix
    say(sampling.generate(registry.load(plugins_dir), folder, chosen, SampleRequest(prefix=prefix, **request)))
