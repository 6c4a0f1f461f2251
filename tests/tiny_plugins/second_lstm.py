"""A plugin whose cell has the name of a built-in one."""

from harness.contracts.hooks import Cell, hookimpl


@hookimpl
def harness_cells():
    return [Cell(name="lstm", title="Another LSTM", source="None", equations="second_lstm")]
