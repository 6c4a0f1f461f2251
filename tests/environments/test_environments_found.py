"""What a run says of an environment that is not there; nothing is ever installed by it."""

from pathlib import Path

import pytest
from built_in import built_in

from harness.contracts.executors import Gpu
from harness.environments import store

PLUGINS = Path(__file__).parent / "plugins"


@pytest.fixture
def harness(tmp_path, monkeypatch, in_process):
    """Run the command in this process, in an empty folder with an empty cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    return lambda *arguments: in_process(*arguments, "--plugins-dir", PLUGINS)


def test_a_run_says_which_command_builds_what_it_needs_and_builds_nothing(harness, tmp_path):
    result = harness("run", "--plugins", "rnn,old-numpy")
    assert result.returncode == 2
    assert "needs numpy==1.26.4, in an environment of its own: harness env create old-numpy" in result.stderr
    assert not list(tmp_path.glob("cache/environments/old-numpy*"))


@pytest.mark.slow
def test_the_list_names_each_backends_interpreter_or_the_command_that_makes_one(harness):
    lines = harness("env", "list").stdout.splitlines()
    numpy = next(line for line in lines if line.startswith("numpy "))
    missing = next(line for line in lines if line.startswith("old-numpy "))
    assert "the harness's own" in numpy
    assert "harness env create old-numpy" in missing


@pytest.mark.parametrize("verb", ["create", "check", "remove"])
def test_an_unknown_backend_gets_did_you_mean(harness, verb):
    result = harness("env", verb, "old-numpi")
    assert result.returncode == 2
    assert "Did you mean 'old-numpy'" in result.stderr


def test_a_python_that_is_not_there_is_one_sentence(harness):
    result = harness("env", "create", "ancient")
    assert result.returncode == 2
    assert "needs Python ==2.7.*" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_list_goes_on_past_a_backend_no_python_fits(harness):
    result = harness("env", "list")
    assert result.returncode == 0
    assert "needs Python ==2.7.*" in result.stdout


def test_a_machine_with_gpus_gets_the_frameworks_build_for_them_in_an_environment_of_its_own(monkeypatch):
    backend = built_in().backend("jax")
    plain = store.environment_of(backend, "3.11"), store.requirements_of(backend)
    monkeypatch.setattr(store, "driver_gpus", lambda: (Gpu(index=0, name="Pretended", memory_bytes=1 << 34),))
    assert store.requirements_of(backend)[0].startswith("jax[cuda12]")
    assert plain[1][0].startswith("jax>=")
    assert store.environment_of(backend, "3.11").path != plain[0].path
