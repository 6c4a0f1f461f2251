"""What several commands share: how options are read, options they have in common, and the report at their end."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.contracts.settings import Setting
from harness.contracts.visible import visible
from harness.grid import parsing
from harness.machine import interruption

if TYPE_CHECKING:
    from harness.contracts.descriptors import Exercise
    from harness.plugins.registry import Registry


class Text(click.ParamType[Any]):
    """An option read by a function of `harness.grid.parsing`."""

    def __init__(self, name: str, read: Any, **bounds: Any) -> None:
        self.name = name
        self._read = read
        self._bounds = bounds

    @classmethod
    def of_row(cls, row: Setting) -> "Text":
        """Return the type of a setting's option."""
        assert row.values is not None  # every row with an option says how it is read
        return cls(row.values.metavar, parsing.reader(row))

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str | None:  # noqa: ARG002
        """Return what stands behind the option in the help: words to choose from as they are typed."""
        return f"[{self.name}]" if "|" in self.name else None

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002
        """Return what the function makes of the option's text."""
        if not isinstance(value, str):
            return value
        option = param.opts[-1] if isinstance(param, click.Option) else self.name
        return self._read(value, option, **self._bounds)


FOLDER = Text("folder", parsing.folder)
JOBS = Text("count", parsing.count, low=1, high=1000)
TIMING = click.Choice(["off", "quick", "thorough"])
"""Off, or a key of `harness.running.timing.EFFORTS`, which is imported by a run alone."""

INTERRUPTED = "Interrupted: the same command continues from here. Writing the report …"

plugins_dir = click.option(
    "--plugins-dir",
    type=FOLDER,
    help="Also load the single-file plugins in this folder.",
)
corpora_dir = click.option(
    "--corpora-dir",
    type=FOLDER,
    envvar="HARNESS_CORPORA_DIR",
    show_envvar=True,
    help="A folder that may hold the corpora already.",
)
force = click.option(
    "--force",
    "anew",
    type=Text("trials", parsing.names),
    default=(),
    help="Train these anew though they are finished: all, or beginnings of trial ids. Earlier rows stay, superseded.",
)
devices = click.option("--devices", default="auto", show_default=True, help="auto, cpu, or GPU numbers as in 0,1.")


def say(text: str) -> None:
    """Print a line that may hold anything."""
    click.echo(visible(text))


def registry_of(plugins_dir: Path | None) -> "Registry":
    """Load the plugins; one that is broken is said, since what it would bring is missing from what is shown."""
    from harness.plugins import registry

    known = registry.load(plugins_dir)
    for broken in known.broken:
        click.echo(visible(f"{broken}. Mend it, or leave it out."), err=True)
    return known


def write_report(folder: Path, console: Any, exercises: Iterable["Exercise"], out: Path | None = None) -> None:
    """Write the report of the run in a folder with the exercises' answers, and say where it is."""
    from harness.machine.terminal import print_line
    from harness.record.manifest import read_manifest
    from harness.report import write_report

    try:
        page = write_report(folder, exercises, out)
    except KeyboardInterrupt:
        click.echo(f"Interrupted: 'harness report {folder}' writes the report of what there is.", err=True)
        raise SystemExit(interruption.EXIT_CODE) from None
    if problem := read_manifest(folder).problem:
        print_line(console, problem)
    print_line(console, f"Report: {page}")
