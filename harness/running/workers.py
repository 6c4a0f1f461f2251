"""Runs a worker wherever an executor starts it: hears its events, and ends it where it hangs or breaks the protocol."""

import asyncio
import contextlib
import math
import time
import traceback
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from harness.contracts.executors import OpenExecutor, Slot, Task, Worker
from harness.contracts.visible import one_line
from harness.errors import HarnessError, WorkerError
from harness.running.protocol import ProtocolError, read_event
from harness.worker.events import Event

EXIT_SECONDS = 5.0
"""How long a worker has between closing its events and its end."""
_GLANCE_SECONDS = 1.0
"""At most so long is waited before the clock is looked at."""
_LATE_SECONDS = 0.5
"""By so much the clock may be late on a busy machine."""
_LINE_LIMIT = 1 << 24
"""Bytes of the longest event: an epoch of a day has a block for each of its seconds."""

Hear = Callable[[Event], None]


class EndWorker(Exception):  # noqa: N818 (it is no error of the worker's)
    """Raised by who hears a worker that is to be ended; the words say why."""


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
        reader = _EventReader(worker, stall_timeout, timeout)
        while (event := await reader.next_event()) is not None:
            _hand_on(event, hear, task.log_path)
        # It has closed its events and has nothing left to do but go; one that hangs at exit is not waited for.
        grace = EXIT_SECONDS
    except TimeoutError:
        timed_out, enforced = True, reader.overdue
    except ProtocolError as error:
        enforced = f"it sent {error}"
    except EndWorker as error:
        enforced = str(error)
    finally:
        returncode = await worker.end(grace)
    return Ending(returncode=returncode, enforced=enforced, timed_out=timed_out)


def _hand_on(event: Event, hear: Hear, log_path: Path) -> None:
    """Have an event heard; where that fails, by whosever fault, it costs this worker alone.

    Raises: ProtocolError, EndWorker. What the disk does not take is not the worker's fault, and goes on.
    """
    try:
        hear(event)
    except (HarnessError, OSError, ProtocolError, EndWorker):
        raise
    except Exception as error:
        with log_path.open("a", encoding="utf-8") as log:
            traceback.print_exc(file=log)
        cause = one_line(repr(error))
        raise ProtocolError(f"{event.name!r}, which could not be recorded ({cause}): see its log") from None


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
            raise WorkerError(f"The worker: {self._reader.overdue}.") from None
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


class _AwakeClock:
    """Counts the seconds in which this process was awake: while it is stopped (Ctrl-Z) it can hear nobody."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def look(self, waited: float) -> float:
        """Return the seconds since the last look; 0 where they are far more than was waited for."""
        now = time.monotonic()
        passed, self._last = now - self._last, now
        return passed if passed <= 2 * waited + _LATE_SECONDS else 0.0


class _EventReader:
    """Makes events of a worker's bytes; what waits to be read is read before the worker is judged by the clock."""

    def __init__(self, worker: Worker, stall_timeout: float, timeout: float | None = None) -> None:
        self._worker = worker
        self._stall_timeout = stall_timeout
        self._timeout = timeout
        self._left = math.inf if timeout is None else timeout
        """Seconds of the whole that the worker still has."""
        self._silent = 0.0
        """Seconds without a whole line."""
        self._clock = _AwakeClock()
        self.overdue = ""
        """What it took too long for, once it has."""
        self._lines: deque[bytes] = deque()
        self._begun: list[bytes] = []
        """The parts of a line whose end has not come yet."""
        self._begun_bytes = 0

    async def next_event(self) -> Event | None:
        """Return the next event; None at the end. Raises: TimeoutError when none comes in time; ProtocolError."""
        if not self._lines and not await self._fill():
            return self._last_event()
        return read_event(self._lines.popleft())

    async def _received(self) -> bytes:
        """Return the worker's next bytes. Raises: TimeoutError when none come in time."""
        reading = asyncio.ensure_future(self._worker.read())
        try:
            while self._left > 0 and self._silent < self._stall_timeout:
                glance = min(_GLANCE_SECONDS, self._stall_timeout - self._silent, self._left)
                await asyncio.wait({reading}, timeout=glance)
                passed = self._clock.look(glance)
                self._left -= passed
                self._silent += passed
                if reading.done():
                    return reading.result()
        finally:
            reading.cancel()
        if self._left <= 0:
            self.overdue = f"it took more than {self._timeout:g} s (--timeout)"
        else:
            self.overdue = f"it said nothing for {self._stall_timeout:g} s (--stall-timeout)"
        raise TimeoutError

    async def _fill(self) -> bool:
        """Read until a line has ended; False where the bytes end first."""
        self._left -= self._clock.look(_GLANCE_SECONDS)  # what the last event's hearer took
        self._silent = 0.0
        while not self._lines:
            received = await self._received()
            if not received:
                return False
            self._take(received)
        return True

    def _last_event(self) -> Event | None:
        """Return the event whose line was never ended, for its reader to judge."""
        rest = b"".join(self._begun)
        self._begun.clear()
        return read_event(rest) if rest else None

    def _take(self, received: bytes) -> None:
        *ended, rest = received.split(b"\n")
        for line in ended:
            self._lines.append(b"".join((*self._begun, line, b"\n")))
            self._begun, self._begun_bytes = [], 0
        self._begun.append(rest)
        self._begun_bytes += len(rest)
        if self._begun_bytes > _LINE_LIMIT:
            raise ProtocolError(f"a line of more than {_LINE_LIMIT:,} bytes")
