"""A cell's equations under watch: each call is held against what the contract declares."""

from collections.abc import Mapping
from typing import Any

from harness.contracts.cells import Equations, Params, Shapes, State
from harness.contracts.ops import Array, Ops


class CellError(ValueError):
    """What is wrong with a cell: one sentence that names the function, what came, and what was wanted."""


class Watched:
    """The equations, each call of which is held against what the contract declares."""

    def __init__(self, equations: Equations, num_hiddens: int) -> None:
        self._equations = equations
        self._num_hiddens = num_hiddens
        self.state_names = _state_names(equations)
        self.projected: list[tuple[Array, Array]] = []
        """What `project` was given and returned since the list was cleared, layer by layer."""
        if hasattr(equations, "prepare"):
            self.prepare = self._prepare

    def parameter_shapes(self, num_inputs: int, num_hiddens: int) -> Shapes:
        """Return the declared shapes."""
        shapes = self._call("parameter_shapes", num_inputs, num_hiddens)
        if not isinstance(shapes, dict) or not all(_is_shape(shape) for shape in shapes.values()):
            raise CellError(f"parameter_shapes returned {shapes!r:.80}: a dict of names and tuples of sizes is wanted")
        return shapes

    def _prepare(self, params: Params) -> Any:
        return self._call("prepare", params)

    def project(self, xp: Ops, params: Params, X: Array) -> Array:
        """Return the projection, which keeps time and rows."""
        projected = self._call("project", xp, params, X, shapes={**_shapes(params), "X": X.shape})
        shape = getattr(projected, "shape", None)
        if shape is None or tuple(shape[:2]) != tuple(X.shape[:2]):
            raise CellError(
                f"project returned {_word_shape(projected)} for X of shape {tuple(X.shape)}: an array is wanted whose "
                "first two sizes are X's, (num_steps, batch_size, …)"
            )
        self.projected.append((X, projected))
        return projected

    def step(self, xp: Ops, params: Any, x: Array, state: State) -> tuple[Array, State]:
        """Return the step's output and state, of the shapes declared."""
        parts = {name: part.shape for name, part in zip(self.state_names, state, strict=True)}
        weights = _shapes(params) if isinstance(params, Mapping) else {}
        result = self._call("step", xp, params, x, state, shapes={**weights, "x": x.shape, **parts})
        wanted = (state[0].shape[0], self._num_hiddens)
        if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[1], tuple):
            raise CellError(
                f"step returned {type(result).__name__}: a pair of the output and the tuple of states is wanted"
            )
        output, after = result
        if getattr(output, "shape", None) != wanted:
            raise CellError(f"step returned an output of {_word_shape(output)}: {wanted} is wanted")
        if len(after) != len(self.state_names):
            raise CellError(
                f"step returned {len(after)} states: state_names declares {len(self.state_names)} "
                f"({', '.join(self.state_names)})"
            )
        for name, part in zip(self.state_names, after, strict=True):
            if getattr(part, "shape", None) != wanted:
                raise CellError(f"step returned a state {name} of {_word_shape(part)}: {wanted} is wanted")
        return output, after

    def _call(self, name: str, *arguments: Any, shapes: dict[str, Any] | None = None) -> Any:
        try:
            function = getattr(self._equations, name)
        except AttributeError:
            raise CellError(f"there is no function {name}: the contract of a cell's equations asks for it") from None
        try:
            return function(*arguments)
        except KeyError as error:
            raise CellError(f"{name} asks for a parameter {error}, which parameter_shapes does not declare") from error
        except Exception as error:
            passed = "".join(f", {key} {tuple(shape)}" for key, shape in (shapes or {}).items())
            raise CellError(
                f"{name} failed ({cause(error)}){'; it was given' if passed else ''}{passed[1:]}"
            ) from error


def _state_names(equations: Equations) -> tuple[str, ...]:
    names = getattr(equations, "state_names", None)
    if not isinstance(names, tuple) or not names or not all(isinstance(name, str) for name in names):
        raise CellError(f"state_names is {names!r:.60}: a tuple of the states' names is wanted, as in ('H',)")
    return names


def _is_shape(shape: object) -> bool:
    return isinstance(shape, tuple) and all(isinstance(size, int) and size > 0 for size in shape)


def _shapes(params: Params) -> dict[str, Any]:
    return {name: array.shape for name, array in params.items()}


def _word_shape(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return f"{type(value).__name__}" if shape is None else f"shape {tuple(shape)}"


def cause(error: BaseException) -> str:
    """Word an exception in one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0].removesuffix(":")
