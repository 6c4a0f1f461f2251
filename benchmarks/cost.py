"""Measures what the harness adds to a default run: each part's core seconds and share, and a worker's memory.

    python -m benchmarks.cost --out reports/cost                  # README's command, twice, without --timing

The command runs in a process with clocks around its parts, first with an empty cache, then again in a new folder.
A part's core seconds are processor time, user's and system's: the parent's by the clocks, a worker's (and of what it
starts: a compiler) as it stood when each of its events was heard, to 10 ms, and its end by what all children took.
Training and evaluation share an epoch's processor time as they share its seconds; what is more than those is between
epochs. The timing phase is left out: it is a measurement for its own sake, as long as its option says.
"""

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import psutil

from benchmarks import tables
from benchmarks.peers.asking import child
from benchmarks.peers.given import Shape, task_of
from benchmarks.peers.programs import PEERS
from harness import cli, report
from harness.contracts.executors import OpenExecutor, Slot, Task
from harness.plugins import registry
from harness.record.ledger import Ledger
from harness.running import run, workplace
from harness.running.workers import Ending
from harness.worker.events import EpochEnded, Evaluated, Event, Finished, Started
from harness.worker.job import ReferenceJob, parse_job

COMMAND = Path(sysconfig.get_path("scripts"), "harness")
TRAINING, EVALUATION, TRANSFER = WORK = (
    "training",
    "evaluation after every epoch",
    "evaluation on every author's held-out text",
)
"""What the run is for; all else is the harness's own cost."""
_BARE_LOOPS = {"numpy": "native", "torch": "torch"}


@dataclass
class Clocks:
    """Core seconds by part, and the epochs' own seconds."""

    seconds: Counter[str] = field(default_factory=Counter)

    def around(self, part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with a clock around it."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.counting(part):
                return call(*args, **kwargs)

        return timed

    @contextlib.contextmanager
    def counting(self, part: str) -> Iterator[None]:
        """Count the block's processor time for a part."""
        since = time.process_time()
        yield
        self.seconds[part] += time.process_time() - since

    async def run(
        self, executor: OpenExecutor, task: Task, slot: Slot, hear: Callable[[Event], None], **limits: Any
    ) -> Ending:
        """Run a worker and divide its processor time into parts."""
        life = _Life(self.seconds, task)

        def heard(event: Event) -> None:
            life.heard(event)
            hear(event)

        return await _run_worker(executor, task, slot, heard, **limits)


@dataclass
class _Life:
    """A worker's processor time between its events."""

    seconds: Counter[str]
    task: Task
    _process: psutil.Process | None = None
    _last: float = 0.0
    _evaluated: list[tuple[int, float]] = field(default_factory=list)
    """Tokens and seconds of each held-out part; the last checkpoint's seconds are in the first part's."""

    def lap(self) -> float:
        """Return the core seconds since the last lap."""
        if self._process is None:
            job = str(self.task.job_path)
            self._process = next(child for child in psutil.Process().children() if job in child.cmdline())
        since, self._last = self._last, sum(self._process.cpu_times()[:4])  # its own and its children's
        return self._last - since

    def heard(self, event: Event) -> None:
        """Count what has been done since the event before."""
        if isinstance(parse_job(self.task.job), ReferenceJob):
            self.seconds["certificates: float64 references"] += self.lap()
        elif isinstance(event, Started):
            self.seconds["workers: start-up to the first step"] += self.lap()
        elif isinstance(event, EpochEnded):
            trained, evaluated = (event.measures[name] for name in ("train_seconds", "valid_seconds"))
            spent, clocked = self.lap(), trained + evaluated
            between = max(0.0, spent - clocked)
            self.seconds["workers: between epochs"] += between
            self.seconds[TRAINING] += (spent - between) * trained / clocked
            self.seconds[EVALUATION] += (spent - between) * evaluated / clocked
        elif isinstance(event, Evaluated):
            self._evaluated.append((event.num_tokens, self.lap()))
        elif isinstance(event, Finished):
            self.seconds["workers: sample"] += self.lap()
            self._count_evaluated()

    def _count_evaluated(self) -> None:
        """Take the first part to be read at the others' rate; the rest of its time went into the checkpoint."""
        tokens, seconds = (sum(column) for column in zip(*self._evaluated, strict=True))
        (first_tokens, first), others = self._evaluated[0], tokens - self._evaluated[0][0]
        checkpoint = max(0.0, first - (seconds - first) * first_tokens / others) if others else 0.0
        self.seconds["workers: last checkpoint"] += checkpoint
        self.seconds[TRANSFER] += seconds - checkpoint


_run_worker = workplace.run_worker


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _arguments(arguments)
    if asked.measure:
        (asked.out / asked.measure).write_text(json.dumps(_cost_of(asked.command.split(), asked.out / "run")))
        return 0
    parts = {}
    with tempfile.TemporaryDirectory() as name, patch.dict(os.environ, HARNESS_CACHE_DIR=str(Path(name) / "cache")):
        for which in ("first", "again"):
            folder = Path(name) / which
            folder.mkdir()
            parts[which] = _measured(asked.command, folder)
        trials = pd.read_csv(folder / "run" / "trials.csv")
    tables.write(_shares(parts), asked.out, "cost", f"What harness {asked.command} costs", _notes(parts))
    tables.write(_memory(trials), asked.out, "memory", "A worker's peak memory against a bare loop's")
    print((asked.out / "cost.md").read_text(), (asked.out / "memory.md").read_text(), sep="\n")
    return 0


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", default="run --plugins lstm,gru,numpy --layers 1-4", help="without 'harness'")
    parser.add_argument("--measure", metavar="FILE", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=Path("reports/cost"))
    return parser.parse_args(arguments)


def _measured(command: str, folder: Path) -> Counter[str]:
    """Measure the command in a process of its own: what it loads is then its own, too."""
    measure = [
        sys.executable,
        "-m",
        __spec__.name,
        "--command",
        command,
        "--out",
        str(folder),
        "--measure",
        "parts.json",
    ]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    subprocess.run(measure, env=environment, check=True)
    return Counter(json.loads((folder / "parts.json").read_text()))


def _cost_of(command: Sequence[str], folder: Path) -> Counter[str]:
    """Give the command and return the core seconds of its parts."""
    clocks = Clocks()
    clocks.seconds["start-up: interpreter, imports, plugins"] = _start_seconds()
    since, children_since = time.process_time(), _children_seconds()
    with (
        patch.object(run, "prepare", clocks.around("texts, plan and prediction", run.prepare)),
        patch.object(report, "write_report", clocks.around("report", report.write_report)),
        patch.object(Ledger, "_transaction", _counted(clocks, Ledger._transaction)),
        patch.object(workplace, "run_worker", clocks.run),
        contextlib.suppress(SystemExit),
    ):
        cli.main([*command, "--timing", "off", "--out", str(folder)], standalone_mode=False)
    whole = time.process_time() - since
    heard = [name for name in clocks.seconds if name.startswith(("workers", "certificates")) or name in WORK]
    ended = _children_seconds() - children_since - sum(clocks.seconds[name] for name in heard)
    clocks.seconds["workers: exit"] = max(0.0, ended)
    own = ("texts, plan and prediction", "report", "ledger")
    clocks.seconds["parent: starting and hearing the workers"] = whole - sum(clocks.seconds[part] for part in own)
    return clocks.seconds


def _counted(clocks: Clocks, transaction: Callable[[Ledger], Any]) -> Callable[[Ledger], Any]:
    @contextlib.contextmanager
    def counted(ledger: Ledger) -> Iterator[None]:
        with clocks.counting("ledger"), transaction(ledger):
            yield

    return counted


def _children_seconds() -> float:
    """Return the processor time of every child that has ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _start_seconds() -> float:
    """Return the processor time of a command that finds every plugin and does nothing with them."""
    process = subprocess.Popen([COMMAND, "plugins"], stdout=subprocess.DEVNULL)
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0  # it is reaped already
    return usage.ru_utime + usage.ru_stime


def _shares(parts: dict[str, Counter[str]]) -> pd.DataFrame:
    """Return one row a part, with seconds and share of each run."""
    names = sorted(set().union(*parts.values()), key=lambda name: -max(run[name] for run in parts.values()))
    columns: dict[str, list[Any]] = {"part": names}
    for which, seconds in parts.items():
        columns[f"{which}_core_s"] = [seconds[name] for name in names]
        columns[f"{which}_share"] = [seconds[name] / seconds.total() for name in names]
    return pd.DataFrame(columns)


def _notes(parts: dict[str, Counter[str]]) -> list[str]:
    notes = [
        f"{which} run: the harness's own cost, all but training and evaluation, is "
        f"{1 - sum(seconds[name] for name in WORK) / seconds.total():.1%} of {seconds.total():.1f} core seconds; "
        f"training is {seconds[TRAINING] / seconds.total():.1%}."
        for which, seconds in parts.items()
    ]
    return [*notes, *(" ".join(part.split()) for part in (__doc__ or "").split("\n\n")[2:])]


def _memory(trials: pd.DataFrame) -> pd.DataFrame:
    """Return each finished trial's peak memory beside a bare loop's of the same backend and sizes."""
    rows = []
    for row in trials[trials["status"] == "ok"].to_dict("records"):
        bare = _bare_peak_bytes(row) if row["backend"] in _BARE_LOOPS else float("nan")
        rows.append(
            {
                "trial": row["trial_id"].rpartition("-")[0],
                "worker_bytes": row["peak_rss_bytes"],
                "bare_loop_bytes": bare,
                "ratio": row["peak_rss_bytes"] / bare,
            }
        )
    return pd.DataFrame(rows)


def _bare_peak_bytes(row: dict[str, Any]) -> int:
    """Train the same model a second in the loop of the peers' comparison, and return its process's peak memory."""
    peer = next(peer for peer in PEERS if peer.name == _BARE_LOOPS[row["backend"]])
    shape = Shape(row["num_hiddens"], row["batch_size"], row["num_steps"], row["num_layers"])
    tokens = np.random.default_rng(0).integers(0, row["vocab_size"], shape.batch_size * (20 * shape.num_steps) + 1)
    command, environment = peer.command(registry.load(None), num_threads=1)
    with tempfile.TemporaryDirectory() as name:
        task = task_of(shape, row["cell"], tokens, row["vocab_size"], Path(name) / "data.npz", 0.1) | peer.options
        task["optimizer"] = row["optimizer"]  # whose moments are memory, too
        with child(command, environment, task, Path(name) / "log") as bare:
            bare.ask()
            return bare.peak_rss_bytes()


if __name__ == "__main__":
    sys.exit(main())
