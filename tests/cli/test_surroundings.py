"""What surrounds the command: its output, its home, its files' owners; each that is wrong is one sentence."""

import os
import pty
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Harness = Callable[..., subprocess.CompletedProcess[str]]
SMALL = ("run", "--plugins", "rnn,numpy", "--hiddens", "8", "--steps", "5", "--batch-size", "4", "--epochs", "1")
COMMAND = Path(sysconfig.get_path("scripts"), "harness")
FULL = Path("/dev/full")


def of_process(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    usual = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 120}
    return subprocess.run([str(each) for each in arguments], text=True, check=False, **{**usual, **options})


@pytest.mark.slow
@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_an_output_that_is_full_is_one_sentence(here: Path, finished_run: Any) -> None:
    trial_id = finished_run.trial("rnn")["trial_id"]
    sample = ("sample", finished_run.folder, trial_id, "--num", "3")
    compare = ("compare", finished_run.folder, shutil.copytree(finished_run.folder, here / "again"))
    plan = (*SMALL, "--corpus", "text.txt", "--dry-run")
    commands = (("--help",), ("run", "--help"), ("plugins",), ("presets", "list"), ("corpora", "list"), ("env", "list"))
    for arguments in (*commands, sample, compare, plan):
        with FULL.open("w") as full:
            done = of_process(COMMAND, *arguments, stdout=full)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), (arguments, done.stderr)
        assert "The output cannot be written (No space left on device)" in done.stderr


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_where_no_complaint_can_be_written_the_exit_code_says_it(here: Path) -> None:
    with FULL.open("w") as full:
        assert of_process(COMMAND, "run", "--layers", "x", stderr=full).returncode == 2


@pytest.mark.slow
def test_a_run_and_its_report_do_not_end_with_their_reader(here: Path) -> None:
    with FULL.open("w") as full:
        done = of_process(COMMAND, *SMALL, "--corpus", "text.txt", "--out", "out", stdout=full)
        assert (done.returncode, done.stderr) == (0, "")
        done = of_process(COMMAND, "report", "out", stdout=full)
        assert (done.returncode, done.stderr) == (0, "")
    assert (here / "out" / "index.html").exists()


@pytest.mark.slow
def test_a_closed_output_is_no_output(here: Path, finished_run: Any) -> None:
    for arguments in (("plugins",), ("corpora", "list"), ("env", "list"), ("report", finished_run.folder)):
        done = of_process("sh", "-c", 'exec "$0" "$@" >&-', COMMAND, *arguments)
        assert (done.returncode, done.stderr) == (0, ""), arguments


@pytest.mark.slow
def test_forced_colours_draw_no_live_view_into_a_file(here: Path) -> None:
    done = of_process(COMMAND, *SMALL, "--corpus", "text.txt", "--out", "out", env={**os.environ, "FORCE_COLOR": "1"})
    assert done.returncode == 0
    assert "\x1b" not in done.stdout


@pytest.mark.slow
def test_the_package_is_the_command(here: Path) -> None:
    done = of_process(sys.executable, "-m", "harness", "presets", "list")
    assert (done.returncode, done.stdout) == (0, of_process(COMMAND, "presets", "list").stdout)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root can be another user")
def test_without_a_home_the_sentence_says_what_to_name(here: Path) -> None:
    environment = {"PATH": os.environ["PATH"]}
    # Unlike Python's own way, this leaves the right to read an interpreter in root's home.
    nobody = ("setpriv", "--reuid=54321", "--clear-groups")
    done = of_process(*nobody, COMMAND, "plugins", env=environment, cwd="/")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "There is no home folder here to keep the cache in: name a whole path in HARNESS_CACHE_DIR" in done.stderr


@pytest.mark.parametrize("suffix", [".json", ".toml"])
@pytest.mark.parametrize("content", ["[" * 100_000, "x = " + "[" * 100_000])
def test_brackets_without_end_are_one_sentence(here: Path, harness: Harness, suffix: str, content: str) -> None:
    (here / f"deep{suffix}").write_text(content)
    done = harness("run", f"deep{suffix}")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"The experiment deep{suffix} cannot be read" in done.stderr


@pytest.mark.parametrize("name", ["corpora.json", "tokens/x.json"])
def test_brackets_without_end_in_the_cache_are_one_sentence_or_made_anew(
    here: Path, harness: Harness, name: str
) -> None:
    path = here / "cache" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("[" * 100_000)
    done = harness("corpora", "list")
    assert done.returncode in (0, 2)  # and no traceback, which would be raised here
    assert done.stderr.count("\n") <= 1


def test_a_text_beyond_the_memory_is_refused_before_it_is_read(here: Path, harness: Harness) -> None:
    with (here / "sparse.txt").open("wb") as file:
        file.truncate(1 << 42)
    (here / "folder").mkdir()
    (here / "folder" / "sparse.txt").symlink_to(here / "sparse.txt")
    (here / "sparse.toml").symlink_to(here / "sparse.txt")
    for arguments in ((*SMALL, "--corpus", "sparse.txt"), ("corpora", "add", "sparse.txt", "--name", "sparse")):
        done = harness(*arguments)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert "sparse.txt has 4,398.0 GB of text" in done.stderr
    assert "has more than" in harness("run", "sparse.toml").stderr


@pytest.fixture
def outside(here: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment in the current folder that names a text elsewhere."""
    text = tmp_path_factory.mktemp("elsewhere") / "diary.txt"
    text.write_text((here / "text.txt").read_text())
    (here / "experiment.toml").write_text(f"[run]\ncorpus = ['{text}']\nhiddens = 8\nsteps = 5\nbatch-size = 4\n")
    return text


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 2), ("", 2)])
def test_in_a_terminal_an_experiment_asks_before_it_reads_a_text_elsewhere(
    here: Path, outside: Path, answer: str, code: int
) -> None:
    ours, theirs = pty.openpty()
    try:
        os.write(ours, f"{answer}\n".encode())
        plan = ("run", "experiment.toml", "--plugins", "rnn,numpy", "--dry-run")
        done = of_process(COMMAND, *plan, stdin=theirs)
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == code
    assert f"names texts outside the current folder: {outside}. Read them? [y/N]" in done.stderr
    assert ("add --trust" in done.stderr) == (code == 2)
    assert (here / "cache" / "tokens").exists() == (code == 0)


def test_an_experiment_reads_no_text_elsewhere_unasked(here: Path, harness: Harness, outside: Path) -> None:
    plan = ("run", "experiment.toml", "--plugins", "rnn,numpy", "--dry-run")
    asked = harness(*plan)
    assert (asked.returncode, asked.stderr.count("\n")) == (2, 1)
    assert f"names texts outside the current folder: {outside}." in asked.stderr
    assert "--trust" in asked.stderr
    assert not (here / "cache" / "tokens").exists()
    assert harness(*plan, "--trust").returncode == 0
    assert harness(*plan, "--corpus", outside).returncode == 0
    (here / "home.toml").write_text(f"[run]\ncorpus = ['~/{outside.name}']\n")
    at_home = harness("run", "home.toml", "--plugins", "rnn,numpy", "--dry-run", HOME=str(outside.parent))
    assert f"outside the current folder: {outside}." in at_home.stderr
    (here / "long.toml").write_text(f"[run]\ncorpus = ['{'a' * 5000}']\n")
    too_long = harness("run", "long.toml", "--plugins", "rnn,numpy", "--dry-run")
    assert (too_long.returncode, too_long.stderr.count("\n")) == (2, 1)
    (here / "link.txt").symlink_to(outside)
    (here / "experiment.toml").write_text((here / "experiment.toml").read_text().replace(str(outside), "link.txt"))
    assert f"outside the current folder: {outside}." in harness(*plan).stderr
    (here / "link.txt").unlink()
    (here / "link.txt").write_text(outside.read_text())
    assert harness(*plan).returncode == 0


@pytest.mark.slow
def test_the_cache_is_its_owner_s_and_a_run_s_folder_follows_the_umask(here: Path) -> None:
    environment = {**os.environ, "HARNESS_CACHE_DIR": str(here / "new" / "cache")}
    done = of_process(COMMAND, *SMALL, "--corpus", "text.txt", "--out", "out", env=environment, umask=0o002)
    assert done.returncode == 0
    assert (here / "new" / "cache").stat().st_mode & 0o777 == 0o700
    assert (here / "new").stat().st_mode & 0o777 == 0o775
    for path in (here / "out", *(here / "out").rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o775 if path.is_dir() else 0o664), path
