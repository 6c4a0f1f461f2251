"""A plugin with a hook nobody calls."""

from harness.contracts.hooks import Cell, hookimpl


@hookimpl
def harness_cell():
    return [Cell(name="unheard", title="Unheard", source="None", equations="misspelt_hook")]
