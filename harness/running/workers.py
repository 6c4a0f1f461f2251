"""Runs a worker wherever an executor starts it: hears its events, and ends it where it hangs or breaks the protocol."""

import asyncio
import contextlib
import dataclasses
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import lru_cache
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from harness.contracts.executors import OpenExecutor, Slot, Task, Worker
from harness.errors import WorkerError
from harness.worker.events import Event, parse

EXIT_SECONDS = 5.0
"""How long a worker has between closing its events and its end."""
_LINE_LIMIT = 1 << 24
"""Bytes of the longest event: an epoch of a day has a block for each of its seconds."""

Hear = Callable[[Event], None]


class ProtocolError(Exception):
    """A worker sent what it should not have; the words continue 'it sent'."""


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
    executor: OpenExecutor, task: Task, slot: Slot, hear: Hear, *, timeout: float | None, stall_timeout: float
) -> Ending:
    """Run a worker to its end and hand on each event as it comes.

    A worker that is silent for ``stall_timeout`` seconds or runs longer than ``timeout`` is ended; so is one that
    breaks the protocol, and one whose task is cancelled.

    Raises: WorkerError where it can't be started; SlotLostError.
    """
    worker = await executor.start(task, slot)
    enforced, timed_out, grace = "", False, 0.0
    try:
        reader = _EventReader(worker, stall_timeout)
        async with asyncio.timeout(timeout) as whole:
            while (event := await reader.next_event()) is not None:
                hear(event)
        # It has closed its events and has nothing left to do but go; one that hangs at exit is not waited for.
        grace = EXIT_SECONDS
    except TimeoutError:
        timed_out = True
        enforced = f"it took more than {timeout:g} s (--timeout)" if whole.expired() else reader.stalled
    except ProtocolError as error:
        enforced = f"it sent {error}"
    finally:
        returncode = await worker.end(grace)
    return Ending(returncode=returncode, enforced=enforced, timed_out=timed_out)


class AskedWorker:
    """A worker that stays, and answers each line it is given with one event."""

    def __init__(self, worker: Worker, stall_timeout: float) -> None:
        self._worker = worker
        self._reader = _EventReader(worker, stall_timeout)

    async def next_event(self) -> Event:
        """Wait for the worker's next event. Raises: WorkerError when it ends, fails or says nothing in time."""
        try:
            event = await self._reader.next_event()
        except TimeoutError:
            raise WorkerError(f"The worker {self._reader.stalled}.") from None
        except ProtocolError as error:
            raise WorkerError(f"The worker sent {error}.") from None
        if event is None:
            raise WorkerError("The worker ended: see its log.")
        return event

    async def ask(self) -> Event:
        """Ask for one more answer and wait for it. Raises: WorkerError."""
        await self._worker.write(b"again\n")
        return await self.next_event()


@contextlib.asynccontextmanager
async def asked_worker(
    executor: OpenExecutor, task: Task, slot: Slot, *, stall_timeout: float
) -> AsyncIterator[AskedWorker]:
    """Keep a worker that answers when it is asked; it ends with the context.

    Raises: WorkerError where it can't be started.
    """
    worker = await executor.start(task, slot)
    try:
        yield AskedWorker(worker, stall_timeout)
    finally:
        await worker.end(0.0)


class _EventReader:
    """Makes events of a worker's bytes."""

    def __init__(self, worker: Worker, stall_timeout: float) -> None:
        self._worker = worker
        self._stall_timeout = stall_timeout
        self.stalled = f"it said nothing for {stall_timeout:g} s (--stall-timeout)"
        self._lines: deque[bytes] = deque()
        self._begun: list[bytes] = []
        """The parts of a line whose end has not come yet."""
        self._begun_bytes = 0

    async def next_event(self) -> Event | None:
        """Return the next event; None at the end. Raises: TimeoutError when none comes in time; ProtocolError."""
        if not self._lines:
            async with asyncio.timeout(self._stall_timeout):
                if not await self._fill():
                    return self._last_event()
        return _event(self._lines.popleft())

    async def _fill(self) -> bool:
        """Read until a line has ended; False where the bytes end first."""
        while not self._lines:
            received = await self._worker.read()
            if not received:
                return False
            self._take(received)
        return True

    def _last_event(self) -> Event | None:
        """Return the event whose line was never ended, for its reader to judge."""
        rest = b"".join(self._begun)
        self._begun.clear()
        return _event(rest) if rest else None

    def _take(self, received: bytes) -> None:
        *ended, rest = received.split(b"\n")
        for line in ended:
            self._lines.append(b"".join((*self._begun, line, b"\n")))
            self._begun, self._begun_bytes = [], 0
        self._begun.append(rest)
        self._begun_bytes += len(rest)
        if self._begun_bytes > _LINE_LIMIT:
            raise ProtocolError(f"a line of more than {_LINE_LIMIT:,} bytes")


def _event(line: bytes) -> Event:
    try:
        event = parse(line.decode("utf-8", "replace"))
        _require_types(event)
    except (ValueError, RecursionError):
        raise ProtocolError(f"a line that is not an event: {line[:80]!r}") from None
    return event


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
