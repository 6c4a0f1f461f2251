"""Places a worker: a local process with a pipe for its events, a lifeline, a log, and an end that is enforced."""

import asyncio
import contextlib
import dataclasses
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import UnionType
from typing import Any, BinaryIO, get_args, get_origin, get_type_hints

from harness.errors import WorkerError
from harness.worker.connection import EVENTS_FD, LIFELINE_FD
from harness.worker.events import Event, parse

EXIT_SECONDS = 5.0
"""How long a worker has between closing its pipe and its end."""
KILL_SECONDS = 5.0
"""How long a worker has between SIGTERM and SIGKILL."""
DRAIN_SECONDS = 1.0
"""How long a worker's pipe is still read when the worker is gone."""
_LINE_LIMIT = 1 << 24
"""Bytes of the longest event: an epoch of a day has a block for each of its seconds."""


class ProtocolError(Exception):
    """A worker sent what it should not have; the words continue 'it sent'."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """A worker to start."""

    python: str
    job_path: Path
    log_path: Path
    environment: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a worker ended."""

    returncode: int
    """Negative: the signal that ended it."""
    enforced: str = ""
    """Why the harness ended it, where it did."""
    timed_out: bool = False
    """Whether it was ended for taking too long."""


async def run_worker(
    command: Command, on_event: Callable[[Event], None], *, timeout: float | None, stall_timeout: float
) -> Ending:
    """Run a worker to its end and hand each event to ``on_event`` as it comes.

    A worker that is silent for ``stall_timeout`` seconds or runs longer than ``timeout`` is ended, first by
    SIGTERM, then by SIGKILL; so is one that breaks the protocol, and one whose task is cancelled.

    Raises: WorkerError where it can't be started.
    """
    async with _started(command) as (process, events):
        reader = _EventReader(events, on_event, stall_timeout)
        enforced, timed_out = "", False
        try:
            async with asyncio.timeout(timeout) as whole:
                await reader.read_all()
            # It has closed its pipe and has nothing left to do but go; one that hangs at exit is not waited for.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(process.wait()), EXIT_SECONDS)
        except TimeoutError:
            timed_out = True
            enforced = f"it took more than {timeout:g} s (--timeout)" if whole.expired() else reader.stalled
        except ProtocolError as error:
            enforced = f"it sent {error}"
        finally:
            await _end(process)
    assert process.returncode is not None
    return Ending(returncode=process.returncode, enforced=enforced, timed_out=timed_out)


class _EventReader:
    """Reads events until the worker closes its pipe."""

    def __init__(self, events: asyncio.StreamReader, on_event: Callable[[Event], None], stall_timeout: float) -> None:
        self._events = events
        self._on_event = on_event
        self._stall_timeout = stall_timeout
        self.stalled = f"it said nothing for {stall_timeout:g} s (--stall-timeout)"

    async def read_all(self) -> None:
        """Hand on every event. Raises: TimeoutError when none comes in time; ProtocolError."""
        while await self.read_one():
            pass

    async def read_one(self) -> bool:
        """Hand on the next event; False where the worker has closed its pipe. Raises: as `read_all`."""
        line = await self._line()
        if not line:
            return False
        try:
            event = parse(line.decode("utf-8", "replace"))
            _require_types(event)
        except (ValueError, RecursionError):
            raise ProtocolError(f"a line that is not an event: {line[:80]!r}") from None
        self._on_event(event)
        return True

    async def _line(self) -> bytes:
        try:
            async with asyncio.timeout(self._stall_timeout):
                return await self._events.readline()
        except ValueError:
            raise ProtocolError(f"a line of more than {_LINE_LIMIT:,} bytes") from None


def _require_types(event: Event) -> None:
    """Raise ValueError where a field is not what the event promises: the ledger and the view rely on it."""
    kind: type = type(event)
    for name, kinds in _field_types(kind).items():
        if not isinstance(getattr(event, name), kinds):
            raise ValueError(name)


@lru_cache
def _field_types(kind: type) -> dict[str, tuple[type, ...]]:
    hints = get_type_hints(kind)
    return {field.name: _json_types(hints[field.name]) for field in dataclasses.fields(kind)}


def _json_types(hint: Any) -> tuple[type, ...]:
    """Return what JSON makes of a type: a list of a tuple, and of a whole float perhaps an int."""
    if isinstance(hint, UnionType):
        return tuple(kind for part in get_args(hint) for kind in _json_types(part))
    kind = get_origin(hint) or hint
    return {float: (int, float), tuple: (list,)}.get(kind, (kind,))


class Asked:
    """A worker that stays, and answers each line it is given with one event."""

    def __init__(self, process: asyncio.subprocess.Process, events: asyncio.StreamReader, timeout: float) -> None:
        self._process = process
        self._heard: list[Event] = []
        self._reader = _EventReader(events, self._heard.append, timeout)

    async def next_event(self) -> Event:
        """Wait for the worker's next event. Raises: WorkerError when it ends, fails or says nothing in time."""
        try:
            going_on = await self._reader.read_one()
        except TimeoutError:
            raise WorkerError(f"The worker {self._reader.stalled}.") from None
        except ProtocolError as error:
            raise WorkerError(f"The worker sent {error}.") from None
        if not going_on:
            raise WorkerError("The worker ended: see its log.")
        return self._heard.pop()

    async def ask(self) -> Event:
        """Ask for one more answer and wait for it. Raises: WorkerError."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(b"again\n")
            await self._process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            raise WorkerError("The worker ended: see its log.") from None
        return await self.next_event()


@contextlib.asynccontextmanager
async def asked_worker(command: Command, *, stall_timeout: float) -> AsyncIterator[Asked]:
    """Keep a worker that answers when it is asked; it ends with the context.

    Raises: WorkerError where it can't be started.
    """
    async with _started(command, stdin=asyncio.subprocess.PIPE) as (process, events):
        try:
            yield Asked(process, events, stall_timeout)
        finally:
            await _end(process)


@contextlib.asynccontextmanager
async def _started(
    command: Command, stdin: int = asyncio.subprocess.DEVNULL
) -> AsyncIterator[tuple[asyncio.subprocess.Process, asyncio.StreamReader]]:
    with contextlib.ExitStack() as pipes:
        try:
            events_out, events_in = _pipe(pipes)
            # The write end closes with this process, however it ends: then the worker ends too.
            lifeline_out, _ = _pipe(pipes)
            process = await _spawn(command, stdin, events_in.fileno(), lifeline_out.fileno())
        except OSError as error:
            raise WorkerError(f"A worker could not be started with {command.python}: {error.strerror}.") from None
        events_in.close()
        lifeline_out.close()
        reader = asyncio.StreamReader(limit=_LINE_LIMIT)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), events_out
        )
        closing = asyncio.create_task(_close_after(process, transport))
        try:
            yield process, reader
        finally:
            closing.cancel()
            transport.close()


def _pipe(closed_by: contextlib.ExitStack) -> tuple[BinaryIO, BinaryIO]:
    out, into = os.pipe()
    return (
        closed_by.enter_context(os.fdopen(out, "rb", buffering=0)),
        closed_by.enter_context(os.fdopen(into, "wb", buffering=0)),
    )


async def _close_after(process: asyncio.subprocess.Process, transport: asyncio.ReadTransport) -> None:
    """Close the pipe soon after the worker's end, though a child of the worker's may still hold it."""
    await process.wait()
    await asyncio.sleep(DRAIN_SECONDS)
    transport.close()


async def _spawn(command: Command, stdin: int, events_in: int, lifeline_out: int) -> asyncio.subprocess.Process:
    environment = {**command.environment, EVENTS_FD: str(events_in), LIFELINE_FD: str(lifeline_out)}
    with command.log_path.open("ab") as log:
        return await asyncio.create_subprocess_exec(
            command.python,
            "-m",
            "harness.worker",
            str(command.job_path),
            stdin=stdin,
            stdout=log,
            stderr=log,
            env=environment,
            pass_fds=(events_in, lifeline_out),
            # A session of its own: Ctrl-C reaches the harness alone, and the group can be ended as one.
            start_new_session=True,
        )


async def _end(process: asyncio.subprocess.Process) -> None:
    """See to it that the worker and whatever it started are gone."""
    if process.returncode is None:
        _signal_group(process.pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(process.wait()), KILL_SECONDS)
    _signal_group(process.pid, signal.SIGKILL)
    await process.wait()


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
