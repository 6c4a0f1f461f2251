"""The contract suites see what they are there for: a sound backend passes, and one with a fault does not."""

import numpy as np
import pytest

from harness.contracts.optimization import OPTIMIZERS
from harness.testing import BackendContract
from harness.testing.implementations import TRAININGS
from harness.worker.targets import resolve
from harness_numpy.arrays import dropout_mask
from harness_numpy.backend import NumpyBackend
from harness_numpy.model import NumpyModel
from harness_numpy.ops import AutogradOps

FLOAT64 = np.dtype(np.float64)
DROPOUT = "test_dropout_zeroes_its_share_and_scales_the_rest"
CHECKPOINT = "test_a_checkpoint_goes_on_in_another_backend"
BETWEEN = "test_evaluation_and_generation_between_steps_change_nothing"
GPU = "test_a_gpu_that_is_not_there_is_one_sentence"
ARGUMENTS = {
    CHECKPOINT: (TRAININGS[list(OPTIMIZERS).index("adam")],),
    BETWEEN: (resolve("harness_lstm.cell"),),
}


class OnNumpy(BackendContract):
    target = "harness_numpy.backend:NumpyBackend"

    def hold(self, test):
        getattr(self, test)(*ARGUMENTS.get(test, ()))


def unscaled(ops, x, rate):
    return x * dropout_mask(ops.generator, x.shape, rate, FLOAT64) * (1 - rate)


def half_the_share(ops, x, rate):
    return x * dropout_mask(ops.generator, x.shape, rate / 2, FLOAT64)


def always_the_same(ops, x, rate):
    return x * dropout_mask(np.random.default_rng(0), x.shape, rate, FLOAT64)


def forgets(model, arrays):
    pass


def teaches(model, X, Y, state, evaluate=NumpyModel.evaluate_step):
    model.load({name: array * 1.001 for name, array in model.weights().items()})
    return evaluate(model, X, Y, state)


def opens_anything(backend, device, num_threads):
    pass


@pytest.mark.slow
@pytest.mark.parametrize("test", [DROPOUT, CHECKPOINT, BETWEEN])
def test_a_sound_backend_passes(test):
    OnNumpy().hold(test)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("test", "owner", "name", "fault"),
    [
        (DROPOUT, AutogradOps, "dropout", unscaled),
        (DROPOUT, AutogradOps, "dropout", half_the_share),
        (DROPOUT, AutogradOps, "dropout", always_the_same),
        (CHECKPOINT, NumpyModel, "load_optimizer_state", forgets),
        (BETWEEN, NumpyModel, "evaluate_step", teaches),
        (GPU, NumpyBackend, "__init__", opens_anything),
    ],
)
def test_a_fault_is_seen(test, owner, name, fault, monkeypatch):
    monkeypatch.setattr(owner, name, fault)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        OnNumpy().hold(test)
