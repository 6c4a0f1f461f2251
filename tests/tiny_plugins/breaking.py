"""A backend that trains as NumPy does, until a file beside it names a deed of `misbehaving` that it does instead."""

from pathlib import Path

from harness.contracts.hooks import Backend, hookimpl


def open_backend(device, num_threads):
    from harness_numpy.backend import NumpyBackend

    deed = Path(__file__).with_name("deed.txt")
    if deed.exists():
        import misbehaving

        getattr(misbehaving, deed.read_text())()
    return NumpyBackend(device, num_threads)


@hookimpl
def harness_backends():
    return [Backend(name="breaking", title="Breaking", requirements=("numpy>=1.26",), target="breaking:open_backend")]
