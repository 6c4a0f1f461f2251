"""Announces the fixed-window network."""

from collections.abc import Sequence

from harness.contracts.hooks import Cell, hookimpl


@hookimpl
def harness_cells() -> Sequence[Cell]:
    """Return the cell."""
    return [
        Cell(
            name="mlp",
            title="MLP over a window of 4 tokens (not recurrent)",
            source="Bengio et al. 2003; D2L sec_mlp",
            equations="harness_mlp.cell",
        )
    ]
