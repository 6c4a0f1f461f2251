"""A cell whose inputs hold the next token too: what it is to predict."""

import harness_rnn.cell
from harness.contracts.hooks import Cell, hookimpl
from harness_rnn.cell import parameter_shapes, state_names, step  # noqa: F401


def project(xp, params, X):
    projected = harness_rnn.cell.project(xp, params, X)
    return projected + xp.tanh(projected[[*range(1, len(projected)), 0]])


@hookimpl
def harness_cells():
    return [Cell(name="oracle", title="Sees the future", source="none", equations="sees_the_future")]
