"""A backend that can be announced, but whose code cannot be imported in a worker."""

import sys

from harness.contracts.hooks import Backend, hookimpl

if "harness.plugins.registry" not in sys.modules:
    raise ImportError("libframework.so.7: cannot open shared object file")


@hookimpl
def harness_backends():
    return [Backend(name="unlinked", title="Unlinked", requirements=(), target="fails_in_worker:open_backend")]
