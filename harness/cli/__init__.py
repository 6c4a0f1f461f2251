"""What a user types: one file a command.

The heavy rooms are entered only by the command that needs them.
"""

import contextlib
import errno
import importlib
import io
import os
import sys
from typing import Any

import click

from harness import __version__
from harness.contracts.visible import visible
from harness.errors import HarnessError, lacks_space
from harness.machine import interruption

COMMANDS = {
    "run": ("harness.cli.run:run", "Train a grid of models and write a report."),
    "exercises": ("harness.cli.exercises:exercises", "Train what the book's exercises need, and answer them."),
    "report": ("harness.cli.report:report", "Rebuild the tables and the page of a run."),
    "compare": ("harness.cli.compare:compare", "Compare two runs: what got faster, better or worse beyond noise."),
    "sample": ("harness.cli.sample:sample", "Generate text from a trained model."),
    "plugins": ("harness.cli.plugins:plugins", "List and check cells, backends, corpora and other plugins."),
    "corpora": ("harness.cli.corpora:corpora", "List, describe, download and add texts."),
    "env": ("harness.cli.environments:env", "Build, check and remove the isolated environments of backends."),
    "presets": ("harness.cli.presets:presets", "List the published protocols that --preset knows."),
}
"""Where each command lives and what it does in one line, so that a list of them imports none."""


class _Commands(click.Group):
    """Imports a command when it is given, and turns what the user can mend into one sentence and its exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def main(self, *args: Any, **options: Any) -> Any:
        _open_standard_streams()
        try:
            return super().main(*args, **options)
        except OSError as error:  # of what is printed before any command is called, as --help is
            if not _is_of_output(error):
                raise
            sys.exit(_without_output(error))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            try:
                with interruption.raised():
                    return super().invoke(ctx)
            finally:
                sys.stdout.flush()
        except click.UsageError as error:
            context = error.ctx or ctx
            _complain(f"{error.format_message()} '{context.command_path} --help' explains.")
            ctx.exit(error.exit_code)
        except HarnessError as error:
            _complain(str(error))
            ctx.exit(error.exit_code)
        except OSError as error:
            if not _is_of_output(error):
                raise  # a reader that went away (EPIPE) is click's, and ends the command in silence
            ctx.exit(_without_output(error))
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(interruption.EXIT_CODE)


def _open_standard_streams() -> None:
    """Let what is closed lead nowhere: the next file to be opened would take its place, and all that is printed."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 (for good)


def _is_of_output(error: OSError) -> bool:
    """Return whether what is printed could not be written: of a file the error bears its name."""
    return error.filename is None and (lacks_space(error) or error.errno == errno.EIO)


def _without_output(error: OSError) -> int:
    """Say that the output is not taken; return the exit code."""
    from harness.machine.terminal import write_nowhere

    write_nowhere()
    _complain(f"The output cannot be written ({error.strerror}): send it to a place that takes it.")
    return 2


def _complain(sentence: str) -> None:
    with contextlib.suppress(OSError):  # the exit code says it too
        click.echo(f"Error: {visible(sentence)}", err=True)


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
