"""Announces the two forms of the gated recurrent unit."""

from collections.abc import Sequence

from harness.contracts.hooks import Cell, hookimpl


@hookimpl
def harness_cells() -> Sequence[Cell]:
    """Return both forms: they are different models, so they are different cells."""
    return [
        Cell(
            name="gru",
            title="GRU (reset after the product, as cuDNN)",
            source="Cho et al. 2014, arXiv:1406.1078v1; D2L sec_gru (concise)",
            equations="harness_gru.cell",
        ),
        Cell(
            name="gru-textbook",
            title="GRU (reset before the product, as printed)",
            source="Cho et al. 2014, arXiv:1406.1078v3; D2L sec_gru (from scratch)",
            equations="harness_gru.textbook",
        ),
    ]
