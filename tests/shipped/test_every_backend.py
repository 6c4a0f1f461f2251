"""All backends there are on one model: a real run, and each backend's contract in its own interpreter."""

import csv
import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from harness.environments import interpreter_for
from harness.environments.links import linked_packages
from harness.errors import EnvironmentMissing
from harness.plugins import registry

# The first test of the module may build three environments.
pytestmark = [pytest.mark.long, pytest.mark.timeout(2400)]

HERE = Path(__file__).parent
CELLS = ("rnn", "gru", "gru-textbook", "lstm", "mlp")
ISOLATED = ("mxnet", "tensorflow", "jax")
# What the contract suite needs beside the framework; all pure Python, so links serve any interpreter.
SUITE_PACKAGES = (
    "pytest",
    "_pytest",
    "py",
    "pluggy",
    "iniconfig",
    "packaging",
    "pygments",
    "pytest_timeout",
    "autograd",
)


@pytest.fixture(scope="module")
def found():
    """Load the plugins, and build the environments that HARNESS_TEST_BACKENDS names, as CI does."""
    asked = [name for name in os.environ.get("HARNESS_TEST_BACKENDS", "").split(",") if name]
    if asked:
        command = [str(Path(sysconfig.get_path("scripts"), "harness")), "env", "create", *asked]
        subprocess.run(command, check=True, timeout=1500)
    return registry.load()


def interpreter_or_skip(found, name):
    try:
        return interpreter_for(found.backend(name))
    except EnvironmentMissing as missing:
        pytest.skip(str(missing))


def runnable(found):
    names = []
    for name, backend in found.backends.items():
        try:
            interpreter_for(backend)
        except EnvironmentMissing:
            continue
        names.append(name)
    return names


@pytest.mark.parametrize("name", ISOLATED)
def test_a_backend_passes_the_contract_in_its_own_interpreter(name, found, record_property):
    interpreter = interpreter_or_skip(found, name)
    if interpreter.python == sys.executable:
        pytest.skip(f"{name} shares the harness's interpreter: its contract runs there")
    links = linked_packages([*found.targets(), *SUITE_PACKAGES])
    environment = {**os.environ, "PYTHONPATH": str(links), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    # Neither this project's settings nor the other tests' fixtures: they need more than the environment holds.
    alone = ["-c", os.devnull, "--rootdir", str(HERE), "--confcutdir", str(HERE), "-p", "no:cacheprovider"]
    command = [interpreter.python, "-m", "pytest", "-q", "-rs", *alone, str(HERE / f"test_{name}.py")]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1500, check=False)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
    passed = re.search(r"(\d+) passed", result.stdout)
    assert passed is not None
    assert int(passed[1]) > 40, result.stdout
    record_property("backend", f"{name} ({passed[1]} contract tests in its own interpreter)")


@pytest.fixture(scope="module")
def one_run(found, tmp_path_factory):
    """Train every cell at one to three layers on every backend that is here, scratch and fused."""
    folder = tmp_path_factory.mktemp("every-backend")
    command = [str(Path(sysconfig.get_path("scripts"), "harness")), "run"]
    command += ["--plugins", ",".join((*CELLS, *runnable(found))), "--layers", "1-3", "--implementation", "all"]
    command += ["--train-tokens", "4k", "--hiddens", "24", "--steps", "8", "--batch-size", "16", "--epochs", "1"]
    command += ["--optimizer", "sgd", "--parity-steps", "20", "--out", str(folder / "run")]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=1500, check=False)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
    with (folder / "run" / "trials.csv").open(encoding="utf-8") as file:
        return folder / "run", list(csv.DictReader(file))


def test_every_backend_is_certified_over_twenty_steps_of_every_cell_and_depth(one_run, found, record_property):
    _, rows = one_run
    pairs = {(row["backend"], row["cell"], row["num_layers"]) for row in rows}
    assert len(pairs) == len(runnable(found)) * len(CELLS) * 3
    for row in rows:
        assert row["parity_certified"] == "True", row["trial_id"]
        assert float(row["parity_max_rel_diff"]) <= 1e-4, row["trial_id"]
    for name in runnable(found):
        record_property("backend", f"{name} (real trials, certified)")


def test_every_backend_reaches_the_same_perplexity(one_run):
    _, rows = one_run
    by_model = {}
    for row in rows:
        by_model.setdefault((row["cell"], row["num_layers"]), []).append(float(row["valid_perplexity"]))
    for model, perplexities in by_model.items():
        assert max(perplexities) == pytest.approx(min(perplexities), rel=1e-4), model


def test_a_trial_records_the_environment_it_ran_in(one_run, found):
    folder, rows = one_run
    environments = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["environments"]
    assert set(environments) == set(runnable(found))
    for name, environment in environments.items():
        assert any(entry.startswith(("numpy==", "numpy-")) for entry in environment["distributions"]), name
    assert {row["environment_hash"] for row in rows} == {entry["digest"] for entry in environments.values()}
