"""The timing phase: what is timed together, what a row says of a disturbance, and that nothing it meets ends a run."""

import contextlib
import csv
import json
import math
import signal
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.analysis.frames import read_run
from harness.record.ledger import LedgerReader
from harness.report import write_report
from harness.running.timing import EFFORTS
from harness.running.timing.session import MIN_ROUNDS, Session


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the efforts take a few tiny blocks, the greater one more of them."""
    for name, effort in EFFORTS.items():
        effort = replace(effort, seconds_per_trial=effort.seconds_per_trial / 70, block_seconds=0.01)
        monkeypatch.setitem(EFFORTS, name, effort)


def blocks_of(folder: Path, phase: str = "timing") -> dict[str, list[dict[str, Any]]]:
    with LedgerReader(folder / "run.sqlite") as ledger:
        found: dict[str, list[dict[str, Any]]] = {}
        for row in ledger.timings():
            if row["phase"] == phase:
                found.setdefault(row["trial_id"], []).append(row)
        return found


@pytest.mark.alone
@pytest.mark.usefixtures("brief")
def test_each_kind_is_timed_once_in_the_same_rounds_and_every_trial_of_it_has_the_rate(prepare, execute):
    trained = execute(prepare("rnn,gru,numpy", seeds=(0, 1), lr=(0.1, 0.2)), timing="quick")
    timed = blocks_of(trained.folder)
    assert sorted(name.split("-")[0] for name in timed) == ["gru", "rnn"]
    assert {tuple(row["round"] for row in rows) for rows in timed.values()} == {tuple(range(MIN_ROUNDS))}
    trials = read_run(trained.folder).trials
    assert len(trials) == 8
    for _, kind in trials.groupby("cell"):
        assert kind["timed_by"].nunique() == kind["tokens_per_s"].nunique() == 1
    assert trials["tokens_per_s_low"].le(trials["tokens_per_s"]).all()
    assert trials["model_flops_utilization"].between(0, 1).all()
    page = write_report(trained.folder).read_text()
    assert "Roofline" in page
    assert "while training" not in page


@pytest.mark.alone
@pytest.mark.usefixtures("brief")
def test_a_narrow_last_minibatch_counts_what_it_has(prepare, execute):
    trained = execute(prepare("rnn,numpy", partition="windows", batch_size=(100,), epochs=1), timing="quick")
    (trial,) = read_run(trained.folder).trials.to_dict("records")
    assert (trial["train_tokens"] - 5) % 100  # windows that are left for a narrower minibatch
    (rows,) = blocks_of(trained.folder).values()
    assert any(row["tokens"] % (100 * 5) for row in rows)
    narrow = (trial["train_tokens"] - 5) % 100
    assert all(row["tokens"] % (5 * math.gcd(100, narrow)) == 0 for row in rows)
    # Training counts its tokens by itself.
    assert trial["tokens_per_s"] > trial["train_tokens"] * 5 / trial["train_seconds"] / 20


@pytest.mark.alone
@pytest.mark.usefixtures("brief")
def test_utilization_is_the_arithmetic_done_over_what_the_device_can_do(prepare, execute):
    trained = execute(prepare("rnn,numpy"), timing="quick")
    (row,) = read_run(trained.folder).trials.to_dict("records")
    weights = 8 * 8 + row["vocab_size"] * 8  # W_h and the output's W; the one-hot product counts nothing
    assert row["flops_per_token"] == 6 * weights
    expected = row["tokens_per_s"] * 6 * weights / row["device_flops_per_s"]
    assert row["model_flops_utilization"] == pytest.approx(expected)


@pytest.mark.alone
@pytest.mark.usefixtures("brief")
def test_the_same_command_times_nothing_twice_and_a_new_kind_makes_it_time_all(prepare, execute):
    first = execute(prepare("rnn,numpy"), timing="quick")
    before = blocks_of(first.folder)
    execute(prepare("rnn,numpy"), timing="quick")
    assert blocks_of(first.folder) == before
    execute(prepare("rnn,gru,numpy"), timing="quick")
    after = blocks_of(first.folder)
    assert len(after) == 2
    assert all(after[name] != rows for name, rows in before.items())


@pytest.mark.alone
@pytest.mark.usefixtures("brief")
def test_a_worker_that_dies_in_timing_is_left_out_and_the_others_are_timed(prepare, execute):
    trained = execute(prepare("rnn,numpy,mortal", "mortal"), timing="quick")
    assert trained.outcome.exit_code == 0
    trials = read_run(trained.folder).trials.set_index("backend")
    assert trials.loc["numpy", "timed_by"] != ""
    assert trials.loc["mortal", "timed_by"] == ""
    assert "worker ended" in trials.loc["mortal", "timing_note"]
    assert trials.loc["mortal", "tokens_per_s"] > 0  # from its training


@pytest.mark.alone
@pytest.mark.usefixtures("brief")
def test_a_trial_that_did_not_finish_is_not_timed(prepare, execute):
    trained = execute(prepare("rnn,numpy", lr=(1e30,), optimizer=("sgd",), clip=(0.0,)), timing="quick")
    assert trained.outcome.exit_code == 1
    assert blocks_of(trained.folder) == {}


@pytest.mark.slow
def test_timing_off_leaves_rates_from_training(prepare, execute):
    trained = execute(prepare("rnn,numpy"))
    assert blocks_of(trained.folder) == {}
    (row,) = read_run(trained.folder).trials.to_dict("records")
    assert row["timed_by"] == ""
    assert row["tokens_per_s"] > 0
    page = write_report(trained.folder).read_text()
    assert "No trial was timed alone" in page
    assert "while training" in page


@pytest.mark.alone
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_while_timing_ends_the_workers_and_keeps_the_trials(here, start, small, number):
    process = start(*small, "--plugins", "rnn,numpy", "--timing", "thorough", "--out", "out", stdout=subprocess.PIPE)
    for line in process.stdout:
        if line.startswith("Timing "):
            break
    process.send_signal(number)
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 130, errors
    trials = read_run(here / "out").trials
    assert list(trials["status"]) == ["ok"]
    assert (here / "out" / "index.html").exists()


def wait_for_rounds(process: subprocess.Popen[str]) -> None:
    """Wait until the sentinel has computed for so long that the fewest rounds are behind it."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if any("timing-sentinel" in part for part in child.cmdline()) and child.cpu_times().user > 4:
                    return
        time.sleep(0.1)
    raise AssertionError("the sentinel did not come to its rounds")


@pytest.mark.alone
def test_ctrl_c_while_timing_keeps_the_blocks_and_the_next_session_takes_their_place(here, start, small):
    command = (*small, "--plugins", "rnn,numpy", "--timing", "quick", "--out", "out")
    process = start(*command, "--timing", "thorough", stdout=subprocess.PIPE)
    for line in process.stdout:
        if line.startswith("Timing "):
            break
    wait_for_rounds(process)
    process.send_signal(2)
    process.communicate(timeout=240)
    (cut,) = blocks_of(here / "out").values()
    assert len(cut) >= MIN_ROUNDS
    with LedgerReader(here / "out" / "run.sqlite") as ledger:
        assert [session["whole"] for session in ledger.sessions()] == [0]
    process = start(*command, stdout=subprocess.PIPE)
    assert process.wait(timeout=120) == 0
    with LedgerReader(here / "out" / "run.sqlite") as ledger:
        assert [session["whole"] for session in ledger.sessions()] == [1]


@pytest.mark.alone
@pytest.mark.usefixtures("brief")
def test_what_the_session_found_is_noted_with_the_run(prepare, execute):
    trained = execute(prepare("rnn,numpy"), timing="quick")
    with LedgerReader(trained.folder / "run.sqlite") as ledger:
        (session,) = ledger.sessions()
    sentinel = json.loads(session["sentinel"])
    assert len(sentinel) == MIN_ROUNDS
    assert session["flops_per_s"] >= max(sentinel) * 0.5
    assert session["bytes_per_s"] > 0
    assert (session["session"], session["effort"], session["whole"]) == (1, "quick", 1)
    write_report(trained.folder)
    (row,) = csv.DictReader((trained.folder / "sessions.csv").open(encoding="utf-8"))
    assert float(row["sentinel_flops_per_s"]) == pytest.approx(statistics.median(sentinel))


@pytest.mark.alone
@pytest.mark.usefixtures("brief")
def test_a_larger_number_of_sessions_adds_those_that_are_missing(prepare, execute):
    first = execute(prepare("rnn,gru,numpy", seeds=(0, 1)), timing="quick")
    before = blocks_of(first.folder)
    for _ in range(2):  # the same command again adds none
        execute(prepare("rnn,gru,numpy", seeds=(0, 1)), timing="quick", num_sessions=3)
    after = blocks_of(first.folder)
    for name, rows in after.items():
        assert rows[: len(before[name])] == before[name]
        assert [row["round"] for row in rows] == list(range(3 * MIN_ROUNDS))
        assert [row["session"] for row in rows] == [number for number in (1, 2, 3) for _ in range(MIN_ROUNDS)]
    trials = read_run(first.folder).trials
    assert trials["tokens_per_s_low"].lt(trials["tokens_per_s"]).all()


@pytest.mark.alone
@pytest.mark.usefixtures("brief")
def test_a_greater_effort_times_again_and_a_lesser_one_does_not(prepare, execute):
    folder = execute(prepare("rnn,numpy"), timing="quick").folder
    for effort, efforts in (("thorough", ["quick", "thorough"]), ("quick", ["quick", "thorough"])):
        execute(prepare("rnn,numpy"), timing=effort)
        with LedgerReader(folder / "run.sqlite") as ledger:
            assert [session["effort"] for session in ledger.sessions()] == efforts


@pytest.mark.alone
@pytest.mark.usefixtures("brief")
def test_a_seed_that_comes_later_shares_the_measurement_of_its_kind(prepare, execute):
    execute(prepare("rnn,numpy"), timing="quick")
    trained = execute(prepare("rnn,numpy", seeds=(0, 1)), timing="quick")
    trials = read_run(trained.folder).trials
    assert trials["timed_by"].nunique() == 1
    assert len(blocks_of(trained.folder)) == 1


STEADY = [100.0, 101.0, 99.5, 100.2, 100.4, 99.9, 100.1, 100.0, 99.8]

Disturbed = Callable[..., str]


def disturbance(sentinel: list[float], others_share: float = 0.0) -> str:
    return Session({}, sentinel=sentinel, others_share=others_share).disturbance


def test_a_steady_session_has_nothing_to_say():
    assert disturbance(STEADY) == ""


def test_other_programs_are_told():
    assert disturbance(STEADY, others_share=0.5) == "under load: other programs took 50% of a core"


def test_a_machine_that_slows_down_is_told_as_drift():
    assert disturbance([100 - 2 * i for i in range(9)]) == "under drift: the machine became 12% slower in the session"


def test_a_rate_that_jumps_to_and_fro_is_told_as_unsteady():
    assert disturbance([100, 80, 100, 80, 100, 80, 100, 80, 100]).startswith("unsteady: the same product's rate varied")


def test_too_few_rounds_say_nothing_of_drift():
    assert disturbance([100, 50]) == ""
