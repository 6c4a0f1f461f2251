"""Checks of a cell's equations, before anything trains: causal, row by row, pure, as declared, and differentiable.

Parity cannot see what these see: the reference runs the same equations, and so agrees with a cell that looks at the
token it is to predict. Every check runs on a tiny float64 model and takes milliseconds.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.contracts.backends import Backend, Ids, Model
from harness.contracts.cells import Equations, State
from harness.contracts.network import Architecture, canonical_shapes
from harness.contracts.ops import Array, Ops
from harness.contracts.training import Training
from harness.contracts.weights import Weights, initial_weights
from harness.worker.connection import Connection
from harness.worker.events import Checked
from harness.worker.job import CheckJob
from harness.worker.models import open_backend
from harness.worker.targets import resolve
from harness.worker.watched_cell import CellError, Watched, cause

VOCAB_SIZE = 7
NUM_HIDDENS = 5
"""Another number than the vocabulary's: a parameter used in another's place does not fit."""
NUM_STEPS, BATCH_SIZE = 6, 3
LONG_STEPS, LARGE_BATCH = 48, 9
"""Of one window more, which shows what acts far off, or in larger windows alone."""
DEPTHS = (1, 2)
_MOVED = 1e-12
"""What a float64 figure may differ by between two computations of the same."""
_SLOPE_STEP = 1e-6
_SLOPE_TOLERANCE = 1e-5
"""Relative, of a central difference along one direction in float64."""

Floats = NDArray[np.float64]
BuildModel = Callable[[Equations, int], Model]
"""From equations and a number of layers to a float64 model of `VOCAB_SIZE` and `NUM_HIDDENS`, its weights loaded."""


def check_equations(job: CheckJob, connection: Connection) -> None:
    """Check the cell a job names on its backend, and say what is wrong with it."""
    backend = open_backend(job.network.backend_target, job.place)
    problem = ""
    try:
        check_cell(resolve(job.network.equations), partial(small_model, backend))
    except CellError as error:
        problem = str(error)
    connection.send(Checked(problem=problem))


def small_model(backend: Backend, equations: Equations, num_layers: int) -> Model:
    """Build the model that is checked, from scratch, and load its weights."""
    architecture = Architecture(vocab_size=VOCAB_SIZE, num_layers=num_layers, num_hiddens=NUM_HIDDENS, dtype="float64")
    model = backend.scratch(equations, architecture, Training(optimizer="sgd", learning_rate=1.0))
    model.load(initial_weights(canonical_shapes(equations, architecture), NUM_HIDDENS, seed=0))
    return model


def check_cell(equations: Equations, build: BuildModel) -> None:
    """Check a cell's equations at several depths. Raises: CellError for the first thing that is wrong."""
    for num_layers in DEPTHS:
        watched = Watched(equations, NUM_HIDDENS)
        model = _explained(lambda depth=num_layers, cell=watched: build(cell, depth))  # type: ignore[misc]
        for check in (_check_values, _check_purity, _check_causality, _check_rows, _check_state, _check_gradients):
            check(_Subject(model, watched))
    _check_use(Watched(equations, NUM_HIDDENS), build)


def _explained(call: Callable[[], Any]) -> Any:
    """Call, and turn what a cell's functions do not explain themselves into a sentence."""
    try:
        return call()
    except CellError:
        raise
    except Exception as error:
        raise CellError(f"the equations cannot be computed: {cause(error)}") from error


# --- what the model does ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Run:
    """A window's logits, (num_steps, batch_size, vocab_size), and what each layer's `project` made of its inputs."""

    logits: Floats
    projected: Sequence[tuple[Array, Array]]


@dataclass(frozen=True)
class _Subject:
    """A model of the watched equations."""

    model: Model
    watched: Watched

    def run(self, X: Ids) -> _Run:
        """Run a window from the zero state."""
        self.watched.projected.clear()
        logits, _ = _explained(lambda: self.model.logits(X, self.model.initial_state(X.shape[1])))
        return _Run(np.array(logits, np.float64), list(self.watched.projected))

    def carried(self, *windows: Ids) -> Floats:
        """Run windows one after another, the state handed on; return all logits."""
        state, parts = self.model.initial_state(windows[0].shape[1]), []
        for X in windows:
            logits, state = _explained(lambda X=X, state=state: self.model.logits(X, state))  # type: ignore[misc]
            parts.append(np.array(logits, np.float64))
        return np.concatenate(parts)


def _window(num_steps: int = NUM_STEPS, batch_size: int = BATCH_SIZE) -> Ids:
    return np.random.default_rng(0).integers(0, VOCAB_SIZE, (num_steps, batch_size))


def _changed(X: Ids, where: tuple[Any, ...]) -> Ids:
    """Return the window with other tokens somewhere."""
    other = X.copy()
    other[where] = (other[where] + 1) % VOCAB_SIZE
    return other


def _differ(one: Any, other: Any) -> bool:
    return float(np.max(np.abs(np.asarray(one) - np.asarray(other)), initial=0.0)) > _MOVED


def _guilty(before: _Run, after: _Run, part: tuple[Any, ...]) -> str:
    """Return the function that lets a change through: `project`, where its result moved and its inputs did not."""
    for (inputs, projected), (other_inputs, other_projected) in zip(before.projected, after.projected, strict=True):
        if _differ(inputs[part], other_inputs[part]):
            return "step"  # of the layer below
        if _differ(projected[part], other_projected[part]):
            return "project"
    return "step"


def _check_values(subject: _Subject) -> None:
    run = subject.run(_window())
    if not np.isfinite(run.logits).all():
        where = "project" if not all(np.isfinite(projected).all() for _, projected in run.projected) else "step"
        raise CellError(f"{where} returned values that are not finite on ordinary weights: finite ones are wanted")


def _check_purity(subject: _Subject) -> None:
    X = _window()
    first = subject.run(X)
    subject.run(_changed(X, (slice(None),)))
    again = subject.run(X)
    if _differ(first.logits, again.logits):
        raise CellError(
            f"{_guilty(first, again, (slice(None),))} returned another result for the same tokens and the same state: "
            "what it remembers beside its state, or draws at random, must go"
        )


def _check_causality(subject: _Subject) -> None:
    _require_causality(subject, _window(), range(1, NUM_STEPS))
    _require_causality(subject, _window(LONG_STEPS, LARGE_BATCH), (NUM_STEPS + 1, LONG_STEPS // 2, LONG_STEPS - 1))


def _require_causality(subject: _Subject, X: Ids, changed: Iterable[int]) -> None:
    before = subject.run(X)
    for t in changed:
        after = subject.run(_changed(X, (t,)))
        if _differ(before.logits[:t], after.logits[:t]):
            moved = next(s for s in range(t) if _differ(before.logits[s], after.logits[s]))
            raise CellError(
                f"{_guilty(before, after, (slice(0, t),))} looks at the future: a change of the token at step {t} "
                f"moves the output at step {moved}, which predicts it"
            )


def _check_rows(subject: _Subject) -> None:
    _require_apart(subject, _window(), range(BATCH_SIZE))
    _require_apart(subject, _window(LONG_STEPS, LARGE_BATCH), (0, LARGE_BATCH - 1))


def _require_apart(subject: _Subject, X: Ids, rows: Iterable[int]) -> None:
    before = subject.run(X)
    for row in rows:
        after = subject.run(_changed(X, (slice(None), row)))
        others = (slice(None), [other for other in range(X.shape[1]) if other != row])
        if _differ(before.logits[others], after.logits[others]):
            raise CellError(
                f"{_guilty(before, after, others)} mixes the rows of a minibatch: a change of row {row} moves the "
                "outputs of other rows, which are other texts"
            )


def _check_state(subject: _Subject) -> None:
    X = _window()
    whole = subject.run(X).logits
    for cut in (1, NUM_STEPS // 2):
        parts = subject.carried(X[:cut], X[cut:])
        if _differ(whole, parts):
            step = next(s for s in range(NUM_STEPS) if _differ(whole[s], parts[s]))
            raise CellError(
                f"the state ({', '.join(subject.watched.state_names)}) is not all that is carried from step to step: "
                f"a window read whole and one read in two parts, cut before step {cut}, differ at step {step}"
            )


def _check_gradients(subject: _Subject) -> None:
    """Hold each parameter's gradient against a central difference along a random direction."""
    X = _window()
    Y = np.random.default_rng(1).integers(0, VOCAB_SIZE, X.shape)
    model = subject.model
    _, gradients = _explained(lambda: model.gradients(X, Y, model.initial_state(BATCH_SIZE)))
    weights: Weights = {name: np.array(array, np.float64) for name, array in model.weights().items()}
    for name, direction in _directions(weights):
        expected = (
            _loss(subject, weights, name, direction, X, Y) - _loss(subject, weights, name, -direction, X, Y)
        ) / (2 * _SLOPE_STEP)
        slope = float(np.sum(np.asarray(gradients[name], np.float64) * direction))
        if not abs(slope - expected) <= _SLOPE_TOLERANCE * max(1e-2, abs(expected)):
            raise CellError(
                f"the gradient of {name} is wrong: automatic differentiation gives a slope of {slope:.3g} where a "
                f"finite difference of the loss gives {expected:.3g}; compute with xp's operations alone, which it sees"
            )
    model.load(weights)


def _directions(weights: Weights) -> Iterator[tuple[str, Floats]]:
    generator = np.random.default_rng(2)
    return ((name, generator.standard_normal(array.shape)) for name, array in weights.items())


def _loss(subject: _Subject, weights: Weights, name: str, direction: Floats, X: Ids, Y: Ids) -> float:
    """Return the mean cross-entropy with one parameter moved a little along a direction."""
    subject.model.load({**weights, name: weights[name] + _SLOPE_STEP * direction})
    logits = subject.run(X).logits
    shifted = logits - logits.max(-1, keepdims=True)
    log_sums = np.log(np.exp(shifted).sum(-1))
    return float(np.mean(log_sums - np.take_along_axis(shifted, Y[..., None], -1)[..., 0]))


# --- what is declared and not used ------------------------------------------------------------------------------------


def _check_use(watched: Watched, build: BuildModel) -> None:
    """See to it that every parameter and every part of the state changes something."""
    model: Model = _explained(lambda: build(watched, 1))
    subject, X = _Subject(model, watched), _window()
    weights: Weights = {name: np.array(array, np.float64) for name, array in model.weights().items()}
    before = subject.run(X).logits
    for name, direction in _directions(weights):
        model.load({**weights, name: weights[name] + direction})
        if not _differ(before, subject.run(X).logits):
            raise CellError(f"parameter_shapes declares {name.rpartition('.')[2]}, which changes no output: use it")
    model.load(weights)
    for position, name in enumerate(watched.state_names):
        blind = Watched(_Without(watched, position), NUM_HIDDENS)
        if not _differ(before, _Subject(_loaded(build, blind, weights), blind).run(X).logits):
            raise CellError(f"state_names declares {name}, which changes no output: use it, or leave it out")


def _loaded(build: BuildModel, equations: Equations, weights: Weights) -> Model:
    model: Model = _explained(lambda: build(equations, 1))
    model.load(weights)
    return model


class _Without:
    """The equations with one part of the state forgotten at every step."""

    def __init__(self, equations: Equations, position: int) -> None:
        self._equations = equations
        self._position = position
        self.state_names = equations.state_names

    def __getattr__(self, name: str) -> Any:
        return getattr(self._equations, name)

    def step(self, xp: Ops, params: Any, x: Array, state: State) -> tuple[Array, State]:
        """Take a step from a state of which one part is moved off its value."""
        moved = tuple(part + 0.5 if position == self._position else part for position, part in enumerate(state))
        return self._equations.step(xp, params, x, moved)
