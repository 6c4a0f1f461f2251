import io
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fcntl import ioctl
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.contracts.executors import Slot
from harness.running.live import LiveView, duration
from harness.testing.trials import epoch_ended, small_trial, started
from harness.worker.events import EpochEnded, Progress
from harness.worker.trial import Trial

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
CPU = [Slot(name=f"cpu:{number}", kind="cpu", num_threads=1, environment={}) for number in range(12)]
GPU = Slot(name="gpu:0", kind="gpu", num_threads=1, environment={})


class Clock:
    """A clock that tests set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def trials() -> list[Trial]:
    sizes = {"num_layers": 10, "num_hiddens": 8, "num_epochs": 4}
    return [small_trial(cell="gru-textbook", backend="tensorflow", seed=seed, **sizes) for seed in range(12)]


def view_of(
    trials: list[Trial], clock: Clock | None = None, *, terminal: bool = True, width: int = 120, height: int = 40
) -> LiveView:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=width, height=height)
    return LiveView({trial.trial_id: 10.0 for trial in trials}, console, clock or Clock())


def shown(view: LiveView) -> list[str]:
    """Return the lines of the live view as they are now."""
    console = Console(file=io.StringIO(), width=view._console.width, height=view._console.height)
    console.print(view._render())
    return str(console.file.getvalue()).splitlines()  # type: ignore[attr-defined]


def printed(view: LiveView) -> list[str]:
    """Return the lines that stay."""
    return ESCAPE.sub("", view._console.file.getvalue()).splitlines()  # type: ignore[attr-defined]


def progress(fraction: float) -> Progress:
    return Progress(epoch=int(fraction * 4) + 1, fraction=fraction, loss=2.5, tokens_per_s=12_345.0)


def epoch(number: int, seconds: float = 1.0) -> EpochEnded:
    return epoch_ended(number, train_loss=2.25, train_tokens=5000, train_seconds=seconds, blocks=((5000, seconds),))


def test_a_row_shows_where_a_trial_is_and_how_it_fares(trials: list[Trial], clock: Clock) -> None:
    view = view_of(trials[:2], clock)
    view.launched(trials[0], CPU[1])
    view.heard(trials[0], started())
    view.heard(trials[0], epoch(1))
    view.heard(trials[0], progress(0.375))
    heading, row, bar = shown(view)
    assert heading.split() == ["trial", "on", "epoch", "done", "loss", "valid", "ppl", "tokens/s"]
    assert row.split() == [trials[0].trial_id, "cpu:1", "2/4", "38%", "2.500", "7.389", "12.3", "k"]
    assert re.match(r"trials .* 0/2 0:00:00 1 running, 1 waiting$", bar.rstrip())


def test_a_trial_that_has_said_nothing_yet_shows_no_figures(trials: list[Trial]) -> None:
    view = view_of(trials)
    view.launched(trials[0], CPU[0])
    assert shown(view)[1].split()[1:] == ["cpu:0", "0/4", "0%", "–", "–", "–"]


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_trial_ids_are_whole_at_any_width(trials: list[Trial], width: int) -> None:
    view = view_of(trials, width=width)
    for trial, slot in zip(trials[:3], CPU, strict=False):
        view.launched(trial, slot)
        view.heard(trial, progress(0.5))
    lines = shown(view)
    assert max(map(len, lines)) <= width
    first_column = "".join(line[: len(trials[0].trial_id)].split(" ")[0] for line in lines[1:-1])
    assert first_column == "".join(trial.trial_id for trial in trials[:3])


def test_rows_stay_in_the_order_of_their_slots(trials: list[Trial]) -> None:
    view = view_of(trials)
    for trial, slot in zip(trials, [CPU[10], CPU[2], GPU, CPU[0]], strict=False):
        view.launched(trial, slot)
    assert [line.split()[1] for line in shown(view)[1:5]] == ["gpu:0", "cpu:0", "cpu:2", "cpu:10"]
    view.ended(trials[3], "ok", "")
    view.launched(trials[4], CPU[0])
    assert [line.split()[1] for line in shown(view)[1:5]] == ["gpu:0", "cpu:0", "cpu:2", "cpu:10"]


def test_workers_that_share_a_gpu_stand_in_order(trials: list[Trial]) -> None:
    view = view_of(trials)
    for trial, name in zip(trials, ["gpu:1/0", "cpu:0", "gpu:0/1", "gpu:0/0"], strict=False):
        view.launched(trial, replace(GPU, name=name))
    assert [line.split()[1] for line in shown(view)[1:5]] == ["gpu:0/0", "gpu:0/1", "gpu:1/0", "cpu:0"]


def test_more_rows_than_the_terminal_has_are_counted(trials: list[Trial]) -> None:
    view = view_of(trials, height=10)
    for trial, slot in zip(trials, CPU, strict=True):
        view.launched(trial, slot)
    lines = shown(view)
    assert len(lines) <= 10
    assert lines[-2].strip() == "… and 6 more"
    assert lines[-1].startswith("trials ")


def test_the_last_column_is_left_free_for_what_the_terminal_echoes(trials: list[Trial], clock: Clock) -> None:
    view = view_of(trials, clock, width=80)
    view.launched(trials[0], CPU[0])
    view.heard(trials[0], progress(0.5))
    clock.now = 10.0
    assert len(shown(view)[-1].rstrip()) <= 75


def test_the_rest_is_predicted_from_the_pace_so_far(trials: list[Trial], clock: Clock) -> None:
    view = view_of(trials[:4], clock)
    for trial, slot in zip(trials[:2], CPU, strict=False):
        view.launched(trial, slot)
    assert view._eta() == ""
    clock.now = 10.0
    for trial in trials[:2]:
        view.heard(trial, started())
    assert view._eta() == ""
    clock.now = 20.0
    for trial in trials[:2]:
        view.heard(trial, progress(0.5))
    # One trial's work of four is done after 20 s.
    assert view._eta() == "about 60 s left"


def test_the_rest_is_never_less_than_the_slowest_trial_s_own(trials: list[Trial], clock: Clock) -> None:
    view = view_of(trials[:2], clock)
    for trial, slot in zip(trials[:2], CPU, strict=False):
        view.launched(trial, slot)
        view.heard(trial, started())
    clock.now = 30.0
    view.heard(trials[0], progress(1.0))
    view.ended(trials[0], "ok", "")
    view.heard(trials[1], progress(0.1))
    assert view._eta() == "about 4 min left"


def test_a_first_minibatch_foretells_nothing(trials: list[Trial], clock: Clock) -> None:
    view = view_of(trials[:2], clock)
    view.launched(trials[0], CPU[0])
    clock.now = 5.0
    view.heard(trials[0], started())
    clock.now = 5.1
    view.heard(trials[0], progress(0.0002))
    assert view._eta() == ""
    clock.now = 10.0
    view.heard(trials[0], progress(0.5))
    assert view._eta() == "about 30 s left"
    view.heard(trials[0], progress(1.0))
    view.ended(trials[0], "ok", "")
    view.launched(trials[1], CPU[0])
    view.heard(trials[1], started())
    view.heard(trials[1], progress(0.0002))
    assert view._eta() == "about 10 s left"


def test_what_an_earlier_run_did_does_not_count_as_pace(trials: list[Trial], clock: Clock) -> None:
    view = view_of(trials[:1], clock)
    view.launched(trials[0], CPU[0])
    view.heard(trials[0], started(resumed_epochs=2))
    assert shown(view)[1].split()[2:4] == ["2/4", "50%"]
    clock.now = 10.0
    assert view._eta() == ""
    view.heard(trials[0], progress(0.75))
    assert view._eta() == "about 10 s left"


def test_a_trial_that_failed_early_does_not_count_as_pace(trials: list[Trial], clock: Clock) -> None:
    view = view_of(trials[:4], clock)
    view.launched(trials[0], CPU[0])
    view.ended(trials[0], "failed", "it broke")
    view.launched(trials[1], CPU[0])
    view.heard(trials[1], started())
    clock.now = 10.0
    view.heard(trials[1], progress(0.5))
    assert view._eta() == "about 50 s left"


def test_each_end_is_a_line_that_stays_with_its_reason(trials: list[Trial], clock: Clock) -> None:
    view = view_of(trials, clock, terminal=False, width=40)
    with view:
        for trial, status in zip(trials, ("ok", "failed", "timeout", "diverged", "waiting"), strict=False):
            view.launched(trial, CPU[0])
            view.heard(trial, epoch(4))
            view.ended(trial, status, "" if status == "ok" else f"why it is [{status}]")
        clock.now = 200.0
    ids = [trial.trial_id for trial in trials]
    lines = [line for line in printed(view) if not line.startswith("   epoch")]
    assert lines[0] == f"      ok {ids[0]}  valid perplexity 7.389"
    assert lines[1] == f"  failed {ids[1]}  why it is [failed]"
    assert lines[4] == f" waiting {ids[4]}  why it is [waiting]"
    assert lines[-1] == "4 of 12 trials in 3 min: 1 ok, 1 failed, 1 timeout, 1 diverged"


def test_a_model_that_never_learnt_does_not_fill_the_line(trials: list[Trial], clock: Clock) -> None:
    view = view_of(trials[:1], clock, terminal=False)
    with view:
        view.launched(trials[0], CPU[0])
        view.heard(trials[0], replace(epoch(4), measures=epoch(4).measures | {"valid_loss": 200.0}))
        view.ended(trials[0], "ok", "")
    assert f"      ok {trials[0].trial_id}  valid perplexity 7.23e+86" in printed(view)


def test_without_a_terminal_progress_is_a_plain_line_now_and_then(trials: list[Trial], clock: Clock) -> None:
    view = view_of(trials[:1], clock, terminal=False)
    with view:
        view.launched(trials[0], CPU[0])
        view.heard(trials[0], started())
        for number in range(1, 4):
            clock.now += 3.0
            view.heard(trials[0], epoch(number))
    assert "\x1b" not in view._console.file.getvalue()  # type: ignore[attr-defined]
    told = "loss 2.250  valid perplexity 7.389  5.0 k tokens/s"
    assert printed(view) == [
        f"   epoch 1/4 of {trials[0].trial_id}  {told}  about 9 s left",
        f"   epoch 3/4 of {trials[0].trial_id}  {told}  about 3 s left",
    ]


def test_a_figure_that_is_not_there_yet_is_left_out_of_a_plain_line(trials: list[Trial], clock: Clock) -> None:
    view = view_of(trials[:1], clock, terminal=False)
    view.launched(trials[0], CPU[0])
    clock.now += 3.0
    view.heard(trials[0], progress(0.1))
    (line,) = printed(view)
    assert "–" not in line
    assert "valid" not in line
    assert "loss 2.500  12.3 k tokens/s" in line


def test_an_epoch_too_short_for_the_clock_has_no_rate(trials: list[Trial], clock: Clock) -> None:
    view = view_of(trials[:1], clock)
    view.launched(trials[0], CPU[0])
    view.heard(trials[0], epoch(1, seconds=0.0))
    assert shown(view)[1].split()[-1] == "–"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "0 s"), (89, "89 s"), (100, "2 min"), (5399, "90 min"), (5400, "1.5 h"), (200_000, "2 days")],
)
def test_durations_are_said_as_a_person_does(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """A pseudo-terminal of 100 by 30: the test's end and the command's end."""
    for name in ("COLUMNS", "LINES"):  # what runs tests in parallel sets them, and they outweigh the terminal's own
        monkeypatch.delenv(name, raising=False)
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    yield ours, theirs
    os.close(ours)


def read_until(fd: int, pattern: str, seconds: float = 60) -> str:
    """Read what the command draws until it matches, or until the command closes the terminal."""
    drawn = b""
    until = time.monotonic() + seconds
    while not re.search(pattern, drawn.decode("utf-8", "replace")):
        assert time.monotonic() < until, drawn[-2000:]
        try:
            drawn += os.read(fd, 65536)
        except OSError:
            break
    return drawn.decode("utf-8", "replace")


@pytest.mark.slow
def test_in_a_terminal_the_view_draws_and_leaves_the_cursor_as_it_was(
    start: Callable[..., subprocess.Popen[str]],
    small: tuple[str, ...],
    plugin_folder: Callable[..., Path],
    terminal: tuple[int, int],
) -> None:
    ours, theirs = terminal
    arguments: tuple[Any, ...] = ("--plugins", "rnn,slow", "--plugins-dir", plugin_folder("slow"), "--epochs", 4)
    process = start(*small, *arguments, "--out", "out", stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    drawn = read_until(ours, r"Report: .*\n|Traceback")
    assert process.wait(timeout=30) == 0
    text = ESCAPE.sub("", drawn)
    assert re.search(r"trial +on +epoch +done +loss +valid ppl +tokens/s", text)
    assert re.search(r"rnn-1-slow-scratch-\w{10} +cpu:0 +[1-4]/4 +\d+%", text)
    assert re.search(r"0/1 0:00:0\d 1 running, 0 waiting", text)
    assert re.search(r"      ok rnn-1-slow-scratch-\w{10}  valid perplexity \d", text)
    assert "1 of 1 trials in " in text
    assert drawn.count("\x1b[?25l") == drawn.count("\x1b[?25h") == 1


@pytest.mark.slow
def test_the_cursor_comes_back_when_the_run_is_stopped_at_once(
    start: Callable[..., subprocess.Popen[str]],
    small: tuple[str, ...],
    plugin_folder: Callable[..., Path],
    terminal: tuple[int, int],
) -> None:
    ours, theirs = terminal
    arguments: tuple[Any, ...] = ("--plugins", "rnn,hang-deafly", "--plugins-dir", plugin_folder("misbehaving"))
    process = start(*small, *arguments, "--out", "out", stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    drawn = read_until(ours, r"rnn-1-hang-deafly.*1/2 ")
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 130
    drawn += read_until(ours, "never")
    assert drawn.rindex("\x1b[?25h") > drawn.rindex("\x1b[?25l")


@pytest.mark.slow
def test_without_a_terminal_the_command_prints_plain_lines(
    harness_process: Callable[..., subprocess.CompletedProcess[str]], small: tuple[str, ...]
) -> None:
    done = harness_process(*small, "--plugins", "rnn,numpy", "--out", "out", LANG="C.UTF-8")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    first, ok, counts, report = done.stdout.splitlines()
    epoch = r"   epoch 1/2 of rnn-1-numpy-(native|fused)-\w{10}  loss .* k tokens/s(  about .* left)?"
    assert re.fullmatch(epoch, first.rstrip())
    assert re.fullmatch(r"      ok rnn-1-numpy-(native|fused)-\w{10}  valid perplexity \d+\.\d{3}", ok)
    assert re.fullmatch(r"1 of 1 trials in \d+ s: 1 ok", counts)
    assert report == "Report: out/index.html"
