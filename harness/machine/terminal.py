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

    A run doesn't end with its reader.
    """

    def print(self, *objects: Any, **options: Any) -> None:
        """Print, if that is still possible."""
        try:
            super().print(*objects, **options)
        except OSError:
            self.on_broken_pipe()

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Return the parts of what is shown, each character visible; what rich says to the terminal stays."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)

    def on_broken_pipe(self) -> None:
        """Fall silent, and let what is still buffered go nowhere."""
        self.quiet = True
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)


def lines_console(width: int = 10_000) -> Terminal:
    """Return a console as wide as the terminal, elsewhere ``width``: there one row of a table is one line, for grep."""
    return Terminal(width=None if sys.stdout.isatty() else width)


def print_line(console: Console, line: str) -> None:
    """Print a line as it stands: no brackets are marks, no numbers coloured, and the terminal wraps it."""
    console.print(visible(line), markup=False, highlight=False, soft_wrap=True)
