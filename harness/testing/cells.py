"""The contract suite of a cell: its equations on the reference backend."""

from functools import partial
from typing import ClassVar

import numpy as np
import pytest

from harness.contracts.backends import Model
from harness.contracts.cells import Equations
from harness.contracts.network import Architecture
from harness.contracts.training import Training
from harness.testing.implementations import BehaviourContract, assert_finite_differences
from harness.testing.models import SMALL, loaded, minibatches, reference_model
from harness.worker.cell_checks import check_cell, small_model
from harness.worker.targets import resolve


class CellContract(BehaviourContract):
    """What a cell's equations must do on the reference backend; name the module in `equations_module`."""

    equations_module: ClassVar[str]

    @pytest.fixture
    def equations(self) -> Equations:
        """Import the module."""
        equations: Equations = resolve(self.equations_module)
        return equations

    def build(self, equations: Equations, architecture: Architecture, training: Training) -> Model:
        """Build the scratch model on NumPy."""
        return reference_model(equations, architecture, training)

    def test_the_equations_are_causal_pure_and_as_they_declare(self, equations: Equations) -> None:
        """Check what a run checks before anything trains."""
        from harness_numpy.backend import NumpyBackend

        check_cell(equations, partial(small_model, NumpyBackend("cpu", 1)))

    def test_gradients_are_the_finite_differences(self, equations: Equations) -> None:
        """Check some weights of every parameter, among them the largest gradient's."""
        assert_finite_differences(loaded(self.build, equations, SMALL))

    def test_a_layer_takes_ids_as_one_hot_rows(self, equations: Equations) -> None:
        """Project ids, and the one-hot rows they stand for."""
        from harness_numpy.ops import AutogradOps

        xp = AutogradOps("float64")
        shapes = equations.parameter_shapes(SMALL.vocab_size, SMALL.num_hiddens)
        generator = np.random.default_rng(1)
        params = {name: generator.normal(size=shape) for name, shape in shapes.items()}
        X = minibatches(1).inputs[0]
        one_hot = np.eye(SMALL.vocab_size)[X]
        assert np.allclose(equations.project(xp, params, X), equations.project(xp, params, one_hot), atol=1e-12)
