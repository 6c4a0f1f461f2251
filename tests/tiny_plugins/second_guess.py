"""A cell that takes the name of a baseline."""

from harness.contracts.hooks import Cell, hookimpl


@hookimpl
def harness_cells():
    return [Cell(name="guess", title="", source="", equations="second_guess")]
