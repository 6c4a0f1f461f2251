"""The terminal: what is written to it, and that nothing in what is written acts on it."""

import contextlib
import os
import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from harness.contracts.visible import visible


class Terminal(Console):
    """A console that shows what would act on it, and falls silent when nobody can read it any more.

    A run doesn't end with its reader; of a list nobody can read, the command says so.
    """

    def __init__(self, *, outlives_reader: bool = True, **options: Any) -> None:
        # FORCE_COLOR would draw the live view, cursor and all, into a file.
        super().__init__(**{"force_terminal": sys.stdout.isatty(), **options})
        self._outlives_reader = outlives_reader

    def print(self, *objects: Any, **options: Any) -> None:
        """Print, if that is still possible."""
        try:
            super().print(*objects, **options)
        except OSError:
            if not self._outlives_reader:
                raise
            self.on_broken_pipe()

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Return the parts of what is shown, each character visible; what rich says to the terminal stays."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)

    def on_broken_pipe(self) -> None:
        """Fall silent, and let what is still buffered go nowhere."""
        self.quiet = True
        write_nowhere()


def write_nowhere() -> None:
    """Let what is still buffered for the standard output go nowhere."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def lines_console(width: int = 10_000) -> Terminal:
    """Return a console as wide as the terminal, elsewhere ``width``: there one row of a table is one line, for grep."""
    return Terminal(width=None if sys.stdout.isatty() else width, outlives_reader=False)


def print_line(console: Console, line: str) -> None:
    """Print a line as it stands: no brackets are marks, no numbers coloured, and the terminal wraps it."""
    console.print(visible(line), markup=False, highlight=False, soft_wrap=True)
