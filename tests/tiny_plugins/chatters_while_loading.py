"""A plugin that prints a million lines while it is loaded, and then brings a cell."""

import sys

from harness.contracts.hooks import Cell, hookimpl

for _ in range(1_000):
    print("loading\n" * 500)
    print("loading\n" * 500, file=sys.stderr)


@hookimpl
def harness_cells():
    return [Cell(name="chatty", title="Chatty", source="None", equations="tiny_cell")]
