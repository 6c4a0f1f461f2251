"""Backends whose requirements nothing here satisfies."""

from harness.contracts.hooks import Backend, hookimpl


@hookimpl
def harness_backends():
    return [
        Backend(name="needy", title="Needs a library", requirements=("no-such-library>=1",), target="needy:nothing"),
        Backend(
            name="ancient", title="Needs old Python", requirements=(), requires_python="<3", target="needy:nothing"
        ),
    ]
