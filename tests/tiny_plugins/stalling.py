"""A cell whose equations hang in double precision, which references and checks are made in."""

import time

from harness.contracts.hooks import Cell, hookimpl

state_names = ("H",)


def parameter_shapes(num_inputs, num_hiddens):
    return {"W_x": (num_hiddens, num_inputs), "W_h": (num_hiddens, num_hiddens)}


def project(xp, params, X):
    return xp.linear(X, params["W_x"])


def step(xp, params, x, state):
    if "float64" in str(params["W_h"].dtype):
        time.sleep(60)
    H = xp.tanh(x + xp.linear(state[0], params["W_h"]))
    return H, (H,)


@hookimpl
def harness_cells():
    return [Cell(name="stalling", title="Stalls in double precision", source="None", equations="stalling")]
