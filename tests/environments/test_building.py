"""Building, using, breaking and removing real environments."""

import csv
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

pytestmark = pytest.mark.long

TINY = ("--train-tokens", "5k", "--epochs", "1", "--hiddens", "8", "--steps", "5", "--batch-size", "4")


@pytest.fixture(scope="module")
def built(harness):
    """Build the environment once; it holds another NumPy than the harness's own."""
    since = time.monotonic()
    result = harness("env", "create", "old-numpy")
    assert result.returncode == 0, result.stderr + result.stdout
    print(f"built in {time.monotonic() - since:.0f} s")
    return result


def place(cache, name="old-numpy"):
    (path,) = (path for path in cache.glob(f"environments/{name}-*") if path.is_dir())
    return path


def test_the_installers_progress_is_shown(built):
    assert "Building the old-numpy environment with" in built.stdout
    assert "numpy" in built.stdout


def test_a_run_trains_in_the_environment_and_records_what_it_holds(built, harness):
    result = harness("run", "--plugins", "lstm,old-numpy,numpy", *TINY, "--out", "run")
    assert result.returncode == 0, result.stdout + result.stderr
    with (harness.folder / "run" / "trials.csv").open() as file:
        rows = {row["backend"]: row for row in csv.DictReader(file)}
    assert rows["old-numpy"]["parity_certified"] == "True"
    assert float(rows["old-numpy"]["valid_perplexity"]) == pytest.approx(
        float(rows["numpy"]["valid_perplexity"]), rel=1e-5
    )
    manifest = json.loads((harness.folder / "run" / "manifest.json").read_text())
    assert "numpy==1.26.4" in manifest["environments"]["old-numpy"]["distributions"]
    assert manifest["environments"]["old-numpy"]["digest"] != manifest["environments"]["numpy"]["digest"]


def test_a_second_create_finds_it_well_and_builds_nothing(built, harness, cache):
    before = (place(cache) / "harness-state.json").stat().st_mtime_ns
    result = harness("env", "create", "old-numpy")
    assert "is there and well" in result.stdout
    assert (place(cache) / "harness-state.json").stat().st_mtime_ns == before


def test_the_check_computes(built, harness):
    result = harness("env", "check", "old-numpy")
    assert (result.returncode, result.stdout) == (0, "old-numpy: well\n")


def test_a_half_built_environment_is_noticed_and_built_again(built, harness, cache):
    (place(cache) / "harness-state.json").unlink()
    result = harness("run", "--plugins", "rnn,old-numpy", *TINY)
    assert result.returncode == 2
    assert "is not whole: harness env create old-numpy" in result.stderr
    assert harness("env", "create", "old-numpy").returncode == 0
    assert harness("env", "check", "old-numpy").returncode == 0


def test_a_broken_environment_is_noticed_and_built_again(built, harness, cache):
    (package,) = place(cache).glob("lib/python*/site-packages/autograd/__init__.py")
    package.write_text("raise RuntimeError('broken by hand')")
    result = harness("env", "check", "old-numpy")
    assert result.returncode == 1
    assert "broken by hand" in result.stdout
    assert harness("env", "create", "old-numpy").returncode == 0
    assert harness("env", "check", "old-numpy").returncode == 0


def test_an_environment_that_is_not_whole_skips_its_trials_and_says_so(built, harness, cache):
    state = place(cache) / "harness-state.json"
    state.rename(state.with_suffix(".away"))
    try:
        result = harness("run", "--plugins", "rnn,old-numpy,numpy", *TINY, "--out", "skips")
    finally:
        state.with_suffix(".away").rename(state)
    assert result.returncode == 1
    assert "harness env create old-numpy" in result.stdout
    assert " ok rnn-1-numpy" in result.stdout


def test_a_folder_deleted_in_mid_run_fails_its_trials_and_the_others_go_on(built, harness, cache):
    python = place(cache) / "bin" / "python"
    arguments = ("run", "--plugins", "rnn,old-numpy,numpy", "--layers", "1-2", *TINY, "--jobs", "1", "--out", "gone")
    with harness.started(*arguments) as process:
        try:
            said = next(line for line in process.stdout if " ok " in line)
            python.rename(python.with_name("gone"))
            said += process.stdout.read()
        finally:
            if python.with_name("gone").exists():
                python.with_name("gone").rename(python)
    assert process.wait() == 1
    assert "failed" in said
    assert "harness env create old-numpy" in said
    assert "Traceback" not in said
    assert said.count(" ok ") == 3


def test_a_framework_that_computes_wrongly_is_never_declared_whole(harness, cache):
    result = harness("env", "create", "wrong")
    assert result.returncode == 2
    assert "computes wrongly: a small RNN differs from its formula" in result.stderr
    assert not [path for path in cache.glob("environments/wrong-*") if path.is_dir()]


def test_requirements_that_cannot_be_resolved_leave_nothing_behind(harness, cache):
    result = harness("env", "create", "no-such")
    assert result.returncode == 2
    assert "numpy==0.0.1" in result.stderr
    assert "nothing was left behind" in result.stderr
    assert not [path for path in cache.glob("environments/no-such-*") if path.is_dir()]


def test_two_creates_at_once_build_it_once(harness, cache, built):
    harness("env", "remove", "old-numpy")
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda _: harness("env", "create", "old-numpy"), range(2)))
    assert [result.returncode for result in results] == [0, 0]
    said = sorted("is there and well" in result.stdout for result in results)
    assert said == [False, True]
    assert any("waiting for it" in result.stdout for result in results)


def test_remove_deletes_it(built, harness, cache):
    assert "removed" in harness("env", "remove", "old-numpy").stdout
    assert not [path for path in cache.glob("environments/old-numpy-*") if path.is_dir()]
    assert "there was none" in harness("env", "remove", "old-numpy").stdout
