"""The contract suite of an executor: what becomes of its workers, however they and their parent end."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

from harness.contracts.executors import EVENTS_FD, LIFELINE_FD, OpenExecutor, SlotLostError, Task
from harness.errors import WorkerError
from harness.running.workers import Ending, asked_worker
from harness.testing import executor_deeds
from harness.testing.executor_tasks import asked_task, assert_beats_stop, beats, open_target, run_task_on, task_of
from harness.worker.events import Block, Event, Progress, Ready

_MAIN = """
import sys, pickle
from harness.testing.executor_tasks import run_task
target, task = pickle.loads(sys.stdin.buffer.read())
run_task(target, task)
"""


class ExecutorContract:
    """What an executor must do; name its target in `target`, and lose a slot in `lose_slot`."""

    target: ClassVar[str]
    start_seconds: ClassVar[float] = 60.0
    """A worker starts within so much time."""
    end_seconds: ClassVar[float] = 20.0
    """A worker that is ended, or whose parent is gone, ends within so much time, deaf or not."""

    def lose_slot(self, executor: OpenExecutor) -> None:  # noqa: ARG002
        """Let the slot of a running worker be lost: stop its node, cancel its allocation."""
        pytest.skip("the slots of this executor are not lost")

    @pytest.fixture
    def executor(self) -> OpenExecutor:
        """Open the executor with two CPU slots."""
        return open_target(self.target)

    def test_each_slot_has_a_name_of_its_own_and_what_a_worker_needs(self, executor: OpenExecutor) -> None:
        """Ask for two workers of one thread."""
        cpu = [slot for slot in executor.slots if slot.kind == "cpu"]
        assert len({slot.name for slot in executor.slots}) == len(executor.slots)
        assert [slot.num_threads for slot in cpu] == [1, 1]
        assert all(slot.device == "cpu" for slot in cpu)

    def test_what_a_worker_says_is_heard_while_it_works(self, executor: OpenExecutor, tmp_path: Path) -> None:
        """Let a worker wait until it has been heard."""

        def hear(event: Event) -> None:
            if isinstance(event, Progress) and event.fraction:
                (tmp_path / "heard").touch()

        ending = self.run(executor, task_of(tmp_path, "wait_to_be_heard"), hear)
        assert ending == Ending(returncode=0)

    def test_the_exit_code_is_the_worker_s(self, executor: OpenExecutor, tmp_path: Path) -> None:
        """Let a worker exit with a code of its own, and another be killed by a signal."""
        assert self.run(executor, task_of(tmp_path, "exit_with_three")) == Ending(returncode=3)
        assert self.run(executor, task_of(tmp_path, "kill_itself")) == Ending(returncode=-signal.SIGKILL)

    @pytest.mark.parametrize("deed", ["hang", "hang_deafly", "hang_with_a_child"])
    def test_a_silent_worker_is_ended_and_whatever_it_started(
        self, executor: OpenExecutor, tmp_path: Path, deed: str
    ) -> None:
        """Let a worker live and say nothing."""
        since = time.monotonic()
        ending = self.run(executor, task_of(tmp_path, deed), stall_timeout=3.0)
        assert ending.timed_out
        assert ending.enforced == "it said nothing for 3 s (--stall-timeout)"
        assert time.monotonic() - since < self.start_seconds + self.end_seconds
        assert_beats_stop(tmp_path, 0)

    def test_a_worker_whose_task_is_cancelled_is_ended(self, executor: OpenExecutor, tmp_path: Path) -> None:
        """Cancel while a worker hangs."""

        async def cancel() -> None:
            task = task_of(tmp_path, "hang_with_a_child")
            running = asyncio.create_task(run_task_on(executor, task))
            while not beats(tmp_path):
                assert not running.done()
                await asyncio.sleep(executor_deeds.BEAT_SECONDS)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running

        asyncio.run(asyncio.wait_for(cancel(), self.start_seconds + self.end_seconds))
        assert_beats_stop(tmp_path, 0)

    def test_a_worker_ends_when_its_parent_is_killed(self, tmp_path: Path) -> None:
        """Kill a process in which the executor runs a worker."""
        import pickle

        parent = subprocess.Popen([sys.executable, "-c", _MAIN], stdin=subprocess.PIPE)
        assert parent.stdin is not None
        parent.stdin.write(pickle.dumps((self.target, task_of(tmp_path, "hang"))))
        parent.stdin.close()
        until = time.monotonic() + self.start_seconds
        while not beats(tmp_path):
            assert time.monotonic() < until, "the worker did not start"
            assert parent.poll() is None
            time.sleep(executor_deeds.BEAT_SECONDS)
        parent.kill()
        parent.wait()
        assert_beats_stop(tmp_path, self.end_seconds)

    def test_nothing_of_a_flood_is_lost(self, executor: OpenExecutor, tmp_path: Path) -> None:
        """Let a worker say and write much at once; its log goes on from what was there."""
        task = task_of(tmp_path, "flood")
        task.log_path.write_text("before\n", encoding="utf-8")
        heard: list[Event] = []
        ending = self.run(executor, task, heard.append)
        assert ending == Ending(returncode=0)
        fractions = [event.fraction for event in heard if isinstance(event, Progress)]
        assert fractions[1:] == [number / executor_deeds.EVENTS for number in range(executor_deeds.EVENTS)]
        lines = task.log_path.read_text(encoding="utf-8").splitlines()
        assert lines == ["before", *(f"line {number}" for number in range(executor_deeds.LOG_LINES))]

    def test_a_worker_answers_the_lines_it_is_told(self, executor: OpenExecutor, tmp_path: Path) -> None:
        """Ask a worker three times, then leave it."""

        async def ask() -> list[Event]:
            slot = executor.slots[0]
            async with asked_worker(executor, asked_task(tmp_path), slot, stall_timeout=self.start_seconds) as worker:
                return [await worker.next_event(), *[await worker.ask() for _ in range(3)]]

        ready, *blocks = asyncio.run(ask())
        assert isinstance(ready, Ready)
        seconds = [block.seconds for block in blocks if isinstance(block, Block)]
        assert len(seconds) == 3
        assert [later - seconds[0] for later in seconds] == [0, 1, 2]

    def test_a_worker_sees_the_variables_it_is_given_and_no_others(
        self, executor: OpenExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Set one variable for the worker and another for the parent."""
        monkeypatch.setenv("HARNESS_SECRET", "of the parent")
        self.run(executor, task_of(tmp_path, "show_environment"))
        seen = json.loads((tmp_path / "environment.json").read_text(encoding="utf-8"))
        assert seen[executor_deeds.FOLDER] == str(tmp_path)
        assert not {"HARNESS_SECRET", EVENTS_FD, LIFELINE_FD} & seen.keys()

    def test_an_interpreter_that_is_missing_is_named(self, executor: OpenExecutor, tmp_path: Path) -> None:
        """Start a worker with a Python that is not there."""
        missing = str(tmp_path / "no-python")
        with pytest.raises(WorkerError, match="no-python") as raised:
            self.run(executor, replace(task_of(tmp_path, "hang"), python=missing))
        assert not isinstance(raised.value, SlotLostError)

    def test_a_lost_slot_is_told_from_a_worker_that_failed(self, executor: OpenExecutor, tmp_path: Path) -> None:
        """Lose the slot of a worker that works."""

        async def lose() -> None:
            running = asyncio.create_task(run_task_on(executor, task_of(tmp_path, "hang")))
            while not beats(tmp_path):
                assert not running.done()
                await asyncio.sleep(executor_deeds.BEAT_SECONDS)
            await asyncio.to_thread(self.lose_slot, executor)
            with pytest.raises(SlotLostError):
                await running

        asyncio.run(asyncio.wait_for(lose(), self.start_seconds + self.end_seconds))

    def run(
        self,
        executor: OpenExecutor,
        task: Task,
        hear: Callable[[Event], None] = lambda _: None,
        stall_timeout: float = 60.0,
    ) -> Ending:
        """Run a worker in the first slot."""
        return asyncio.run(run_task_on(executor, task, hear, stall_timeout))
