"""Announces the long short-term memory cell."""

from collections.abc import Sequence

from harness.contracts.hooks import Cell, hookimpl


@hookimpl
def harness_cells() -> Sequence[Cell]:
    """Return the cell."""
    return [
        Cell(
            name="lstm",
            title="LSTM",
            source="Hochreiter and Schmidhuber 1997; Gers et al. 2000; D2L sec_lstm",
            equations="harness_lstm.cell",
        )
    ]
