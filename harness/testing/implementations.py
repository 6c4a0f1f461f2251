"""The contract suites of a model, whoever builds it, and of a backend's own implementations of cells."""

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

from harness.contracts.backends import COLUMNS, GRAD_NORM, LOSS, Model
from harness.contracts.cells import Equations
from harness.contracts.measures import ACCURACIES
from harness.contracts.network import Architecture
from harness.contracts.optimization import OPTIMIZERS
from harness.contracts.training import Training
from harness.testing.equations import BUILT_IN_CELLS
from harness.testing.models import (
    BATCH_SIZE,
    SMALL,
    TRAINING,
    finite_difference,
    largest_difference,
    loaded,
    minibatches,
    reference_model,
    train,
)
from harness.worker.targets import resolve

_RATES = {"sgd": 0.5}
"""Of the optimizers whose steps are not normalised; the others' is 0.01."""
TRAININGS = [replace(TRAINING, optimizer=name, learning_rate=_RATES.get(name, 0.01)) for name in OPTIMIZERS]


class BehaviourContract:
    """What any model does, whatever it computes; subclasses give `equations` and `build`."""

    tolerance: ClassVar[float] = 1e-9
    """Largest difference from the float64 reference; a backend without float64 sets its own."""
    dtype: ClassVar[str] = "float64"

    @pytest.fixture
    def equations(self) -> Equations:
        """Return the cell's equations."""
        raise NotImplementedError

    def build(self, equations: Equations, architecture: Architecture, training: Training) -> Model:
        """Build the model under test."""
        raise NotImplementedError

    def small(self, **changes: Any) -> Architecture:
        """Return a small architecture in this contract's dtype."""
        return replace(SMALL, dtype=self.dtype, **changes)

    def test_the_state_carries_a_sequence_over_minibatches(self, equations: Equations) -> None:
        """Run a window whole and in two parts."""
        model = loaded(self.build, equations, self.small())
        X = minibatches(1).inputs[0]
        whole, _ = model.logits(X, model.initial_state(BATCH_SIZE))
        first, state = model.logits(X[:4], model.initial_state(BATCH_SIZE))
        second, _ = model.logits(X[4:], state)
        assert np.max(np.abs(whole - np.concatenate([first, second]))) <= self.tolerance

    def test_evaluation_learns_nothing_and_agrees_with_the_logits(self, equations: Equations) -> None:
        """Compute loss and accuracies from the logits by the definition."""
        model = loaded(self.build, equations, self.small())
        batch = minibatches(1)
        X, Y = batch.inputs[0], batch.targets[0]
        before = model.weights()
        handle, _ = model.evaluate_step(X, Y, model.initial_state(BATCH_SIZE))
        figures = model.read([handle])[0]
        logits = np.asarray(model.logits(X, model.initial_state(BATCH_SIZE))[0], np.float64)
        log_probabilities = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        best_first = np.argsort(-logits, axis=-1)
        losses = -np.take_along_axis(log_probabilities, Y[..., None], -1)[..., 0]
        assert figures[LOSS] == pytest.approx(losses.mean(), rel=1e-5)
        assert figures[len(COLUMNS) :] == pytest.approx(losses.mean(axis=0), rel=1e-5)
        for name, rank in ACCURACIES.items():
            expected = (best_first[..., :rank] == Y[..., None]).any(-1).mean()
            assert figures[COLUMNS.index(name)] == pytest.approx(expected)
        assert figures[GRAD_NORM] == 0
        assert largest_difference(before, model.weights()) == 0

    def test_a_tie_counts_against_the_model(self, equations: Equations) -> None:
        """Let all logits be equal: a model that knows nothing must not score 100 %."""
        model = loaded(self.build, equations, self.small())
        model.load({name: np.zeros_like(array) for name, array in model.weights().items()})
        batch = minibatches(1)
        handle, _ = model.evaluate_step(batch.inputs[0], batch.targets[0], model.initial_state(BATCH_SIZE))
        figures = model.read([handle])[0]
        for name in ACCURACIES:
            assert figures[COLUMNS.index(name)] == 0

    def test_logits_that_are_no_numbers_score_no_accuracy(self, equations: Equations) -> None:
        """Spoil one symbol's logits, then all: the others' are hit no sooner for it, and what is spoilt never is."""
        model = loaded(self.build, equations, self.small())
        weights = model.weights()
        X = minibatches(1).inputs[0]
        for spoilt in (slice(0, 1), slice(None)):
            weights["output.b"][spoilt] = np.nan
            model.load(weights)
            handle, _ = model.evaluate_step(X, np.zeros_like(X), model.initial_state(BATCH_SIZE))
            figures = model.read([handle])[0]
            assert np.isnan(figures[LOSS])
            assert all(figures[COLUMNS.index(name)] == 0 for name in ACCURACIES)

    @pytest.mark.parametrize("training", TRAININGS, ids=list(OPTIMIZERS))
    def test_a_model_resumed_from_its_checkpoint_goes_on_as_if_never_stopped(
        self, equations: Equations, training: Training
    ) -> None:
        """Move weights and optimizer state to a new model after some steps."""
        batches = minibatches(6)
        first = loaded(self.build, equations, self.small(), training)
        train(first, batches)
        second = self.build(equations, self.small(), training)
        second.load(first.weights())
        second.load_optimizer_state(first.optimizer_state())
        assert np.array_equal(train(first, batches), train(second, batches))
        assert largest_difference(first.weights(), second.weights()) == 0

    def test_dropout_acts_in_training_alone_and_the_epoch_decides_its_masks(self, equations: Equations) -> None:
        """Train one step in each of three epochs."""
        training = replace(TRAINING, learning_rate=1e-9)
        model = loaded(self.build, equations, self.small(dropout=0.5), training)
        batch = minibatches(1)

        def loss(epoch: int) -> float:
            model.begin_epoch(epoch)
            return float(train(model, batch)[0, LOSS])

        plain = loaded(self.build, equations, self.small())
        evaluated = model.evaluate_step(batch.inputs[0], batch.targets[0], model.initial_state(BATCH_SIZE))[0]
        expected = plain.evaluate_step(batch.inputs[0], batch.targets[0], plain.initial_state(BATCH_SIZE))[0]
        assert model.read([evaluated])[0, LOSS] == plain.read([expected])[0, LOSS]
        first, other, again = loss(1), loss(2), loss(1)
        assert abs(first - again) < 1e-6 < abs(first - other)

    def test_a_model_begun_anew_in_an_epoch_draws_the_same_masks(self, equations: Equations) -> None:
        """Train the second epoch in the model of the first, and in another that takes its weights over."""
        first, second = (loaded(self.build, equations, self.small(dropout=0.5)) for _ in range(2))
        first.begin_epoch(1)
        train(first, minibatches(3))
        second.load(first.weights())
        losses = []
        for model in (first, second):
            model.begin_epoch(2)
            losses.append(train(model, minibatches(3))[:, LOSS])
        assert np.array_equal(losses[0], losses[1])

    def test_evaluation_and_generation_between_steps_change_nothing(self, equations: Equations) -> None:
        """Evaluate and predict before each of some steps, with other numbers of rows and steps."""
        plain, disturbed = (loaded(self.build, equations, self.small()) for _ in range(2))
        batches = minibatches(4)
        state = disturbed.initial_state(BATCH_SIZE)
        handles = []
        for X, Y in zip(batches.inputs, batches.targets, strict=True):
            disturbed.evaluate_step(X, Y, disturbed.initial_state(BATCH_SIZE))
            disturbed.logits(X[:1, :1], disturbed.initial_state(1))
            handle, state = disturbed.train_step(X, Y, state)
            handles.append(handle)
        assert np.array_equal(train(plain, batches), disturbed.read(handles))
        assert largest_difference(plain.weights(), disturbed.weights()) == 0

    def test_a_step_takes_nothing_from_the_caller(self, equations: Equations) -> None:
        """Train some steps from one state: it, and what was copied out before, stay as they were."""
        model = loaded(self.build, equations, self.small(), TRAININGS[1])
        X, Y = minibatches(1).inputs[0], minibatches(1).targets[0]
        state, arrays = model.initial_state(BATCH_SIZE), {**model.weights(), **model.optimizer_state()}
        before, (logits, _) = {name: array.copy() for name, array in arrays.items()}, model.logits(X, state)
        for _ in range(3):
            model.train_step(X, Y, state)
        assert all(np.array_equal(array, before[name]) for name, array in arrays.items())
        model.load({name: before[name] for name in model.weights()})
        assert np.array_equal(model.logits(X, state)[0], logits)


class ModelContract(BehaviourContract):
    """What a model of a backend's implementation computes: the reference's figures."""

    @pytest.mark.parametrize("num_layers", [1, 2, 3])
    def test_losses_and_gradients_are_the_references(self, equations: Equations, num_layers: int) -> None:
        """Hold loss and every gradient against the cell's equations in float64."""
        architecture = self.small(num_layers=num_layers)
        batch = minibatches(1)
        model = loaded(self.build, equations, architecture)
        reference = loaded(reference_model, equations, replace(architecture, dtype="float64"))
        loss, gradients = model.gradients(batch.inputs[0], batch.targets[0], model.initial_state(BATCH_SIZE))
        expected = reference.gradients(batch.inputs[0], batch.targets[0], reference.initial_state(BATCH_SIZE))
        assert abs(loss - expected[0]) <= self.tolerance
        assert largest_difference(gradients, expected[1]) <= self.tolerance

    @pytest.mark.parametrize("training", TRAININGS, ids=list(OPTIMIZERS))
    def test_twenty_steps_of_each_optimizer_are_the_references(self, equations: Equations, training: Training) -> None:
        """Hold losses, accuracies, norms and weights after training against the reference, clipping included."""
        training = replace(training, grad_clip=0.1)
        batches = minibatches(20)
        model = loaded(self.build, equations, self.small(), training)
        reference = loaded(reference_model, equations, SMALL, training)
        figures, expected = train(model, batches), train(reference, batches)
        assert (expected[:, GRAD_NORM] > 0.1).any()  # something was clipped
        scale = 100 * self.tolerance
        assert np.max(np.abs(figures[:, [LOSS, GRAD_NORM]] - expected[:, [LOSS, GRAD_NORM]])) <= scale
        assert largest_difference(model.weights(), reference.weights()) <= scale

    def test_a_falling_learning_rate_and_another_rmsprop_decay_are_the_references(self, equations: Equations) -> None:
        """Train in an epoch of an eighth of the rate; the reference's own is held against the formula elsewhere."""
        training = Training(
            optimizer="rmsprop", learning_rate=0.08, lr_decay=0.5, lr_decay_after=2, rmsprop_decay=0.9, grad_clip=0.0
        )
        batches = minibatches(5)
        model = loaded(self.build, equations, self.small(), training)
        reference = loaded(reference_model, equations, SMALL, training)
        unchanged = loaded(reference_model, equations, SMALL, training)
        for each in (model, reference):
            each.begin_epoch(5)
            train(each, batches)
        train(unchanged, batches)
        assert largest_difference(model.weights(), reference.weights()) <= 100 * self.tolerance
        assert largest_difference(unchanged.weights(), reference.weights()) > 0.01


class ImplementationContract(ModelContract):
    """What a backend's own implementations must do; name the backend, built-in cells, and the target of ``{cell}``."""

    backend: ClassVar[str]
    cells: ClassVar[tuple[str, ...]]
    target: ClassVar[str]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Hold every test against each implementation in turn."""
        if "cell" in metafunc.fixturenames:
            metafunc.parametrize("cell", self.cells)

    @pytest.fixture
    def equations(self, cell: str) -> Equations:
        """Return the cell's own equations, and note whose implementation is built."""
        self.cell = cell
        equations: Equations = resolve(BUILT_IN_CELLS[cell])
        return equations

    def build(self, equations: Equations, architecture: Architecture, training: Training) -> Model:
        """Build the implementation."""
        backend = resolve(self.backend)("cpu", 1)
        model: Model = resolve(self.target.format(cell=self.cell))(backend, equations, architecture, training)
        return model


def assert_finite_differences(model: Model) -> None:
    """Hold a model's gradients against central differences of its loss."""
    batch = minibatches(1)
    X, Y = batch.inputs[0], batch.targets[0]
    _, gradients = model.gradients(X, Y, model.initial_state(BATCH_SIZE))
    generator = np.random.default_rng(2)
    for name, gradient in gradients.items():
        largest = np.unravel_index(int(np.argmax(np.abs(gradient))), gradient.shape)
        for index in [largest, *(tuple(generator.integers(0, gradient.shape)) for _ in range(4))]:
            slope = finite_difference(model, X, Y, name, tuple(int(i) for i in index))
            assert gradient[index] == pytest.approx(slope, rel=1e-5, abs=1e-9), f"{name}{list(index)}"
