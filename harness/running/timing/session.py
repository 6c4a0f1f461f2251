"""One timing session: warm workers asked in turn, in randomised rounds, with a sentinel between them.

The sentinel times one large product, so that a round the machine was slow in can be told from a slow trial.
"""

import contextlib
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import psutil

from harness.contracts.executors import Slot
from harness.errors import EnvironmentMissing, WorkerError
from harness.running.observer import Say
from harness.running.workers import AskedWorker
from harness.worker.events import Block, Event, Failed, Ready
from harness.worker.trial import Trial

MIN_ROUNDS = 6
"""The fewest observations whose median has a 95 % interval."""
SENTINEL_SPREAD = 1.05
"""The sentinel's 90th to its 10th percentile; beyond it the machine was not the same all the time."""
DRIFT = 0.03
"""How much the sentinel's median may differ between the first and the last third of the rounds."""
OTHERS_SHARE = 0.10
"""The share of one core that other programs may take before rows are marked as taken under load."""

_Wanted = TypeVar("_Wanted", Ready, Block)
Starting = contextlib.AbstractAsyncContextManager[AskedWorker]
"""A worker that is started when it is entered."""


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How long timing may take and how narrow its intervals should become."""

    name: str
    seconds_per_trial: float
    """Budget: so many seconds for each kind of trial."""
    half_width: float
    """Relative half-width of the median's 95 % interval at which it is narrow enough."""
    block_seconds: float


EFFORTS = {
    effort.name: effort
    for effort in (
        Effort(name="quick", seconds_per_trial=7.0, half_width=0.02, block_seconds=0.2),
        Effort(name="thorough", seconds_per_trial=40.0, half_width=0.005, block_seconds=0.5),
    )
}


@dataclass(frozen=True)
class Placed:
    """One kind of trial to be timed, and where."""

    trial: Trial
    slot: Slot


@dataclass
class Timed:
    """What the session found for one kind of trial."""

    blocks: list[tuple[int, int, float]] = field(default_factory=list)
    """(round, tokens, seconds)."""
    problem: str = ""

    def half_width(self) -> float:
        """Return the relative half-width of the median rate's interval; infinite while there is none."""
        from harness.analysis.sessions import middle  # with SciPy, which a run that times nothing does without

        interval = middle([tokens / seconds for _, tokens, seconds in self.blocks], [0] * len(self.blocks))
        width = (interval.high - interval.low) / (2 * interval.estimate) if len(self.blocks) >= MIN_ROUNDS else math.inf
        return width if math.isfinite(width) else math.inf


@dataclass
class Session:
    """One timing session on one device."""

    timed: dict[str, Timed]
    """By trial_id of the trial that stood for its kind."""
    first_round: int = 0
    """No two sessions of a run share a round."""
    whole: bool = False
    """Whether it came to its end; one that was cut short holds what it measured until then."""
    started_at: float = field(default_factory=time.time)
    seconds: float = 0.0
    sentinel: list[float] = field(default_factory=list)
    """FLOP/s of the sentinel's product, one a round."""
    flops_per_s: float = 0.0
    """The best rate of a large product by any framework of the session on the device."""
    bytes_per_s: float = 0.0
    others_share: float = 0.0
    """Of one core, what other programs took meanwhile."""

    @property
    def num_rounds(self) -> int:
        """Return how many rounds were begun."""
        return len(self.sentinel)

    @property
    def disturbance(self) -> str:
        """Return what disturbed the session, for its rows; empty where nothing did."""
        disturbances = []
        if self.others_share > OTHERS_SHARE:
            disturbances.append(f"under load: other programs took {self.others_share:.0%} of a core")
        if len(self.sentinel) >= MIN_ROUNDS:
            low, high = np.percentile(self.sentinel, [10, 90])
            third = len(self.sentinel) // 3
            change = float(np.median(self.sentinel[-third:]) / np.median(self.sentinel[:third]) - 1)
            if abs(change) > DRIFT:
                disturbances.append(f"under drift: the machine became {_percent(change)} in the session")
            elif high / low > SENTINEL_SPREAD:
                disturbances.append(f"unsteady: the same product's rate varied by {high / low - 1:.0%}")
        return "; ".join(disturbances)


def _percent(change: float) -> str:
    return f"{abs(change):.0%} {'faster' if change > 0 else 'slower'}"


async def time_together(
    session: Session,
    placed: Sequence[Placed],
    start: Callable[[Placed], Starting],
    sentinel: Starting,
    effort: Effort,
    say: Say,
) -> None:
    """Time one group into the session: warm all workers up, then ask each for one block a round, in a new order.

    A worker that can't be started or ends is left out, its problem noted.
    """
    deadline = time.monotonic() + effort.seconds_per_trial * len(placed)
    async with contextlib.AsyncExitStack() as stack:
        workers = await _warm(stack, placed, start, session)
        watching = await stack.enter_async_context(sentinel)
        ready = _expect(await watching.next_event(), Ready)
        session.bytes_per_s = ready.bytes_per_s
        session.flops_per_s = max(session.flops_per_s, ready.flops_per_s)
        with _other_programs(session):
            # Another order in another session: what an order does to a trial is then not the same in all of them.
            await _rounds(session, workers, watching, random.Random(session.first_round), effort, deadline)
    session.whole = True
    say(_ending(session))


async def _rounds(
    session: Session,
    workers: dict[str, AskedWorker],
    watching: AskedWorker,
    order: random.Random,
    effort: Effort,
    deadline: float,
) -> None:
    while workers and _unfinished(session, effort, deadline):
        number = session.first_round + session.num_rounds
        session.sentinel.append(await _flops_per_s(watching))
        for trial_id in order.sample(sorted(workers), len(workers)):
            await _one_block(workers, trial_id, number, session)


def _unfinished(session: Session, effort: Effort, deadline: float) -> bool:
    if session.num_rounds < MIN_ROUNDS:
        return True
    wide = any(timed.half_width() > effort.half_width for timed in session.timed.values() if not timed.problem)
    return wide and time.monotonic() < deadline


def _ending(session: Session) -> str:
    problems = sum(1 for timed in session.timed.values() if timed.problem)
    widths = [timed.half_width() for timed in session.timed.values() if not timed.problem]
    lost = f"; {problems} could not be timed" if problems else ""
    return f"Timed in {session.num_rounds} rounds: medians to ±{max(widths, default=math.nan):.1%} or better{lost}."


async def _warm(
    stack: contextlib.AsyncExitStack,
    placed: Sequence[Placed],
    start: Callable[[Placed], Starting],
    session: Session,
) -> dict[str, AskedWorker]:
    """Start the workers, one after another, and return those that became ready."""
    workers = {}
    for one in placed:
        trial_id = one.trial.trial_id
        try:
            worker = await stack.enter_async_context(start(one))
            ready = _expect(await worker.next_event(), Ready)
        except (WorkerError, EnvironmentMissing) as error:
            session.timed[trial_id].problem = str(error)
            continue
        session.flops_per_s = max(session.flops_per_s, ready.flops_per_s)
        workers[trial_id] = worker
    return workers


async def _one_block(workers: dict[str, AskedWorker], trial_id: str, number: int, session: Session) -> None:
    timed = session.timed[trial_id]
    try:
        block = _expect(await workers[trial_id].ask(), Block)
    except WorkerError as error:
        timed.problem = str(error)
        del workers[trial_id]
        return
    timed.blocks.append((number, round(block.amount), block.seconds))


async def _flops_per_s(watching: AskedWorker) -> float:
    block = _expect(await watching.ask(), Block)
    return block.amount / block.seconds


def _expect(event: Event, wanted: type[_Wanted]) -> _Wanted:
    if isinstance(event, wanted):
        return event
    cause = (
        event.reason if isinstance(event, Failed) else f"it sent {event.name!r} instead of {wanted.__name__.lower()!r}"
    )
    raise WorkerError(f"The worker failed: {cause}.")


@contextlib.contextmanager
def _other_programs(session: Session) -> Iterator[None]:
    """Note what programs beside the workers take of the processor, from its busy time and the workers' own."""
    since, busy, own = time.monotonic(), _busy_seconds(), _own_seconds()
    try:
        yield
    finally:
        session.seconds = time.monotonic() - since
        others = _busy_seconds() - busy - (_own_seconds() - own)
        session.others_share = max(0.0, others) / max(1e-9, session.seconds)


def _busy_seconds() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))


def _own_seconds() -> float:
    me = psutil.Process()
    ended = me.cpu_times()  # of its children that are gone: a worker that ends is no other program
    gone = getattr(ended, "children_user", 0.0) + getattr(ended, "children_system", 0.0)
    return gone + sum(_seconds(process) for process in (me, *me.children(recursive=True)))


def _seconds(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.Error):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0
