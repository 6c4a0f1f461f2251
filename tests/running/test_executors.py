import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.contracts.executors import EVENTS_FD, LIFELINE_FD
from harness.environments.variables import worker_environment
from harness.errors import WorkerError
from harness.running import workers
from harness.running.attempts import log_tail
from harness.testing.executor_tasks import open_target, run_task_on, task_of
from harness_local import executor as local

Train = Callable[..., Any]


def environment(passed: tuple[str, ...] = (), own: dict[str, str] | None = None, **inherited: str) -> dict[str, str]:
    return worker_environment(2, own or {}, passed, inherited)


def test_only_the_variables_on_the_list_reach_a_worker() -> None:
    let_in = {"PATH": "/bin", "HOME": "/root", "LC_ALL": "C", "XDG_CACHE_HOME": "/c", "CUDA_HOME": "/cuda"}
    kept_out = {"OPENBLAS_CORETYPE": "Haswell", "API_TOKEN": "secret", "PYTHONPATH": "/x", "LD_PRELOAD": "/x.so"}
    kept_out |= dict.fromkeys(("NVIDIA_API_KEY", "XDG_TOKEN", "LC_SECRET", "NVIDIA_TF32_OVERRIDE"), "1")
    seen = worker_environment(2, {}, (), let_in | kept_out)
    assert let_in.items() <= seen.items()
    assert not kept_out.keys() & seen.keys()


def test_a_backend_lets_its_own_variables_through() -> None:
    seen = environment(("XLA_FLAGS",), XLA_FLAGS="--fast", TF_FLAGS="--slow")
    assert seen["XLA_FLAGS"] == "--fast"
    assert "TF_FLAGS" not in seen


def test_every_library_gets_the_worker_s_threads_and_nothing_overrules_its_slot() -> None:
    seen = environment(("CUDA_VISIBLE_DEVICES",), {"CUDA_VISIBLE_DEVICES": "1"}, CUDA_VISIBLE_DEVICES="0,1,2")
    assert seen["CUDA_VISIBLE_DEVICES"] == "1"
    assert {seen[name] for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")} == {"2"}


@pytest.mark.slow
def test_a_real_worker_sees_what_its_backend_declared_and_nothing_else_of_ours(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENBLAS_CORETYPE", "SECRET_TOKEN", "DECLARED_VARIABLE", "PYTHONPATH"):
        monkeypatch.setenv(name, "set here")
    (row,) = train("rnn,telling", "telling").trials
    assert row["versions"]["DECLARED_VARIABLE"] == "set here"
    assert not {"OPENBLAS_CORETYPE", "SECRET_TOKEN", "PYTHONPATH"} & row["versions"].keys()
    assert not {EVENTS_FD, LIFELINE_FD} & row["versions"].keys(), "a plugin could speak in the worker's name"


REASONS = {
    "raise-error": ("failed", "RuntimeError: the fifth minibatch"),
    "raise-undecodable": ("failed", "OSError: no such file: \ufffd⟨U+0000⟩⟨U+001B⟩[31m"),
    "run-out-of-memory": ("failed", "MemoryError: try fewer --jobs, or smaller --hiddens, --batch-size or --steps"),
    "exit-at-once": ("failed", "the worker exited with code 3 before the trial was finished: see its log"),
    "exit-politely": ("failed", "the worker exited with code 1 before the trial was finished: see its log"),
    "exit-as-if-done": ("failed", "the worker exited with code 0 before the trial was finished: see its log"),
    "kill-itself": ("failed", "the worker was killed (SIGKILL), most likely for want of memory: try fewer --jobs"),
    "crash": ("failed", "the worker was ended by SIGSEGV: see its log"),
    "lose-track": ("diverged", "the loss became nan in epoch 2"),
    "write-rubbish": ("failed", r"the worker was ended: it sent a line that is not an event: b'\xff\xfe rubbish"),
    "write-odd-event": ("failed", "the worker was ended: it sent a line that is not an event"),
    "write-endlessly": ("failed", "the worker was ended: it sent a line of more than 16,777,216 bytes"),
    "crash-at-exit": ("ok", ""),
    "chatter": ("ok", ""),
}
LOG_TAILS = {
    "raise-error": "and so on",
    "raise-undecodable": "OSError: no such file: \\udcff",
    "run-out-of-memory": "MemoryError",
    "exit-at-once": "going",
    "exit-politely": "I have had enough",
    "crash": "in crash",
}


@pytest.mark.slow
def test_whatever_ends_a_worker_is_its_trial_s_status_and_the_others_go_on(train: Train) -> None:
    trained = train(f"rnn,numpy,{','.join(REASONS)}", "misbehaving")
    assert trained.trial("numpy")["status"] == "ok"
    for name, (status, reason) in REASONS.items():
        row = trained.trial(name)
        assert (row["status"], row["reason"][: len(reason)]) == (status, reason), name
        assert row["reason"].isprintable(), name
        assert len(row["reason"]) <= 300, name
        assert bool(row["reason"]) == (row["status"] != "ok"), name
        assert LOG_TAILS.get(name, "") in row.get("log_tail", ""), name
    assert trained.outcome.exit_code == 1


@pytest.mark.slow
def test_a_worker_that_chatters_fills_its_own_log_and_nothing_else(train: Train, here: Path) -> None:
    trained = train("rnn,chatter", "misbehaving")
    (row,) = trained.trials
    log = (trained.folder / "logs" / f"{row['trial_id']}.log").read_bytes()
    assert log.count(b"\n") == 1_000_001
    assert log.startswith(b"line 0\nline 1\n")
    assert log.endswith(b"not \xff\xfe UTF-8\n")


@pytest.mark.slow
def test_the_tail_of_a_long_log_is_its_last_lines(train: Train) -> None:
    trained = train("rnn,numpy")
    (row,) = trained.trials
    log = trained.prepared.folder.log(row["trial_id"])
    log.write_bytes(b"".join(b"line %d\n" % number for number in range(100_000)) + b"\xff the end\n")
    tail = log_tail(trained.prepared.folder, row["trial_id"]).splitlines()
    assert tail[-2:] == ["line 99999", "\ufffd the end"]
    assert len(tail) == 12


@pytest.mark.slow
def test_a_worker_that_hangs_is_ended_after_the_timeout(train: Train) -> None:
    since = time.monotonic()
    (row,) = train("rnn,hang", "misbehaving", limits={"timeout": 1.5}).trials
    assert (row["status"], row["reason"]) == ("timeout", "the worker was ended: it took more than 1.5 s (--timeout)")
    assert time.monotonic() - since < 1.5 + local.KILL_SECONDS


@pytest.mark.slow
def test_a_worker_that_is_silent_is_ended_after_the_stall_timeout(train: Train) -> None:
    (row,) = train("rnn,hang", "misbehaving", limits={"stall_timeout": 1.5}).trials
    assert (row["status"], row["reason"]) == (
        "timeout",
        "the worker was ended: it said nothing for 1.5 s (--stall-timeout)",
    )


@pytest.mark.slow
def test_a_worker_that_speaks_is_not_silent(train: Train) -> None:
    since = time.monotonic()
    (row,) = train("rnn,slow", "slow", epochs=12, limits={"stall_timeout": 2.0}).trials
    assert time.monotonic() - since > 2.0
    assert row["status"] == "ok"


@pytest.mark.slow
def test_a_worker_that_ignores_the_first_signal_is_killed(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "KILL_SECONDS", 1.0)
    since = time.monotonic()
    (row,) = train("rnn,hang-deafly", "misbehaving", limits={"timeout": 2.0}).trials
    assert row["status"] == "timeout"
    assert 3.0 <= time.monotonic() - since < 30
    assert not workers_of(os.getpid())


@pytest.mark.slow
def test_a_worker_that_hangs_at_exit_is_not_waited_for(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "EXIT_SECONDS", 0.5)
    (row,) = train("rnn,hang-at-exit", "misbehaving").trials
    assert row["status"] == "ok"
    assert not workers_of(os.getpid())


@pytest.mark.slow
def test_a_killed_worker_s_children_end_with_it(train: Train, here: Path) -> None:
    (row,) = train("rnn,leave-a-child", "misbehaving", limits={"stall_timeout": 60.0}).trials
    assert row["status"] == "failed"
    assert "SIGKILL" in row["reason"]
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            assert process.cwd() != str(here) or row["trial_id"] not in " ".join(process.cmdline())


@pytest.mark.slow
def test_a_backend_that_cannot_be_imported_fails_its_trials_alone(train: Train) -> None:
    trained = train("rnn,numpy,unlinked", "fails_in_worker")
    assert trained.trial("unlinked")["reason"] == "ImportError: libframework.so.7: cannot open shared object file"
    assert trained.trial("numpy")["status"] == "ok"


def test_a_worker_that_cannot_be_started_says_with_which_interpreter_and_leaves_nothing_open(tmp_path: Path) -> None:
    task = replace(task_of(tmp_path, "hang"), python=str(tmp_path / "no-python"))
    executor = open_target("harness_local.executor:LocalExecutor")
    before = psutil.Process().num_fds()
    with pytest.raises(WorkerError, match=r"could not be started with .*no-python: No such file"):
        asyncio.run(run_task_on(executor, task))
    assert psutil.Process().num_fds() == before


def workers_of(pid: int, trial: str = "") -> list[psutil.Process]:
    workers = []
    for child in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            command = " ".join(child.cmdline())
            workers += [child] if "harness.worker" in command and trial in command else []
    return workers


def wait_for(condition: Callable[[], Any], seconds: float = 30) -> Any:
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)
    return found


def computes_nothing(process: psutil.Process) -> bool:
    before = process.cpu_times()
    time.sleep(1)
    return before.user > 0.1 and process.cpu_times() == before


@pytest.mark.slow
@pytest.mark.parametrize("way", ["hang", "hang-in-compiled-code"])
def test_a_worker_ends_when_its_harness_is_killed(
    way: str, start: Callable[..., subprocess.Popen[str]], small: tuple[str, ...], plugin_folder: Callable[..., Path]
) -> None:
    if way != "hang" and sys.platform != "linux":
        pytest.skip("only Linux ends a worker that holds the GIL")
    plugins = ("--plugins", f"rnn,{way}", "--plugins-dir", plugin_folder("misbehaving"), "--parity-steps", 0)
    parent = start(*small, *plugins, "--out", "out")
    (worker,) = wait_for(lambda: workers_of(parent.pid, f"rnn-1-{way}"))
    wait_for(lambda: computes_nothing(worker))
    parent.send_signal(signal.SIGKILL)
    assert worker.wait(timeout=10) is not None or not worker.is_running()


@pytest.mark.slow
def test_a_run_imports_no_framework_and_the_tables_only_for_the_report(here: Path, small: tuple[str, ...]) -> None:
    (here / "probe.py").write_text(
        "import json, sys\n"
        "from harness import cli\n"
        "from harness.running import run\n"
        "execute, frameworks = run.execute, {'torch', 'jax', 'tensorflow', 'mxnet', 'autograd'}\n"
        "tables = {'pandas', 'altair', 'scipy'}\n"
        "def probe(*arguments):\n"
        "    outcome = execute(*arguments)\n"
        "    json.dump(sorted(sys.modules.keys() & (frameworks | tables)), open('before', 'w'))\n"
        "    return outcome\n"
        "run.execute = probe\n"
        "try:\n"
        "    cli.main()\n"
        "finally:\n"
        "    json.dump(sorted(sys.modules.keys() & frameworks), open('after', 'w'))\n"
    )
    plugins = "rnn,numpy" if not has_torch() else "rnn,numpy,torch"
    done = subprocess.run(
        [sys.executable, "probe.py", *small, "--plugins", plugins, "--out", "out"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(Path("before").read_text()) == []
    assert json.loads(Path("after").read_text()) == []


def has_torch() -> bool:
    import importlib.util

    return importlib.util.find_spec("torch") is not None


@pytest.mark.slow
def test_a_worker_s_folder_is_not_on_its_path(train: Train, here: Path) -> None:
    # A folder named like a library would be imported in its place.
    (here / "numpy").mkdir()
    (here / "numpy" / "__init__.py").write_text("raise RuntimeError('shadowed')")
    (here / "safetensors.py").write_text("raise RuntimeError('shadowed')")
    (row,) = train("rnn,numpy").trials
    assert (row["status"], row["reason"]) == ("ok", "")


def test_each_trial_has_its_own_log_and_job(finished_run: Any) -> None:
    trained = finished_run
    files = [path.name for path in (trained.folder / "logs").iterdir() if not path.name.startswith("yardstick-")]
    names = {re.sub(r"\.(log|job\.json)$", "", name) for name in files}
    assert names == {row["trial_id"] for row in trained.trials}
    assert len(files) == 4
