"""What a user types: one file a command.

The heavy rooms are entered only by the command that needs them.
"""

import io
import os
import sys
from typing import Any

import click

from harness import __version__
from harness.cli.compare import compare
from harness.cli.corpora import corpora
from harness.cli.environments import env
from harness.cli.exercises import exercises
from harness.cli.experiments import presets
from harness.cli.plugins import plugins
from harness.cli.report import report
from harness.cli.run import run
from harness.cli.sample import sample
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


for command in (run, exercises, plugins, report, compare, sample, corpora, env, presets):
    main.add_command(command)
