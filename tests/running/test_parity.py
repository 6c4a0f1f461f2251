"""The certificate: right models pass, each kind of wrong one is caught."""

import copy
import csv
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from harness.record import parity
from harness.running import references
from harness.testing.models import SMALL, TRAINING, loaded, minibatches, reference_model, train, weights_for
from harness.worker.events import FirstSteps
from harness.worker.first_steps import steps_of_figures
from harness.worker.targets import resolve
from harness_numpy.backend import NumpyBackend

SIZES = replace(SMALL, num_hiddens=16, dtype="float32")
CLIPPED = replace(TRAINING, grad_clip=1.0)
BATCHES = minibatches(5)


def steps_of(model, batches=BATCHES):
    return steps_of_figures(train(model, batches))


def fused(cell, **changes):
    build = resolve(f"harness_numpy.fused:build_{cell}")
    equations = resolve(f"harness_{cell}.cell")
    return loaded(lambda *model: build(NumpyBackend("cpu", 1), *model), equations, SIZES, replace(CLIPPED, **changes))


def reference_of(cell, **changes):
    return steps_of(loaded(reference_model, resolve(f"harness_{cell}.cell"), SIZES, replace(CLIPPED, **changes)))


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize(("optimizer", "rate"), [("sgd", 1.0), ("adam", 0.003), ("rmsprop", 0.002)])
def test_the_right_model_in_float32_is_certified(cell, optimizer, rate):
    changes = {"optimizer": optimizer, "learning_rate": rate}
    certificate = parity.compare(steps_of(fused(cell, **changes)), reference_of(cell, **changes))
    assert certificate.parity_certified
    assert 0 < certificate.parity_max_rel_diff < 1e-5
    assert certificate.parity_steps == 5


def with_weights(model, change):
    weights = model.weights()
    change(weights)
    model.load(weights)
    return model


def permuted_gates(weights):
    for name in ("W_x", "W_h", "b_x", "b_h"):
        i, f, g, o = np.split(weights[f"layers.0.{name}"].copy(), 4)
        weights[f"layers.0.{name}"] = np.concatenate([i, g, f, o])


class Relu:
    """The vanilla cell with MXNet's default activation."""

    def __getattr__(self, name):
        return getattr(resolve("harness_rnn.cell"), name)

    def step(self, xp, params, x, state):
        (H,) = state
        H = xp.relu(x + xp.linear(H, params["W_h"], params["b_h"]))
        return H, (H,)


def off_by_one_targets(batches):
    return replace(batches, targets=[np.roll(Y, 1, axis=0) for Y in batches.targets])


WRONG = {
    "gates permuted": ("lstm", lambda: steps_of(with_weights(fused("lstm"), permuted_gates))),
    "reset gate before the product": (
        "gru",
        lambda: steps_of(loaded(NumpyBackend("cpu", 1).scratch, resolve("harness_gru.textbook"), SIZES, CLIPPED)),
    ),
    "relu for tanh": ("rnn", lambda: steps_of(loaded(NumpyBackend("cpu", 1).scratch, Relu(), SIZES, CLIPPED))),
    "targets off by one": ("lstm", lambda: steps_of(fused("lstm"), off_by_one_targets(BATCHES))),
    "nothing learnt": ("gru", lambda: steps_of(fused("gru", learning_rate=0.0))),
    "another optimizer": ("gru", lambda: steps_of(fused("gru", optimizer="adam", learning_rate=CLIPPED.learning_rate))),
    "clipping left out": ("rnn", lambda: steps_of(fused("rnn", grad_clip=0.0))),
    "another seed's weights": (
        "rnn",
        lambda: steps_of(
            with_weights(fused("rnn"), lambda w: w.update(weights_for(resolve("harness_rnn.cell"), SIZES, seed=1)))
        ),
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_model_is_caught(wrong):
    cell, steps = WRONG[wrong]
    changes = {"grad_clip": 0.05} if wrong == "clipping left out" else {}
    certificate = parity.compare(steps(), reference_of(cell, **changes))
    assert not certificate.parity_certified, wrong
    assert certificate.parity_max_rel_diff > parity.TOLERANCE


@pytest.mark.parametrize(
    ("losses", "norms"),
    [((1.0, math.nan), (1.0, 1.0)), ((1.0,), (1.0, 1.0)), ((1.0, 1.0), (math.inf, 1.0)), ((), ())],
)
def test_missing_and_non_finite_figures_certify_nothing(losses, norms):
    reference = FirstSteps(losses=(1.0, 1.0), grad_norms=(1.0, 1.0))
    assert not parity.compare(FirstSteps(losses=losses, grad_norms=norms), reference).parity_certified
    assert not parity.compare(
        FirstSteps(losses=(), grad_norms=()), FirstSteps(losses=(), grad_norms=())
    ).parity_certified


def test_a_damaged_reference_is_made_again(tmp_path):
    path = tmp_path / "r.json"
    reference = FirstSteps(losses=(1.0,), grad_norms=(2.0,))
    references.write_reference(path, reference)
    assert references.read_reference(path) == reference
    path.write_text(json.dumps({"losses": [1.0]}))
    assert references.read_reference(path) is None
    references.write_reference(path, reference)
    path.write_text(path.read_text().replace("2.0", "2.02"))
    assert references.read_reference(path) is None
    path.write_text("{")
    assert references.read_reference(path) is None


def test_a_certificate_that_is_no_number_can_be_recorded(tmp_path):
    from harness.record.ledger import Ledger, LedgerReader
    from harness.worker.trial import Trial

    fields = dict.fromkeys(Trial.__dataclass_fields__, 1)
    trial = Trial.from_dict({**fields, "cell": "rnn", "backend": "numpy", "implementation": "fused"})
    none = parity.compare(
        FirstSteps(losses=(math.nan,), grad_norms=(1.0,)), FirstSteps(losses=(1.0,), grad_norms=(1.0,))
    )
    with Ledger(tmp_path / "run.sqlite") as ledger:
        ledger.add([trial])
        ledger.certified(trial.trial_id, none)
        ledger.ended(trial.trial_id, "failed", "a lone \udcff surrogate")
    with LedgerReader(tmp_path / "run.sqlite") as reader:
        (row,) = reader.trials()
    assert row["parity_certified"] is False
    assert "parity_max_rel_diff" not in row
    assert row["reason"] == "a lone ? surrogate"


LEAKY = """
from harness.contracts.hooks import Cell, hookimpl
from harness.contracts.cells import gated_shapes

state_names = ("H",)

def parameter_shapes(num_inputs, num_hiddens):
    return gated_shapes(1, num_inputs, num_hiddens)

def project(xp, params, X):
    return xp.linear(X, params["W_x"], params["b_x"])

def step(xp, params, x, state):
    (H,) = state
    H = 0.9 * H + 0.1 * xp.tanh(x + xp.linear(H, params["W_h"], params["b_h"]))
    return H, (H,)

@hookimpl
def harness_cells():
    return [Cell(name="leaky", title="Leaky", source="this test", equations="leaky")]
"""


@pytest.mark.slow
def test_a_plugin_s_next_revision_is_not_held_against_the_reference_of_the_last(here, harness, small):
    plugin = here / "plugins" / "leaky.py"
    plugin.parent.mkdir()
    for name, code in (("old", LEAKY), ("new", LEAKY.replace("0.9 * H + 0.1", "0.2 * H + 0.8"))):
        plugin.write_text(code)
        done = harness(*small, "--plugins-dir", plugin.parent, "--plugins", "leaky,numpy", "--out", name)
        assert done.returncode == 0, done.stderr
        (row,) = csv.DictReader((here / name / "trials.csv").read_text().splitlines())
        assert row["parity_certified"] == "True"


@pytest.mark.slow
def test_a_reference_is_made_anew_by_other_code(prepare, execute, here):
    def references_made():
        return len(list((here / "cache" / "references").glob("*.json")))

    prepared = prepare("rnn,numpy", epochs=1)
    execute(prepared, parity_steps=2)
    assert references_made() == 1
    (here / "other.py").write_text("from harness_numpy.backend import NumpyBackend as open_backend\n")
    other = copy.deepcopy(prepared.registry)
    other.backends["numpy"] = replace(other.backends["numpy"], target="other:open_backend")
    other.module_paths = (str(here),)
    execute(replace(prepare("rnn,numpy", epochs=1, out="again"), registry=other), parity_steps=2)
    assert references_made() == 2
