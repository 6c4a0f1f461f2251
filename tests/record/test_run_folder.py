import json
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.contracts.files import staging_of, sweep
from harness.errors import RunFolderError
from harness.record.folder import RunFolder

Train = Callable[..., Any]
Harness = Callable[..., subprocess.CompletedProcess[str]]


def test_a_folder_is_held_by_one_harness_at_a_time(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run").opened():
        with (
            pytest.raises(RunFolderError, match=r"Another harness is running in .*run: wait for it, or .* --out"),
            RunFolder(tmp_path / "run").opened(),
        ):
            pass
        with RunFolder(tmp_path / "other").opened():
            pass
    with RunFolder(tmp_path / "run").opened():
        pass


@pytest.mark.parametrize("place", ["file/run", "file", "/proc/run", "x" * 300])
def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("I am no folder")
    with (
        pytest.raises(
            RunFolderError, match=r"The run folder .* cannot be written \(.*\): name another folder with --out"
        ),
        RunFolder(tmp_path / place).opened(),
    ):
        pass


def test_a_refused_ledger_leaves_the_folder_without_a_run_s_files(train: Train, here: Path) -> None:
    (here / "out").mkdir()
    (here / "out" / "run.sqlite").write_text("not a ledger")
    with pytest.raises(RunFolderError):
        train("rnn,numpy")
    assert {path.name for path in (here / "out").iterdir()} <= {"run.sqlite", ".lock"}


def test_a_log_that_cannot_be_written_ends_the_run_with_one_sentence(
    prepare: Callable[..., Any], execute: Callable[..., Any]
) -> None:
    prepared = prepare("rnn,numpy")
    (trial,) = prepared.plan.runnable
    prepared.folder.log(trial.trial_id).mkdir(parents=True)
    with pytest.raises(RunFolderError, match=r"The folder out/logs cannot be written \(Is a directory\): make it"):
        execute(prepared)


@pytest.mark.slow
def test_the_manifest_says_what_ran_on_what(finished_run: Any) -> None:
    trained = finished_run
    manifest = json.loads((trained.folder / "manifest.json").read_text())
    assert manifest["command"] == ["harness", "run"]
    assert manifest["seeds"] == [0]
    assert manifest["plan"] == {"digest": trained.prepared.plan.digest, "trials": 2, "runnable": 2}
    assert manifest["packages"]["numpy"]
    assert manifest["hardware"]["processor"]
    assert manifest["hardware"]["memory_bytes"] > 0
    (corpus,) = manifest["corpora"]
    assert Path(corpus["name"]).name == "text.txt"
    assert corpus["digest"] == trained.prepared.corpora[0].digest
    assert "cache" not in json.dumps(corpus), "the cache's paths say nothing elsewhere"


@pytest.mark.slow
def test_what_a_killed_worker_left_half_written_is_swept_up(train: Train, here: Path) -> None:
    """In the run and in the cache, but not what a living process is at."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    folders = [here / "out", *(here / "out" / name for name in ("logs", "checkpoints"))]
    folders += [here / "cache" / name for name in ("tokens/0c0ffee0", "references", "checks", "kernels")]
    dead, living = [], []
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        staging = staging_of(folder / "file.npy")
        living.append(staging)
        dead.append(staging.with_name(staging.name.replace(str(os.getpid()), str(ended.pid))))
    for path in (*dead, *living):
        path.write_bytes(b"half")
    train("rnn,numpy")
    assert not [path for path in dead if path.exists()]
    assert not [path for path in living if not path.exists()]
    for path in living:
        path.unlink()


def test_what_another_machine_is_writing_is_swept_up_when_it_is_a_day_old(tmp_path: Path) -> None:
    path = tmp_path / f".file.elsewhere-{os.getpid()}.part"
    path.touch()
    sweep(tmp_path)
    assert path.exists()
    os.utime(path, (0, 0))
    sweep(tmp_path)
    assert not path.exists()


def test_latest_points_to_the_newest_run(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        RunFolder(tmp_path / name).point_latest_here()
        assert (tmp_path / "latest").resolve() == tmp_path / name
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "latest", "second"]


def test_a_real_folder_called_latest_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "latest").mkdir()
    (tmp_path / "latest" / "mine").touch()
    RunFolder(tmp_path / "run").point_latest_here()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "run"]
    assert (tmp_path / "latest" / "mine").exists()


def test_a_checkpoint_holds_no_pickle(finished_run: Any) -> None:
    path, _ = (finished_run.folder / "checkpoints").iterdir()
    header = int.from_bytes(path.read_bytes()[:8], "little")
    assert json.loads(path.read_bytes()[8 : 8 + header])["__metadata__"]["epoch"] == "2"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 300 KB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small disk")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", disk], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.slow
def test_a_full_disk_is_one_sentence_and_loses_no_epoch_and_the_same_command_goes_on(
    small_disk: Path,
    harness_process: Harness,
    small: tuple[str, ...],
    losses: Callable[[Path], dict[Any, Any]],
    train: Train,
) -> None:
    command = (*small, "--plugins", "rnn,numpy", "--epochs", 150, "--out", "disk/run", "--parity-steps", 0)
    stopped = harness_process(*command)
    assert stopped.returncode == 2
    assert stopped.stderr.startswith("Error: The ")
    assert "disk/run" in stopped.stderr
    assert "free some space there and give the same command again" in stopped.stderr
    assert stopped.stderr.count("\n") == 1
    kept = losses(small_disk / "run")
    assert kept
    subprocess.run(["mount", "-o", "remount,size=50M", small_disk], check=True)
    assert harness_process(*command).returncode == 0
    done = losses(small_disk / "run")
    assert len(done) == 150
    assert kept.items() <= done.items()
    assert done == losses(train("rnn,numpy", epochs=150).folder)


@pytest.mark.slow
def test_a_file_that_cannot_grow_is_told_in_one_sentence(
    start: Callable[..., subprocess.Popen[str]], small: tuple[str, ...]
) -> None:
    def limit_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))

    process = start(*small, "--plugins", "rnn,numpy", "--epochs", 150, "--out", "out", preexec_fn=limit_files)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert said.startswith("Error: The ledger out/run.sqlite cannot be written (")
    assert said.count("\n") == 1
