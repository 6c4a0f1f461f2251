"""What a worker sends is read to the last number, and nothing it sends costs more than its own trial."""

import asyncio
import dataclasses
import errno
import io
import itertools
import json
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from built_in import built_in
from rich.console import Console

from harness.analysis.frames import read_run
from harness.contracts.executors import Slot
from harness.plugins.revisions import Revisions
from harness.record.ledger import Launch, Ledger
from harness.running.attempts import Conversation
from harness.running.live import LiveView
from harness.running.protocol import ProtocolError, read_event
from harness.testing.executor_tasks import open_target, run_task_on, task_of
from harness.testing.trials import small_trial
from harness.worker.events import (
    Block,
    Diverged,
    EpochEnded,
    Evaluated,
    Event,
    Failed,
    Finished,
    FirstSteps,
    Probed,
    Progress,
    Ready,
    Started,
    dump,
)

EVENTS: list[Event] = [
    Started(versions={"python": "3.11"}, device="cpu", num_threads=1, num_params=9, environment={}, resumed_epochs=0),
    Progress(epoch=1, fraction=0.5, loss=2.0, tokens_per_s=1e4),
    FirstSteps(losses=(3.3, 3.2), grad_norms=(0.5, 0.4)),
    EpochEnded(epoch=1, measures={"train_loss": 2.0, "valid_loss": 2.5}, blocks=((20, 0.5), (40, 1.0))),
    Evaluated(author="Ann", part="test", num_tokens=9, num_chars=9.0, measures={"loss": 2.0}),
    Finished(first_step_seconds=0.1, peak_rss_bytes=1 << 20, peak_device_bytes=None, sample="time traveller"),
    Diverged(epoch=1, reason="the loss is nan"),
    Failed(reason="a\nb “c”"),
    Ready(flops_per_s=1e9, bytes_per_s=1e9),
    Block(amount=100.0, seconds=0.1),
    Probed(probe="length", rows=(("loss", 1.0, 2.0, 0.1, 3),)),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_an_event_reads_back_as_it_was_sent(event: Event) -> None:
    assert "\n" not in dump(event)
    assert read_event(dump(event).encode()) == event


@pytest.mark.parametrize(
    "line",
    [
        *('{"event": "progress"}', '{"event": "party"}', '{"event": {}}', '{"event": null}', "[1]", "hello", "{}", ""),
        *('{"event": "failed", "reason": "", "x": 1}', '{"event": "failed", "reason": null}', "[" * 100_000),
        '{"event": "first_steps", "losses": ["x"], "grad_norms": []}',
        '{"event": "first_steps", "losses": [true], "grad_norms": []}',
        '{"event": "diverged", "epoch": 99999999999999999999, "reason": ""}',
        '{"event": "diverged", "epoch": -1, "reason": ""}',
        '{"event": "diverged", "epoch": 1.0, "reason": ""}',
        '{"event": "block", "amount": 1, "seconds": Infinity}',
        '{"event": "block", "amount": 1, "seconds": -1}',
        '{"event": "block", "amount": NaN, "seconds": 1}',
        f'{{"event": "block", "amount": {10**400}, "seconds": 1}}',
        '{"event": "probed", "probe": "length", "rows": [["loss", 1, 2, 3]]}',
    ],
)
def test_a_line_that_is_no_event_is_refused(line: str) -> None:
    with pytest.raises(ProtocolError, match="a line that is not an event"):
        read_event(line.encode())


@pytest.mark.parametrize(
    ("field", "value"),
    [("versions", {"a": float("inf")}), ("versions", ["a"]), ("environment", {"a": None}), ("num_threads", True)],
)
def test_what_a_worker_runs_on_is_read_to_the_leaves(field: str, value: Any) -> None:
    line = json.dumps({**json.loads(dump(EVENTS[0])), field: value})
    with pytest.raises(ProtocolError):
        read_event(line.encode())


def test_a_part_is_one_of_those_that_are_read() -> None:
    for part in ("\ud800", "train", "", 1):
        line = json.dumps({**json.loads(dump(EVENTS[4])), "part": part})
        with pytest.raises(ProtocolError):
            read_event(line.encode())


def test_a_loss_may_be_anything_but_a_word() -> None:
    line = dump(dataclasses.replace(EVENTS[3], measures={"train_loss": float("inf"), "valid_loss": float("nan")}))
    assert read_event(line.encode()).measures["train_loss"] == float("inf")


def test_what_no_file_holds_is_replaced() -> None:
    assert read_event(b'{"event": "failed", "reason": "a\\ud800b"}') == Failed(reason="a\ufffdb")


def test_a_measure_that_no_row_has_is_refused() -> None:
    with pytest.raises(ProtocolError):
        read_event(dump(EVENTS[3]).replace("valid_loss", "valid_los").encode())


# --- whatever comes, one trial -----------------------------------------------------------------------------

LEAVES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 1.5, -1.5, 1e308, -1e308, 2**53, 2**63 - 1, 2**63, -(2**63) - 1, 10**30, 10**400),
    *(
        float("nan"),
        float("inf"),
        float("-inf"),
        "",
        "x",
        "\ud800",
        "\x00",
        "valid",
        "test",
        "a" * 1000,
        "\x1b]0;t\x07",
    ),
    *([], [1], [[]], [[1, 2]], [["x", "y"]], {}, {"a": 1}, {"a": {}}, [{}], {"": []}, [None], [[1, float("nan")]]),
)


def changed(value: Any, chance: random.Random) -> Any:
    """Return the value with something in it changed, left out or added."""
    if isinstance(value, dict) and value and chance.random() < 0.85:
        value, name = dict(value), chance.choice(list(value))
        deed = chance.random()
        if deed < 0.1:
            del value[name]
        elif deed < 0.2:
            value[chance.choice(["x", "epoch", "event", "measures"])] = chance.choice(LEAVES)
        else:
            value[name] = changed(value[name], chance)
        return value
    if isinstance(value, list) and value and chance.random() < 0.8:
        position = chance.randrange(len(value))
        return [*value[:position], changed(value[position], chance), *value[position + chance.randrange(2) :]]
    return chance.choice(LEAVES)


@pytest.fixture
def conversation(tmp_path: Path) -> Any:
    trial = small_trial(num_epochs=3)
    costs, console = {trial.trial_id: 1.0}, Console(file=io.StringIO())
    with (
        Ledger(tmp_path / "run.sqlite") as ledger,
        LiveView(costs, console, itertools.count(0.0, 10.0).__next__) as view,
    ):
        ledger.add([trial])
        ledger.launched(trial.trial_id, Launch(slot="cpu:0", concurrency=1))
        view.launched(trial, Slot(name="cpu:0", kind="cpu", num_threads=1, environment={}))
        yield Conversation(trial, ledger, view, Revisions(built_in()))


@pytest.mark.slow
def test_of_a_hundred_thousand_malformed_events_none_is_heard_that_cannot_be_recorded(
    conversation: Conversation, tmp_path: Path
) -> None:
    chance = random.Random(1)
    conversation.reference = FirstSteps(losses=(3.3, 3.2), grad_norms=(0.5, 0.4))
    outcomes: Counter[str] = Counter()
    for _ in range(100_000):
        values = json.loads(dump(chance.choice(EVENTS)))
        for _ in range(chance.randint(1, 3)):
            values = changed(values, chance)
        try:
            event = read_event(json.dumps(values).encode())
        except ProtocolError:
            outcomes["refused"] += 1
            continue
        try:
            conversation.hear(event)
        except ProtocolError:
            outcomes["not expected"] += 1
        else:
            outcomes[event.name] += 1
    assert outcomes["refused"] > 10_000
    assert {Started.name, Progress.name, FirstSteps.name, EpochEnded.name, Finished.name} <= outcomes.keys()
    assert list(read_run(tmp_path).trials["status"]) == ["skipped"], "what was recorded can be read"


@pytest.mark.slow
def test_an_event_that_cannot_be_recorded_costs_its_own_worker_alone_and_its_log_says_why(tmp_path: Path) -> None:
    def hear(event: Event) -> None:
        raise OverflowError(f"no room for {event.name}")

    executor = open_target("harness_local.executor:LocalExecutor")
    ending = asyncio.run(run_task_on(executor, task_of(tmp_path, "hang"), hear))
    assert ending.enforced.startswith("it sent 'progress', which could not be recorded (OverflowError(")
    assert not ending.timed_out
    assert "raise OverflowError" in (tmp_path / "log").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_disk_that_is_full_is_not_the_worker_s_fault(tmp_path: Path) -> None:
    def hear(_: Event) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    executor = open_target("harness_local.executor:LocalExecutor")
    with pytest.raises(OSError, match="No space left"):
        asyncio.run(run_task_on(executor, task_of(tmp_path, "hang"), hear))
