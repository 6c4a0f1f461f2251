"""What a user sees while trials run: one live view in a terminal, plain lines elsewhere."""

import math
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.constrain import Constrain
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from harness.contracts.executors import Slot
from harness.worker import events
from harness.worker.events import EpochEnded, Event
from harness.worker.trial import Trial

_REFRESH_SECONDS = 0.5
_PLAIN_SECONDS = 5.0
"""Without a terminal, at most one line of progress in this time."""
_ETA_SECONDS = 2.0
"""Before this much work, what is left cannot be told."""
_WIDE = 100
"""A narrower terminal gets fewer columns, so that trial ids stay whole."""
_STYLES = {"ok": "green", "diverged": "yellow", "waiting": "yellow"}


@dataclass
class _Running:
    trial: Trial
    slot: str
    since: float
    epoch: int = 0
    resumed: float = 0.0
    """The share of the trial that an earlier run did."""
    fraction: float = 0.0
    loss: float = math.nan
    valid_loss: float = math.nan
    tokens_per_s: float = math.nan

    @property
    def worked(self) -> float:
        """The share of the trial done since it was launched."""
        return self.fraction - self.resumed

    def has_pace(self, now: float) -> bool:
        """Return whether it has trained for long enough to tell its pace: the first minibatches are slow."""
        return self.worked > 0 and now - self.since >= _ETA_SECONDS

    def seconds_left(self, now: float) -> float:
        """Return what its own pace so far leaves to do; 0 where there is none yet."""
        return (now - self.since) * (1 - self.fraction) / self.worked if self.has_pace(now) else 0.0


@dataclass
class _Tally:
    """What has been done, and how long the rest may take."""

    costs: Mapping[str, float]
    """Predicted seconds by trial id, of all trials of this run."""
    since: float
    statuses: Counter[str] = field(default_factory=Counter)
    worked_cost: float = 0.0
    left_cost: float = 0.0

    def __post_init__(self) -> None:
        self.left_cost = sum(self.costs.values())

    def ended(self, entry: _Running, status: str) -> None:
        """Count a trial that will not go on."""
        cost = self.costs[entry.trial.trial_id]
        self.statuses[status] += 1
        self.worked_cost += cost * entry.worked
        self.left_cost -= cost

    def eta_seconds(self, running: Iterable[_Running], now: float) -> float | None:
        """Scale the predicted rest by how the prediction has fared; no less than the slowest trial's own rest."""
        entries = [(self.costs[entry.trial.trial_id], entry) for entry in running]
        worked = self.worked_cost + sum(cost * entry.worked for cost, entry in entries)
        left = self.left_cost - sum(cost * entry.fraction for cost, entry in entries)
        elapsed = now - self.since
        is_known = self.worked_cost > 0 or any(entry.has_pace(now) for _, entry in entries)
        if not is_known or elapsed < _ETA_SECONDS:
            return None
        return max(elapsed * max(left, 0.0) / worked, *(entry.seconds_left(now) for _, entry in entries), 0.0)


class LiveView:
    """The terminal view, an `Observer` of the scheduler: trials done, running and waiting, and when it will end."""

    def __init__(
        self, costs: Mapping[str, float], console: Console, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console
        self._remarks: set[str] = set()
        self._clock = clock
        self._tally = _Tally(costs=costs, since=clock())
        self._running: dict[str, _Running] = {}
        """By trial id."""
        self._last_line = -math.inf
        self._bar = Progress(
            TextColumn("[bold]trials"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[eta]}"),
            console=console,
            expand=True,
            get_time=clock,
        )
        self._task = self._bar.add_task("trials", total=len(costs), eta="")
        self._live = (
            Live(get_renderable=self._render, console=console, refresh_per_second=1 / _REFRESH_SECONDS, transient=True)
            if console.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, traceback)
        if self._tally.statuses:
            counts = ", ".join(f"{count:,} {status}" for status, count in self._tally.statuses.most_common())
            done, total = self._tally.statuses.total(), len(self._tally.costs)
            self._say(f"{done:,} of {total:,} trials in {duration(self._clock() - self._tally.since)}: {counts}")

    def launched(self, trial: Trial, slot: Slot) -> None:
        """Show the trial among the running."""
        self._running[trial.trial_id] = _Running(trial, slot.name, self._clock())

    def heard(self, trial: Trial, event: Event) -> None:
        """Update the trial's line."""
        entry = self._running[trial.trial_id]
        if isinstance(event, events.Started):
            entry.epoch, entry.resumed = event.resumed_epochs, event.resumed_epochs / trial.num_epochs
            entry.fraction, entry.since = entry.resumed, self._clock()
        elif isinstance(event, events.Progress):
            entry.epoch, entry.fraction = event.epoch, event.fraction
            entry.loss, entry.tokens_per_s = event.loss, event.tokens_per_s
            self._say_progress(entry)
        elif isinstance(event, EpochEnded):
            entry.epoch, entry.fraction = event.epoch, event.epoch / trial.num_epochs
            names = ("train_loss", "valid_loss", "train_tokens", "train_seconds")
            entry.loss, entry.valid_loss, tokens, seconds = (event.measures.get(name, math.nan) for name in names)
            entry.tokens_per_s = tokens / seconds if seconds else math.nan
            self._say_progress(entry)

    def ended(self, trial: Trial, status: str, reason: str) -> None:
        """Print one line that stays."""
        entry = self._running.pop(trial.trial_id, None) or _Running(trial, "", self._clock())
        if status != "waiting":
            self._tally.ended(entry, status)
            self._bar.update(self._task, completed=self._tally.statuses.total())
        style = _STYLES.get(status, "red")
        outcome = f"valid perplexity {_perplexity(entry.valid_loss)}" if status == "ok" else escape(reason)
        self._say(f"[{style}]{status:>8}[/] {escape(trial.trial_id)}  {outcome}")

    def remark(self, line: str) -> None:
        """Show one line, once."""
        if line not in self._remarks:
            self._remarks.add(line)
            self._say(line)

    def abandoned(self) -> None:
        """Show the cursor again, which the live view hides."""
        self._console.show_cursor(True)

    def _say_progress(self, entry: _Running) -> None:
        now = self._clock()
        if self._live is not None or now - self._last_line < _PLAIN_SECONDS:
            return
        self._last_line = now
        figures = (  # what is not there yet is left out
            f"loss {_number(entry.loss)}" if not math.isnan(entry.loss) else "",
            f"valid perplexity {_perplexity(entry.valid_loss)}" if not math.isnan(entry.valid_loss) else "",
            f"{_rate(entry.tokens_per_s)} tokens/s" if not math.isnan(entry.tokens_per_s) else "",
            self._eta(),
        )
        epoch = f"   epoch {entry.epoch}/{entry.trial.num_epochs} of {escape(entry.trial.trial_id)}"
        self._say("  ".join([epoch, *filter(None, figures)]))

    def _say(self, line: str) -> None:
        self._console.print(line, soft_wrap=True, highlight=False)

    def _eta(self) -> str:
        # A copy: the view is drawn in a thread of its own while trials come and go.
        seconds = self._tally.eta_seconds(tuple(self._running.values()), self._clock())
        return "" if seconds is None else f"about {duration(seconds)} left"

    def _render(self) -> RenderableType:
        waiting = len(self._tally.costs) - self._tally.statuses.total() - len(self._running)
        self._bar.update(self._task, eta=f"{len(self._running)} running, {waiting} waiting  {self._eta()}".rstrip())
        # The heading, the bar, and the line of those that do not fit are not trials.
        entries = sorted(self._running.values(), key=lambda entry: _slot_order(entry.slot))  # a row stays where it is
        shown = entries[: max(1, self._console.height - 4)]
        hidden = len(entries) - len(shown)
        more = [f"… and {hidden} more"] if hidden else []
        # The margin takes the ^C that a terminal echoes: in the last column it would begin a line and shift the view.
        return Group(self._table(shown), *more, Constrain(self._bar, max(20, self._console.width - 5)))

    def _table(self, entries: Iterable[_Running]) -> Table:
        table = Table(box=None, pad_edge=False)
        wide = self._console.width >= _WIDE
        table.add_column("trial", overflow="fold")
        for name in ("on", "epoch", "done", "loss", "valid ppl", "tokens/s"):
            if wide or name not in ("on", "done"):
                table.add_column(name, justify="right", no_wrap=True)
        for entry in entries:
            cells = {
                "on": entry.slot,
                "epoch": f"{entry.epoch}/{entry.trial.num_epochs}",
                "done": f"{entry.fraction:.0%}",
                "loss": _number(entry.loss),
                "valid ppl": _perplexity(entry.valid_loss),
                "tokens/s": _rate(entry.tokens_per_s),
            }
            shown = [text for name, text in cells.items() if wide or name not in ("on", "done")]
            table.add_row(escape(entry.trial.trial_id), *shown)
        return table


def duration(seconds: float) -> str:
    """Return seconds as a person says them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:,.0f} days"


def _slot_order(name: str) -> tuple[bool, list[tuple[int, str]]]:
    """GPUs first, then by name, numbers as numbers; 'gpu:0/1' is the second worker on a GPU."""
    parts = re.findall(r"\d+|\D+", name)
    return not name.startswith("gpu"), [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _number(value: float) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:.3f}" if value < 1e5 else f"{value:.2e}"  # a model that never learnt must not fill the line


def _perplexity(loss: float) -> str:
    return _number(math.exp(min(loss, 700.0)))


def _rate(tokens_per_s: float) -> str:
    return "–" if math.isnan(tokens_per_s) else f"{tokens_per_s / 1000:.1f} k"
