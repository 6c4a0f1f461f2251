"""A backend that trains as NumPy does, but takes its time over each epoch, so that it can be caught in the middle."""

import time

from harness.contracts.hooks import Backend, hookimpl

EPOCH_SECONDS = 0.2


def open_backend(device, num_threads):
    from harness_numpy.backend import NumpyBackend

    class SlowBackend(NumpyBackend):
        def scratch(self, equations, architecture, training):
            model = super().scratch(equations, architecture, training)
            begin_epoch = model.begin_epoch

            def begin_slowly(epoch):
                time.sleep(EPOCH_SECONDS)
                begin_epoch(epoch)

            model.begin_epoch = begin_slowly
            return model

    return SlowBackend(device, num_threads)


@hookimpl
def harness_backends():
    return [Backend(name="slow", title="Slow NumPy", requirements=("numpy>=1.26",), target="slow:open_backend")]
