"""Announces the vanilla recurrent cell."""

from collections.abc import Sequence

from harness.contracts.hooks import Cell, hookimpl


@hookimpl
def harness_cells() -> Sequence[Cell]:
    """Return the cell."""
    return [
        Cell(
            name="rnn",
            title="Vanilla RNN (tanh)",
            source="Elman 1990; D2L sec_rnn",
            equations="harness_rnn.cell",
        )
    ]
