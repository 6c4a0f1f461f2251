"""The contract suite of a backend: every cell's equations, and what a worker asks of it besides."""

import os
import subprocess
import sys
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from harness.contracts.backends import COLUMNS, LOSS, Backend, Model
from harness.contracts.cells import Equations
from harness.contracts.network import Architecture
from harness.contracts.optimization import OPTIMIZERS
from harness.contracts.training import Training
from harness.contracts.weights import Weights
from harness.machine.devices import available_cores, find_gpus
from harness.testing.clocks import Watched, train_an_epoch
from harness.testing.equations import BUILT_IN_CELLS, DROPPED_ONES, DroppedOnes, EveryOperation
from harness.testing.implementations import TRAININGS, ModelContract
from harness.testing.models import (
    BATCH_SIZE,
    SMALL,
    TRAINING,
    largest_difference,
    loaded,
    minibatches,
    reference_model,
    train,
)
from harness.worker.targets import resolve

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_CORES_USED = """
import time
from harness.worker.targets import resolve
backend = resolve("{target}")("cpu", 1)
backend.product_seconds(1024)
cpu, wall = time.process_time(), time.perf_counter()
for _ in range(20):
    backend.product_seconds(1024)
print((time.process_time() - cpu) / (time.perf_counter() - wall))
"""


class BackendContract(ModelContract):
    """What a backend must do for every built-in cell; name its target in `target`."""

    target: ClassVar[str]

    def open_backend(self, device: str = "cpu") -> Backend:
        """Open the backend with one thread."""
        backend: Backend = resolve(self.target)(device, 1)
        return backend

    @pytest.fixture(params=BUILT_IN_CELLS)
    def equations(self, request: pytest.FixtureRequest) -> Equations:
        """Return each built-in cell in turn."""
        equations: Equations = resolve(BUILT_IN_CELLS[request.param])
        return equations

    def build(self, equations: Equations, architecture: Architecture, training: Training) -> Model:
        """Build the scratch model."""
        return self.open_backend().scratch(equations, architecture, training)

    def test_the_reported_time_ends_when_the_loss_has_been_read(self, equations: Equations) -> None:
        """Train an epoch; each block spans its first step and the reading of its figures, which leaves no work."""
        model = Watched(loaded(self.build, equations, self.small(), replace(TRAINING, learning_rate=0.1)))
        epoch = train_an_epoch(model)
        assert len(epoch.blocks) == len(model.blocks) > 1
        for (_, seconds), block in zip(epoch.blocks, model.blocks, strict=True):
            assert seconds >= block.read - block.begun
            assert block.read_again - block.read <= max(0.5 * seconds, 0.02)

    def test_versions_name_the_framework(self) -> None:
        """Ask the backend what it runs on."""
        versions = self.open_backend().versions()
        assert versions
        assert all(isinstance(name, str) and isinstance(version, str) for name, version in versions.items())

    def test_every_operation_is_the_references(self) -> None:
        """Hold loss and gradients of equations that use all of `xp`."""
        equations, batch = EveryOperation(), minibatches(1)
        models = loaded(self.build, equations, self.small()), loaded(reference_model, equations, SMALL)
        (loss, gradients), expected = (
            model.gradients(batch.inputs[0], batch.targets[0], model.initial_state(BATCH_SIZE)) for model in models
        )
        assert abs(loss - expected[0]) <= self.tolerance
        assert largest_difference(gradients, expected[1]) <= self.tolerance

    def test_dropout_zeroes_its_share_and_scales_the_rest(self) -> None:
        """Let every input of the second layer be one: where it is zero all logits are equal, which is no hit."""
        rate, X = 0.2, np.zeros((100, 100), np.int64)
        model = self.build(DroppedOnes(), self.small(num_hiddens=1, dropout=rate), replace(TRAINING, learning_rate=0.0))
        weights = {name: np.ones(shape, self.dtype) for name, shape in DROPPED_ONES.items()}
        model.load({**weights, "output.W": np.eye(len(weights["output.W"]), 1, dtype=self.dtype)})
        model.begin_epoch(1)
        handles = [model.train_step(X, X, model.initial_state(100))[0] for _ in range(4)]
        figures = model.read(handles)
        shares = figures[:, COLUMNS.index("accuracy")]
        assert abs(shares.mean() - (1 - rate)) < 0.01
        assert len(set(shares)) > 1
        others = SMALL.vocab_size - 1
        loss_of_kept = np.log(1 + others * np.exp(-1 / (1 - rate)))
        expected = shares * loss_of_kept + (1 - shares) * np.log(1 + others)
        assert np.allclose(figures[:, LOSS], expected, rtol=max(1e-6, self.tolerance))

    @pytest.mark.parametrize("training", TRAININGS, ids=list(OPTIMIZERS))
    def test_a_checkpoint_goes_on_in_another_backend(self, training: Training) -> None:
        """Train some steps here and go on in the reference, and the other way round."""
        equations, batches = resolve(BUILT_IN_CELLS["lstm"]), minibatches(5)
        sides = (self.build, self.small()), (reference_model, SMALL)
        for (build, architecture), (build_other, other_architecture) in (sides, sides[::-1]):
            model = loaded(build, equations, architecture, training)
            train(model, batches)
            other = build_other(equations, other_architecture, training)
            other.load(_cast(model.weights(), other_architecture.dtype))
            other.load_optimizer_state(_cast(model.optimizer_state(), other_architecture.dtype))
            ours, theirs = (train(each, batches)[:, LOSS] for each in (model, other))
            assert np.max(np.abs(ours - theirs)) <= 100 * self.tolerance

    @pytest.mark.skipif(available_cores() < 2, reason="one core alone can't tell")
    def test_one_thread_is_one_core(self) -> None:
        """Open the backend in a process of its own, as a worker's, and multiply large matrices."""
        code = _CORES_USED.format(target=self.target)
        environment = os.environ | dict.fromkeys(_THREADS, "1")
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert float(done.stdout.split()[-1]) < 1.2

    @pytest.mark.skipif(bool(find_gpus()), reason="this machine has a GPU")
    def test_a_gpu_that_is_not_there_is_one_sentence(self) -> None:
        """Ask for it: what is missing is named, and what to do."""
        with pytest.raises(RuntimeError, match="cuda:0") as caught:
            self.open_backend("cuda:0")
        assert "install" in str(caught.value)
        assert "\n" not in str(caught.value)


def _cast(arrays: Weights, dtype: str) -> Weights:
    return {name: array.astype(dtype) if array.dtype.kind == "f" else array for name, array in arrays.items()}
