"""A hook with an argument that the specification does not have."""

from harness.contracts.hooks import Backend, Cell, hookimpl


@hookimpl
def harness_backends():
    return [Backend(name="orphan", title="Orphan", requirements=(), target="wrong_arguments:nothing")]


@hookimpl
def harness_cells(config):
    return [Cell(name="configured", title="Configured", source="None", equations="wrong_arguments")]
