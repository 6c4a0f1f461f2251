"""A backend for GPUs whose trials train only once two references are there."""

import os
import time
from pathlib import Path

from harness.contracts.hooks import Backend, hookimpl

PATIENCE_SECONDS = 30


def open_backend(device, num_threads):
    from harness_numpy.backend import NumpyBackend

    class PatientBackend(NumpyBackend):
        def scratch(self, equations, architecture, training):
            until = time.monotonic() + PATIENCE_SECONDS
            while len(list(Path(os.environ["HARNESS_CACHE_DIR"]).glob("references/*.json"))) < 2:
                if time.monotonic() > until:
                    raise TimeoutError("nobody made the other trial's reference")
                time.sleep(0.01)
            return super().scratch(equations, architecture, training)

    return PatientBackend("cpu", num_threads)


@hookimpl
def harness_backends():
    requirements = ("numpy>=1.26",)
    return [
        Backend(
            name="patient", title="Patient", requirements=requirements, target="patient:open_backend", uses_gpus=True
        )
    ]
