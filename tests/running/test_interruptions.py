import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.errors import RunFolderError, WorkerError
from harness.record.ledger import Launch, Ledger, LedgerReader
from harness.running import sampling
from harness.running.workplace import Limits
from harness.worker.events import EpochEnded, Event, Saving
from harness.worker.job import SampleRequest, TrainJob, read_job

Train = Callable[..., Any]
Prepare = Callable[..., Any]
Losses = Callable[[Path], dict[Any, Any]]
Start = Callable[..., subprocess.Popen[str]]
PluginFolder = Callable[..., Path]

EPOCHS = 6
OUT = Path("out")


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> Any:
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)
    return found


def workers_of(trial: str = "", folder: Path = OUT) -> list[psutil.Process]:
    """Find the workers of this run, also those whose parent is gone."""
    job = f"{folder.absolute()}/logs/{trial}" if trial else str(folder.absolute())
    relative = f"{folder}/logs/{trial}"
    workers = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            command = process.cmdline()
            mine = "harness.worker" in command and Path(process.cwd()) == Path.cwd()
            if mine and any(part.startswith((job, relative)) for part in command):
                workers.append(process)
    return workers


def recorded() -> dict[tuple[str, int], float]:
    """Return when each epoch of the run going on was recorded."""
    with contextlib.suppress(RunFolderError), LedgerReader(OUT / "run.sqlite") as ledger:
        return {(row["trial_id"], row["epoch"]): row["recorded_at"] for row in ledger.epochs()}
    return {}


def statuses() -> dict[str, str]:
    with LedgerReader(OUT / "run.sqlite") as ledger:
        return {row["trial_id"]: row["status"] for row in ledger.trials()}


@pytest.fixture
def begin(start: Start, small: tuple[str, ...], plugin_folder: PluginFolder) -> Callable[..., subprocess.Popen[str]]:
    """Start the run that every test here interrupts: two trials, one after the other."""

    def begin(*more: object) -> subprocess.Popen[str]:
        folder = plugin_folder("slow", "misbehaving")
        plugins = ("--plugins", "rnn,slow", "--plugins-dir", folder, "--seeds", 2, "--epochs", EPOCHS)
        return start(*small, *plugins, "--out", OUT, "--jobs", 1, "--parity-steps", 0, *more)

    return begin


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    wait_for(lambda: not workers_of())


@pytest.mark.long
def test_a_run_killed_again_and_again_loses_no_epoch_and_ends_as_if_never_killed(
    begin: Callable[..., subprocess.Popen[str]], train: Train, losses: Losses
) -> None:
    moments: list[Callable[[], Any]] = [
        lambda: (OUT / "run.sqlite").exists(),
        lambda: workers_of(),
        lambda: len(recorded()) >= 2,
        lambda: "ok" in statuses().values() and len(recorded()) > EPOCHS,
    ]
    for moment in moments:
        process = begin()
        wait_for(moment)
        seen = recorded()
        kill(process)
        kept = recorded()
        assert seen.keys() <= kept.keys()
    finished = [trial for trial, status in statuses().items() if status == "ok"]
    assert len(finished) == 1
    continued = train("rnn,slow", "slow", "misbehaving", seeds=(0, 1), epochs=EPOCHS, jobs=1)
    assert set(continued.outcome.statuses.values()) == {"ok"}
    after = recorded()
    assert all(after[key] == when for key, when in kept.items() if key[0] in finished), "a finished trial ran again"
    whole = train("rnn,slow", "slow", "misbehaving", seeds=(0, 1), epochs=EPOCHS, out="whole")
    assert losses(continued.folder) == losses(whole.folder)
    assert len(after) == 2 * EPOCHS


@pytest.mark.slow
@pytest.mark.parametrize("limit", ["--stall-timeout", "--timeout"])
def test_a_run_that_was_stopped_for_longer_than_a_limit_goes_on(
    begin: Callable[..., subprocess.Popen[str]], limit: str
) -> None:
    """The worker's words wait in the pipe, and its time ran on: at worst it has ended meanwhile."""
    seconds = 20.0 if limit == "--timeout" else 8.0
    process = begin(limit, seconds)
    wait_for(lambda: len(recorded()) >= 2)
    process.send_signal(signal.SIGSTOP)
    time.sleep(1.25 * seconds)
    process.send_signal(signal.SIGCONT)
    process.communicate(timeout=120)
    assert set(statuses().values()) == {"ok"}


@pytest.mark.slow
def test_a_killed_run_leaves_nothing_that_its_workers_started(
    start: Start, small: tuple[str, ...], plugin_folder: PluginFolder
) -> None:
    plugins = ("--plugins", "rnn,hang-with-a-child", "--plugins-dir", plugin_folder("misbehaving"))
    process = start(*small, *plugins, "--out", OUT, "--jobs", 1, "--parity-steps", 0)
    wait_for(lambda: len(workers_of()) == 2)
    kill(process)


@pytest.mark.slow
def test_a_killed_worker_loses_no_epoch_and_stops_no_other_trial(
    begin: Callable[..., subprocess.Popen[str]], train: Train, losses: Losses
) -> None:
    process = begin()
    wait_for(lambda: len(recorded()) >= 2)
    seen = recorded()
    (victim,) = wait_for(workers_of)
    victim.kill()
    _, said = process.communicate(timeout=120)
    assert (process.returncode, said) == (1, "")
    assert seen.items() <= recorded().items()
    with LedgerReader(OUT / "run.sqlite") as ledger:
        killed, other = ledger.trials()
    assert killed["status"] == "failed"
    assert killed["reason"].startswith("the worker was killed (SIGKILL), most likely for want of memory")
    assert other["status"] == "ok"
    again = train("rnn,slow", "slow", "misbehaving", seeds=(0, 1), epochs=EPOCHS)
    assert [row["attempts"] for row in again.trials] == [2, 1]
    whole = train("rnn,slow", "slow", "misbehaving", seeds=(0, 1), epochs=EPOCHS, out="whole")
    assert losses(again.folder) == losses(whole.folder)


@pytest.mark.long
@pytest.mark.parametrize(
    ("backend", "optimizer"), [("numpy", "sgd"), ("numpy", "adam"), ("numpy", "rmsprop"), ("torch", "adam")]
)
def test_a_trial_resumed_from_its_checkpoint_ends_as_if_never_interrupted(
    prepare: Prepare, execute: Callable[..., Any], losses: Losses, optimizer: str, backend: str
) -> None:
    if backend == "torch":
        pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'rnn-harness[torch]'")
    options = {"epochs": EPOCHS, "optimizer": (optimizer,), "layers": (2,), "dropout": (0.3,)}
    whole = execute(prepare(f"lstm,{backend}", out="whole", **options))
    (trial_id,) = whole.outcome.statuses
    assert whole.outcome.exit_code == 0

    cut = prepare(f"lstm,{backend}", **options)
    job = read_job(whole.prepared.folder.job(trial_id))
    kill_in_mid_run(cut, job)
    kept = losses(cut.folder.path)
    assert 3 <= len(kept) < EPOCHS

    resumed = execute(cut)
    row = resumed.trial(trial_id)
    assert (row["status"], row["attempts"]) == ("ok", 2)
    assert 2 <= row["resumed_epochs"] <= len(kept), "it began anew"
    assert losses(resumed.folder) == losses(whole.folder)


def kill_in_mid_run(prepared: Any, job: TrainJob) -> None:
    """Train as the runner does, but with a checkpoint at every epoch, and kill the worker in the fourth."""
    (trial_id,) = (trial.trial_id for trial in prepared.plan.runnable)
    folder = prepared.folder
    for name in ("logs", "checkpoints"):
        (folder.path / name).mkdir(parents=True)
    checkpoint = str(folder.checkpoint(trial_id).absolute())
    job = replace(job, checkpoint_seconds=0.0, checkpoint_path=checkpoint)
    with Ledger(folder.ledger) as ledger:
        ledger.add(prepared.plan.runnable)
        ledger.launched(trial_id, Launch(slot="cpu:0", concurrency=1))

        def hear(event: Event) -> None:
            if isinstance(event, Saving):
                ledger.saving(trial_id, event.digest)
            elif isinstance(event, EpochEnded):
                ledger.epoch(trial_id, event)
                if event.epoch == 3:
                    for child in psutil.Process(os.getpid()).children():
                        if "harness.worker" in child.cmdline():
                            child.kill()

        workplace = prepared.workplace(Limits())
        slot = workplace.slots[0]
        ending = asyncio.run(workplace.run(job, job.trial.backend, slot, trial_id, hear, timeout=60))
    assert ending.returncode == -signal.SIGKILL


@pytest.mark.slow
def test_a_checkpoint_that_is_ahead_of_the_ledger_is_not_resumed(
    prepare: Prepare, execute: Callable[..., Any], losses: Losses
) -> None:
    whole = execute(prepare("rnn,numpy", out="whole", epochs=EPOCHS))
    (trial_id,) = whole.outcome.statuses
    cut = prepare("rnn,numpy", epochs=EPOCHS)
    kill_in_mid_run(cut, read_job(whole.prepared.folder.job(trial_id)))
    (cut.folder.path / "run.sqlite").unlink()
    again = execute(cut)
    assert again.trial(trial_id)["resumed_epochs"] == 0
    assert losses(again.folder) == losses(whole.folder)


@pytest.mark.long
@pytest.mark.parametrize("kept", [0, 4, 1000])
def test_a_damaged_checkpoint_is_begun_anew(train: Train, losses: Losses, kept: int) -> None:
    whole = train("rnn,numpy")
    (trial_id,) = whole.outcome.statuses
    before = losses(whole.folder)
    path = whole.prepared.folder.checkpoint(trial_id)
    path.write_bytes(path.read_bytes()[:kept])
    with Ledger(whole.prepared.folder.ledger) as ledger:
        ledger.release(trial_id)
    again = train("rnn,numpy")
    row = again.trial(trial_id)
    assert (row["status"], row["resumed_epochs"]) == ("ok", 0)
    assert losses(again.folder) == before


def flip_a_bit(path: Path, _: Path) -> None:
    """Flip the lowest bit of the last weight's exponent."""
    changed = bytearray(path.read_bytes())
    changed[-2] ^= 0x80
    path.write_bytes(changed)


def take_another_s(path: Path, other: Path) -> None:
    shutil.copy(other, path)


@pytest.mark.slow
@pytest.mark.parametrize("damage", [flip_a_bit, take_another_s])
def test_a_checkpoint_that_is_not_what_was_written_is_begun_anew_and_not_sampled_from(
    train: Train, losses: Losses, damage: Callable[[Path, Path], None]
) -> None:
    whole = train("rnn,numpy", seeds=(0, 1))
    before, folder = losses(whole.folder), whole.prepared.folder
    first, second = whole.outcome.statuses
    damage(folder.checkpoint(first), folder.checkpoint(second))
    request = SampleRequest(prefix="abc", num_tokens=3, temperature=0.0, seed=0)
    trial = sampling.find_trial(folder, first)
    with pytest.raises(WorkerError, match=r"is not a whole checkpoint|is the checkpoint of the trial"):
        sampling.generate(whole.prepared.registry, folder, trial, request)
    with Ledger(folder.ledger) as ledger:
        ledger.release(first)
    again = train("rnn,numpy", seeds=(0, 1))
    row = again.trial(first)
    assert (row["status"], row["resumed_epochs"]) == ("ok", 0)
    assert losses(again.folder) == before
    assert "starting over: " in folder.log(first).read_text()


@pytest.mark.slow
def test_a_second_harness_on_the_same_folder_is_refused_and_the_first_goes_on(
    begin: Callable[..., subprocess.Popen[str]],
) -> None:
    first = begin()
    wait_for(recorded)
    second = begin()
    _, said = second.communicate(timeout=240)
    assert second.returncode == 2
    assert said == "Error: Another harness is running in out: wait for it, or name another folder with --out.\n"
    _, said = first.communicate(timeout=120)
    assert (first.returncode, said) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_once_stops_cleanly_with_a_report_and_the_same_command_goes_on(
    begin: Callable[..., subprocess.Popen[str]], train: Train, losses: Losses, number: signal.Signals
) -> None:
    process = begin()
    wait_for(lambda: len(recorded()) >= 2)
    seen = recorded()
    process.send_signal(number)
    told, said = process.communicate(timeout=120)
    assert (process.returncode, said) == (130, "")
    assert "Interrupted: the same command continues from here." in told
    assert not workers_of()
    assert seen.items() <= recorded().items()
    assert set(statuses().values()) == {"waiting"}
    assert (OUT / "index.html").read_text().lower().rstrip().endswith("</html>")
    assert (OUT / "trials.csv").read_text().count("\n") == 3
    continued = train("rnn,slow", "slow", "misbehaving", seeds=(0, 1), epochs=EPOCHS)
    whole = train("rnn,slow", "slow", "misbehaving", seeds=(0, 1), epochs=EPOCHS, out="whole")
    assert losses(continued.folder) == losses(whole.folder)


@pytest.mark.slow
def test_ctrl_c_twice_stops_at_once(begin: Callable[..., subprocess.Popen[str]]) -> None:
    process = begin("--plugins", "rnn,hang-deafly")
    wait_for(lambda: [worker for worker in workers_of() if is_deaf(worker)])
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None, "it did not wait for its deaf worker"
    since = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - since < 2
    assert not (OUT / "index.html").exists()
    wait_for(lambda: not workers_of(), seconds=10)


def is_deaf(process: psutil.Process) -> bool:
    """Say whether the process ignores SIGTERM."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        pytest.skip("this system does not tell which signals a process ignores")
    lines = status.read_text().splitlines()
    ignored = next(int(line.split()[1], 16) for line in lines if line.startswith("SigIgn"))
    return bool(ignored >> (signal.SIGTERM - 1) & 1)


@pytest.mark.slow
def test_ctrl_c_while_the_texts_are_read_is_told_and_leaves_nothing(
    start: Start, small: tuple[str, ...], here: Path
) -> None:
    (here / "plugins").mkdir()
    (here / "plugins" / "endless.py").write_text(
        "import time\n"
        "from harness.contracts.hooks import Corpus, hookimpl\n"
        "def load(request):\n"
        "    open('reading', 'w').close()\n"
        "    time.sleep(3600)\n"
        "@hookimpl\n"
        "def harness_corpora():\n"
        "    return [Corpus(name='endless', title='', authors=(), licence='', loader='endless:load')]\n"
    )
    process = start(*small, "--corpus", "endless", "--plugins", "rnn,numpy", "--plugins-dir", "plugins", "--out", OUT)
    wait_for(lambda: Path("reading").exists())
    process.send_signal(signal.SIGINT)
    told, said = process.communicate(timeout=30)
    assert (process.returncode, told, said) == (130, "", "Interrupted.\n")
    assert not OUT.exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_the_report_is_written_says_how_to_write_it(
    start: Start, small: tuple[str, ...], here: Path, number: signal.Signals
) -> None:
    (here / "plugins").mkdir()
    (here / "plugins" / "endless.py").write_text(
        "import time\n"
        "from harness.contracts.hooks import Exercise, hookimpl\n"
        "PRIMARY = ()\n"
        "def needs(budget, available):\n"
        "    return []\n"
        "def answer(run):\n"
        "    open('answering', 'w').close()\n"
        "    time.sleep(3600)\n"
        "@hookimpl\n"
        "def harness_exercises():\n"
        "    return [Exercise(name='endless', question='?', source='', chapter='', target='endless')]\n"
    )
    process = start(*small, "--plugins", "rnn,numpy", "--plugins-dir", "plugins", "--out", OUT, "--parity-steps", 0)
    wait_for(lambda: Path("answering").exists(), seconds=120)
    process.send_signal(number)
    _, said = process.communicate(timeout=240)
    assert (process.returncode, said) == (
        130,
        "Interrupted: 'harness report out' writes the report of what there is.\n",
    )
    assert set(statuses().values()) == {"ok"}


@pytest.mark.slow
def test_a_signal_that_is_ignored_goes_on_being_ignored(start: Start, small: tuple[str, ...]) -> None:
    command = (*small, "--plugins", "rnn,numpy", "--out", OUT, "--parity-steps", 0)
    process = start(*command, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    wait_for(workers_of)
    process.send_signal(signal.SIGHUP)
    _, said = process.communicate(timeout=120)
    assert (process.returncode, said) == (0, "")


@pytest.mark.slow
def test_a_run_goes_on_when_nobody_reads_its_output_any_more(
    begin: Callable[..., subprocess.Popen[str]],
) -> None:
    process = begin("--epochs", 2)
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, said = process.communicate(timeout=120)
    assert (process.returncode, said) == (0, "")
    assert (OUT / "index.html").exists()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_run_goes_on_when_its_output_cannot_be_written(start: Start, small: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        process = start(*small, "--plugins", "rnn,numpy", "--out", OUT, stdout=full)
        _, said = process.communicate(timeout=120)
    assert (process.returncode, said) == (0, "")
    assert (OUT / "index.html").exists()
