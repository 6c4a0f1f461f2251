"""Backends that don't fit the harness's own interpreter; the worker of each is the NumPy backend, right or wrong."""

from harness.contracts.hooks import Backend, hookimpl

NUMPY = ("numpy==1.26.4", "autograd>=1.7")


@hookimpl
def harness_backends():
    return [
        Backend(name="old-numpy", title="", requirements=NUMPY, target="harness_numpy.backend:NumpyBackend"),
        Backend(name="wrong", title="", requirements=NUMPY, target="elsewhere:wrong_numpy"),
        Backend(name="no-such", title="", requirements=("numpy==0.0.1",), target="harness_numpy.backend:NumpyBackend"),
        Backend(
            name="ancient",
            title="",
            requirements=(),
            requires_python="==2.7.*",
            target="harness_numpy.backend:NumpyBackend",
        ),
    ]


def wrong_numpy(device, num_threads):
    """Compute with half of every weight."""
    from harness_numpy.backend import NumpyBackend

    class Halving(NumpyBackend):
        def scratch(self, equations, architecture, training):
            model = super().scratch(equations, architecture, training)
            load = model.load
            model.load = lambda weights: load({name: array / 2 for name, array in weights.items()})
            return model

    return Halving(device, num_threads)
