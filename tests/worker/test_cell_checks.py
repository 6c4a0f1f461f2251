"""Cells that cheat or are not what they declare: each is caught by the check meant for it, with its sentence."""

from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import harness_rnn.cell
from harness.contracts.cells import gated_shapes
from harness.worker.cell_checks import check_cell, small_model
from harness.worker.targets import resolve
from harness.worker.watched_cell import CellError
from harness_numpy.backend import NumpyBackend


def check(equations: Any) -> None:
    check_cell(equations, partial(small_model, NumpyBackend("cpu", 1)))


def cell(**changes: Any) -> SimpleNamespace:
    """Return the vanilla RNN with some of its functions changed."""
    honest = {name: getattr(harness_rnn.cell, name) for name in ("state_names", "parameter_shapes", "project", "step")}
    return SimpleNamespace(**(honest | changes))


@pytest.mark.parametrize(
    "name", ["harness_rnn.cell", "harness_gru.cell", "harness_gru.textbook", "harness_lstm.cell", "harness_mlp.cell"]
)
def test_every_built_in_cell_passes(name: str) -> None:
    check(resolve(name))


def sees_the_next_token(xp, params, X):
    projected = harness_rnn.cell.project(xp, params, X)
    return projected + xp_roll(projected)


def xp_roll(projected):
    import autograd.numpy as anp

    return anp.concatenate([projected[1:], projected[:1]])


def sees_a_token_far_ahead(xp, params, X):
    projected = harness_rnn.cell.project(xp, params, X)
    if X.shape[0] < 10:
        return projected
    import autograd.numpy as anp

    return projected + anp.concatenate([projected[7:], 0 * projected[:7]])


def mixes_rows_of_large_minibatches(xp, params, x, state):
    H, state = harness_rnn.cell.step(xp, params, x, state)
    return (H + 0.1 * H[:1] if x.shape[0] > 3 else H), state


def mixes_rows(xp, params, x, state):
    H, state = harness_rnn.cell.step(xp, params, x, state)
    return H + 0.1 * H[:1], state


class Remembers:
    def __init__(self) -> None:
        self.calls = 0

    def step(self, xp, params, x, state):
        self.calls += 1
        H, state = harness_rnn.cell.step(xp, params, x, state)
        return H * (1 + 1e-3 * self.calls), state


class CarriesMore:
    """Hands on the last output beside the state, and forgets it at the window's end: the same call gives the same."""

    def project(self, xp, params, X):
        self.last = None
        return harness_rnn.cell.project(xp, params, X)

    def step(self, xp, params, x, state):
        H, state = harness_rnn.cell.step(xp, params, x, state)
        output = H if self.last is None else H + 0.5 * self.last
        self.last = H
        return output, state


def cuts_the_gradient(xp, params, x, state):
    (H,) = state
    H = getattr(H, "_value", H)
    return harness_rnn.cell.step(xp, params, x, (np.array(H),))


def not_finite(xp, params, x, state):
    H, state = harness_rnn.cell.step(xp, params, x, state)
    return H * np.inf, state


def swapped(xp, params, x, state):
    (H,) = state
    H = xp.tanh(x + xp.linear(H, params["W_x"], params["b_h"]))
    return H, (H,)


CHEATS = {
    "the future": (cell(project=sees_the_next_token), r"project looks at the future: .* step 1 .* step 0"),
    "the far future of long windows": (cell(project=sees_a_token_far_ahead), r"project looks at the future"),
    "rows": (cell(step=mixes_rows), r"step mixes the rows"),
    "rows of large minibatches": (cell(step=mixes_rows_of_large_minibatches), r"step mixes the rows"),
    "global state": (cell(step=Remembers().step), r"step returned another result for the same"),
    "a cut gradient": (cell(step=cuts_the_gradient), r"the gradient of layers\.0\.\w+ is wrong"),
    "not finite": (cell(step=not_finite), r"step returned values that are not finite"),
    "swapped parameters": (cell(step=swapped), r"step failed .* W_x \(5, 7\), .* x \(3, 5\), H \(3, 5\)"),
    "an unknown parameter": (
        cell(step=lambda xp, params, x, state: (params["W_q"], state)),
        r"step asks for a parameter 'W_q', which parameter_shapes does not declare",
    ),
    "a wide output": (
        cell(step=lambda xp, params, x, state: (xp.concat([state[0], state[0]]), state)),
        r"step returned an output of shape \(3, 10\): \(3, 5\) is wanted",
    ),
    "too many states": (
        cell(step=lambda xp, params, x, state: (state[0], (state[0], state[0]))),
        r"step returned 2 states: state_names declares 1 \(H\)",
    ),
    "no pair": (cell(step=lambda xp, params, x, state: state[0]), r"step returned \w+: a pair"),
    "time lost": (
        cell(project=lambda xp, params, X: harness_rnn.cell.project(xp, params, X)[0]),
        r"project returned shape \(3, 5\) for X of shape \(6, 3\)",
    ),
    "an unused state": (
        cell(
            state_names=("H", "C"),
            step=lambda xp, params, x, state: (
                (H := harness_rnn.cell.step(xp, params, x, state[:1])[0]),
                (H, state[1]),
            ),
        ),
        r"state_names declares C, which changes no output",
    ),
    "an unused parameter": (
        cell(parameter_shapes=lambda i, h: gated_shapes(1, i, h) | {"W_q": (h, h)}),
        r"parameter_shapes declares W_q, which changes no output",
    ),
    "names that are none": (cell(state_names="H"), r"state_names is 'H': a tuple"),
    "shapes that are none": (
        cell(parameter_shapes=lambda i, h: [i, h]),
        r"parameter_shapes returned \[7, 5\]: a dict",
    ),
}


@pytest.mark.parametrize("name", CHEATS)
def test_a_cell_that_is_not_what_it_declares_is_caught_by_the_check_meant_for_it(name: str) -> None:
    equations, sentence = CHEATS[name]
    with pytest.raises(CellError, match=sentence):
        check(equations)


def test_what_is_carried_beside_the_state_is_seen_though_the_same_call_gives_the_same() -> None:
    cheat = CarriesMore()
    with pytest.raises(CellError, match=r"the state \(H\) is not all that is carried .* at step 1"):
        check(cell(project=cheat.project, step=cheat.step))


def test_a_look_at_the_future_in_a_deeper_layer_alone_is_seen() -> None:
    def project(xp, params, X):
        projected = harness_rnn.cell.project(xp, params, X)
        return projected if len(X.shape) == 2 else projected + xp_roll(projected)

    with pytest.raises(CellError, match="project looks at the future"):
        check(cell(project=project))
