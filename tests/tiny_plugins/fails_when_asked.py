"""A plugin that loads, and raises when its hook is called."""

from harness.contracts.hooks import Backend, Cell, hookimpl


@hookimpl
def harness_backends():
    return [Backend(name="half", title="The half that works", requirements=(), target="fails_when_asked:nothing")]


@hookimpl
def harness_cells():
    raise KeyError("settings")
    return [Cell(name="never", title="Never", source="None", equations="fails_when_asked")]
