"""Backends that report the environment they see as their versions: one on the CPU, one that uses GPUs."""

import os

from harness.contracts.hooks import Backend, hookimpl


def open_backend(device, num_threads):
    from harness_numpy.backend import NumpyBackend

    class TellingBackend(NumpyBackend):
        def __init__(self):
            super().__init__("cpu", num_threads)
            self.device_name = device

        def versions(self):
            return dict(os.environ)

    return TellingBackend()


@hookimpl
def harness_backends():
    target = "telling:open_backend"
    return [
        Backend(
            name="telling",
            title="Telling",
            requirements=("numpy>=1.26",),
            target=target,
            environment=("DECLARED_VARIABLE",),
        ),
        Backend(
            name="telling-gpu", title="Telling on GPUs", requirements=("numpy>=1.26",), target=target, uses_gpus=True
        ),
    ]
