"""What a user sees while an environment is built: one moving line in a terminal, plain lines elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape


@contextmanager
def installing(console: Console, name: str) -> Iterator[Callable[[str], None]]:
    """Give a function that shows one line of the installer's progress."""
    if not console.is_terminal:
        yield lambda line: console.print(f"{name}: {line}", markup=False, highlight=False, soft_wrap=True)
        return
    with console.status(f"{name}: starting") as status:
        yield lambda line: status.update(f"{escape(name)}: {escape(line[: console.width - len(name) - 8])}")
