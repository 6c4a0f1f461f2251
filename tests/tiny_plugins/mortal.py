"""A backend that trains, and ends its worker when it is asked to time a product, as only timing does."""

import os

from harness.contracts.hooks import Backend, hookimpl


def open_backend(device, num_threads):
    from harness_numpy.backend import NumpyBackend

    class MortalBackend(NumpyBackend):
        def product_seconds(self, size):
            os._exit(3)

    return MortalBackend(device, num_threads)


@hookimpl
def harness_backends():
    return [
        Backend(name="mortal", title="Mortal", requirements=("numpy>=1.26",), target="mortal:open_backend"),
    ]
