"""Starts workers as processes of this machine: a pipe for their events, a lifeline, a log, an end that is enforced."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from typing import BinaryIO

from harness.contracts.executors import EVENTS_FD, LIFELINE_FD, Slot, SlotRequest, Task
from harness.errors import WorkerError
from harness_local.slots import find_slots

KILL_SECONDS = 5.0
"""How long a worker has between SIGTERM and SIGKILL."""
DRAIN_SECONDS = 1.0
"""How long a worker's pipe is still read when the worker is gone."""
_READ_BYTES = 1 << 16


class LocalExecutor:
    """The processes of this machine."""

    def __init__(self, request: SlotRequest) -> None:
        self.slots: Sequence[Slot] = find_slots(request)

    async def start(self, task: Task, slot: Slot) -> "LocalWorker":  # noqa: ARG002 (the task's environment has the slot's)
        """Start a process in a session of its own. Raises: WorkerError."""
        with contextlib.ExitStack() as unless_started:
            try:
                events_out, events_in = _pipe(unless_started)
                lifeline_out, lifeline_in = _pipe(unless_started)
                events, transport = await _listen(events_out)
                unless_started.callback(transport.close)
                process = await _spawn(task, events_in.fileno(), lifeline_out.fileno())
            except OSError as error:
                raise WorkerError(f"A worker could not be started with {task.python}: {error.strerror}.") from None
            events_in.close()
            lifeline_out.close()
            worker = LocalWorker(process, events, transport, lifeline_in)
            unless_started.pop_all()
        return worker


class LocalWorker:
    """A process, and all that it starts."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        events: asyncio.StreamReader,
        transport: asyncio.ReadTransport,
        lifeline: BinaryIO,
    ) -> None:
        self._process = process
        self._events = events
        self._transport = transport
        # It closes with this process, however that ends: then the worker ends too.
        self._lifeline = lifeline
        self._draining = asyncio.create_task(self._stop_listening())

    async def read(self) -> bytes:
        """Return what is in the pipe."""
        return await self._events.read(_READ_BYTES)

    async def write(self, line: bytes) -> None:
        """Write to its standard input."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._process.stdin.write(line)
            await self._process.stdin.drain()

    async def end(self, grace_seconds: float) -> int:
        """See to it that the process and whatever it started are gone."""
        try:
            await self._wait(grace_seconds)
            if self._process.returncode is None:
                self._signal(signal.SIGTERM)
                await self._wait(KILL_SECONDS)
        finally:
            self._signal(signal.SIGKILL)
            self._draining.cancel()
            self._transport.close()
            self._lifeline.close()
        return await self._process.wait()

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._process.wait()), seconds)

    async def _stop_listening(self) -> None:
        """Close the pipe soon after the process's end, though a child of it may still hold the other end."""
        await self._process.wait()
        await asyncio.sleep(DRAIN_SECONDS)
        self._transport.close()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def _pipe(closed_by: contextlib.ExitStack) -> tuple[BinaryIO, BinaryIO]:
    out, into = os.pipe()
    return (
        closed_by.enter_context(os.fdopen(out, "rb", buffering=0)),
        closed_by.enter_context(os.fdopen(into, "wb", buffering=0)),
    )


async def _listen(pipe: BinaryIO) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
    reader = asyncio.StreamReader(limit=_READ_BYTES)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    return reader, transport


async def _spawn(task: Task, events_in: int, lifeline_out: int) -> asyncio.subprocess.Process:
    with task.log_path.open("ab") as log:
        return await asyncio.create_subprocess_exec(
            task.python,
            "-m",
            "harness.worker",
            str(task.job_path),
            stdin=asyncio.subprocess.PIPE if task.is_asked else asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**task.environment, EVENTS_FD: str(events_in), LIFELINE_FD: str(lifeline_out)},
            pass_fds=(events_in, lifeline_out),
            # A session of its own: Ctrl-C reaches the harness alone, and the group can be ended as one.
            start_new_session=True,
        )
