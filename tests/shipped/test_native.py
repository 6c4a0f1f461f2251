"""The compiled kernels: their products, their layers, and what happens where they can't be compiled."""

import csv
import math
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from harness.contracts.network import Architecture
from harness.testing import ImplementationContract
from harness.testing.implementations import assert_finite_differences
from harness.testing.models import SMALL, TRAINING, loaded, reference_model
from harness.worker.targets import resolve
from harness_native import compiling
from harness_native import optimizers as native_optimizers
from harness_native.kernels import Kernels, Workspace
from harness_native.objective import NativeObjective
from harness_native.plugin import harness_implementations
from harness_numpy import optimizers
from harness_numpy.backend import NumpyBackend
from harness_numpy.model import objective

CELLS = ("rnn", "gru", "lstm")
DTYPES = ("float32", "float64")

try:
    compiling.library("float")
except compiling.NoCompilerError as error:
    pytest.skip(f"the kernels can't be compiled here: {error}", allow_module_level=True)


def build(cell, backend, *model):
    return resolve(f"harness_native.model:build_{cell}")(backend, *model)


class TestNative(ImplementationContract):
    backend = "harness_numpy.backend:NumpyBackend"
    target = "harness_native.model:build_{cell}"
    cells = CELLS

    def test_gradients_are_the_finite_differences(self, equations):
        assert_finite_differences(loaded(self.build, equations, SMALL))


@pytest.mark.parametrize("cell", CELLS)
def test_the_backend_says_that_its_kernels_are_compiled(cell):
    backend = NumpyBackend("cpu", 1)
    build(cell, backend, resolve(f"harness_{cell}.cell"), SMALL, TRAINING)
    assert backend.versions()["kernels"] == "compiled"


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    ("num_hiddens", "batch_size"),
    [
        (1, 1),
        (5, 3),
        (16, 8),
        (33, 13),
        *(pytest.param(*size, marks=pytest.mark.slow) for size in ((100, 20), (129, 32))),
    ],
)
def test_sizes_that_fill_no_whole_vector_or_tile_compute_the_same(cell, num_hiddens, batch_size):
    equations = resolve(f"harness_{cell}.cell")
    architecture = Architecture(vocab_size=11, num_layers=2, num_hiddens=num_hiddens, dtype="float32")
    native = loaded(lambda *parts: build(cell, NumpyBackend("cpu", 1), *parts), equations, architecture)
    reference = loaded(reference_model, equations, replace(architecture, dtype="float64"))
    X, Y = np.random.default_rng(0).integers(0, 11, (2, 9, batch_size))
    for _ in range(2):  # the second minibatch finds the first one's buffers
        loss, gradients = native.gradients(X, Y, native.initial_state(batch_size))
        expected_loss, expected = reference.gradients(X, Y, reference.initial_state(batch_size))
        assert loss == pytest.approx(expected_loss, rel=1e-5)
        for name, gradient in expected.items():
            assert np.max(np.abs(gradients[name] - gradient)) <= 1e-5 * max(1e-2, np.max(np.abs(gradient))), name


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 7), (8, 16, 48), (9, 300, 50), (32, 129, 100), (14, 257, 49)])
def test_products_with_packed_weights_are_products(dtype, shape):
    m, k, n = shape
    generator = np.random.default_rng(0)
    A = generator.normal(size=(m, k)).astype(dtype)
    B = generator.normal(size=(k, n)).astype(dtype)
    kernels = Kernels(np.dtype(dtype))
    for weights in (B, np.asfortranarray(B)):
        C = np.full((m, n), np.nan, dtype)
        kernels.call("product", m, k, n, A, kernels.pack(weights, Workspace(np.dtype(dtype))), C)
        assert np.allclose(C, A @ B, rtol=1e-4 if dtype == "float32" else 1e-12, atol=1e-4 if dtype == "float32" else 0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_kernels_tanh_is_tanh_at_every_size_of_argument(dtype):
    x = np.concatenate([[0.0], np.logspace(-30, 2, 999)]).astype(dtype)
    x = np.concatenate([x, -x])
    H = np.zeros((2, 1, len(x)), dtype)
    kernels = Kernels(np.dtype(dtype))
    zero = np.zeros((len(x), len(x)), dtype)
    packed = kernels.pack(zero, Workspace(np.dtype(dtype)))
    kernels.call("rnn_forward", 1, 1, len(x), x, None, packed, zero[0], H)
    expected = np.tanh(x)
    assert np.all(np.abs(H[1, 0] - expected) <= 4 * np.finfo(dtype).eps * np.abs(expected))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("vocab_size", [2, 5, 28, 97])
def test_the_compiled_objective_is_numpys(dtype, vocab_size):
    generator = np.random.default_rng(0)
    logits = (10 * generator.normal(size=(7, 3, vocab_size))).astype(dtype)
    logits[0, 0] = 0  # a tie counts against the model
    Y = generator.integers(0, vocab_size, (7, 3))
    tolerance = 1e-6 if dtype == "float32" else 1e-13
    expected = objective(logits.copy(), Y, with_gradient=True)
    without = NativeObjective(np.dtype(dtype))(logits.copy(), Y, with_gradient=False)
    ours = NativeObjective(np.dtype(dtype))(logits, Y, with_gradient=True)
    assert without.d_logits is None
    assert without.figures == ours.figures == pytest.approx(expected.figures, rel=tolerance)
    assert without.row_losses == ours.row_losses == pytest.approx(expected.row_losses, rel=tolerance)
    assert np.max(np.abs(ours.d_logits - expected.d_logits)) <= 4 * np.finfo(dtype).eps


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_the_compiled_updates_are_numpys(optimizer):
    training = replace(TRAINING, optimizer=optimizer, learning_rate=0.1, rmsprop_decay=0.9)
    generator = np.random.default_rng(0)
    ours = generator.normal(size=37)
    theirs = ours.copy()
    native, plain = native_optimizers.create(training, ours), optimizers.create(training, theirs)
    for gradient in generator.normal(size=(5, 37)):
        native.update(ours, gradient.copy(), 0.3)
        plain.update(theirs, gradient.copy(), 0.3)
    assert np.max(np.abs(ours - theirs)) < 1e-14
    assert native.step == plain.step


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_the_compiled_updates_round_no_constant_of_theirs(optimizer):
    # In float32 1 - 0.999 is wrong by 5e-5 of itself, and with it the first steps of Adam by half as much.
    training = replace(TRAINING, optimizer=optimizer, learning_rate=0.1, rmsprop_decay=0.999)
    gradient = np.random.default_rng(0).normal(size=37)
    steps = []
    for dtype in ("float32", "float64"):
        parameters = np.zeros(37, dtype)
        native_optimizers.create(training, parameters).update(parameters, gradient.astype(dtype), 1.0)
        steps.append(parameters)
    assert np.max(np.abs(steps[0] / steps[1] - 1)) < 1e-6


@pytest.mark.parametrize("cell", CELLS)
def test_a_weight_that_is_not_a_number_gives_a_loss_that_is_none(cell):
    model = loaded(lambda *parts: build(cell, NumpyBackend("cpu", 1), *parts), resolve(f"harness_{cell}.cell"), SMALL)
    weights = model.weights()
    weights["layers.0.W_h"][0, 0] = math.nan
    model.load(weights)
    X = np.zeros((5, 2), np.int64)
    assert math.isnan(model.read([model.evaluate_step(X, X, model.initial_state(2))[0]])[0, 0])


def test_without_a_compiler_the_numpy_layers_run_and_the_versions_say_so(monkeypatch, capsys):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    compiling.library.cache_clear()
    backend = NumpyBackend("cpu", 1)
    equations = resolve("harness_gru.cell")
    model = loaded(lambda *parts: build("gru", backend, *parts), equations, SMALL)
    compiling.library.cache_clear()
    assert "there is no C compiler" in backend.versions()["kernels"]
    assert "the NumPy layers take the kernels' place" in capsys.readouterr().err
    X = np.zeros((5, 2), np.int64)
    loss, _ = model.gradients(X, X, model.initial_state(2))
    reference = loaded(reference_model, equations, SMALL)
    assert loss == pytest.approx(reference.gradients(X, X, reference.initial_state(2))[0])
    assert harness_implementations() == []


def test_a_compiler_that_fails_is_quoted(tmp_path, monkeypatch):
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\necho 'no space for you' >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    compiling.library.cache_clear()
    with pytest.raises(compiling.NoCompilerError, match="no space for you"):
        compiling.library("float")
    compiling.library.cache_clear()


@pytest.mark.slow
def test_of_processes_that_start_at_once_one_compiles_and_all_get_the_kernels(tmp_path):
    compiler = tmp_path / "cc"
    compiler.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/called\nexec {compiling.find_compiler()} "$@" -O0\n')
    compiler.chmod(0o755)
    environment = {**os.environ, "HARNESS_CACHE_DIR": str(tmp_path), "CC": str(compiler)}
    command = [sys.executable, "-c", "from harness_native.compiling import library; library('float'); print('well')"]
    started = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=60)[0] for process in started] == ["well\n", "well\n"]
    assert [path.suffix for path in (tmp_path / "kernels").iterdir()] == [".so"]
    assert (tmp_path / "called").read_text().count("-shared") == 1


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """An empty cache, and a compiler that takes a moment."""
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    compiler = tmp_path / "cc"
    compiler.write_text(f'#!/bin/sh\nexec {compiling.find_compiler()} "$@" -O0\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    yield tmp_path / "cache" / "kernels"
    compiling.library.cache_clear()


def compiled_anew():
    compiling.library.cache_clear()
    return compiling.library("float")


@pytest.mark.slow
def test_a_library_that_is_not_what_was_compiled_is_compiled_anew(own_cache):
    compiled_anew()
    (first,) = own_cache.iterdir()
    whole = first.read_bytes()
    for damaged in (b"garbage", whole[:-1], whole[:5000] + b"?" + whole[5001:]):
        first.unlink()  # what is mapped by this process must not change beneath it
        first.write_bytes(damaged)
        compiled_anew()
        (again,) = own_cache.iterdir()
        assert again.read_bytes() != damaged


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder another user's")
@pytest.mark.parametrize("which", ["cache", "kernels", "library"])
def test_what_another_user_left_is_not_loaded(own_cache, which):
    compiled_anew()
    (library,) = own_cache.iterdir()
    loaded = library.stat().st_ino
    os.chown({"cache": own_cache.parent, "kernels": own_cache, "library": library}[which], 65534, 65534)
    used = compiling.Path(compiled_anew()._name)
    assert used.stat().st_ino != loaded
    assert used.stat().st_uid == os.geteuid()
    assert used.is_relative_to(own_cache) == (which == "library")
    assert which == "library" or used.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "is_used"), [(0o700, True), (0o1777, True), (0o777, False), (0o775, False)])
def test_others_are_kept_out_of_the_folder(own_cache, mode, is_used):
    own_cache.mkdir(parents=True)
    own_cache.chmod(0o777)
    own_cache.parent.chmod(mode)
    library = compiling.Path(compiled_anew()._name)
    assert (library.parent == own_cache) == is_used
    assert not any(path.stat().st_mode & 0o022 for path in (library.parent, library))
    assert own_cache.parent.stat().st_mode & 0o7777 == mode  # it may be /tmp


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("wrong", [-1, SMALL.vocab_size, 1 << 40])
def test_an_id_that_no_row_of_the_table_has_is_an_error(cell, wrong):
    model = loaded(lambda *parts: build(cell, NumpyBackend("cpu", 1), *parts), resolve(f"harness_{cell}.cell"), SMALL)
    right, ids = np.zeros((2, 5, 3), np.int64)
    ids[3, 1] = wrong
    for X, Y in ((ids, right), (right, ids)):
        for step in (model.evaluate_step, model.gradients):
            with pytest.raises(IndexError, match=f"id is {wrong}, of a table of {SMALL.vocab_size} rows"):
                step(X, Y, model.initial_state(3))


@pytest.mark.slow
def test_a_row_names_what_ran_as_native(here, harness, small, tmp_path):
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\necho 'no space for you' >&2\nexit 1\n")
    compiler.chmod(0o755)
    command = (*small, "--plugins", "gru,numpy", "--implementation", "all", "--out", "out")
    harness(*command, CC=str(compiler))
    with (here / "out" / "trials.csv").open(newline="") as lines:
        ran = {row["implementation"]: row["kernels"] for row in csv.DictReader(lines)}
    assert ran == {"native": f"NumPy: {compiler} failed: no space for you", "fused": "", "scratch": ""}
