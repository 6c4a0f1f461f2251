"""Measures what the harness adds to a default run: each part's core seconds and share, and a worker's memory.

    python -m tests.benchmarks.cost --out reports/cost                  # README's command, twice, without --timing

The command runs in a process with clocks around its parts, first with an empty cache, then again in a new folder.
A part's core seconds are processor time in the parent, and a worker's life elsewhere: each worker has one thread and
a core. The timing phase is left out: it is a measurement for its own sake, as long as its option says.
"""

import argparse
import contextlib
import json
import os
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

from harness import cli, references, registry, report, run, runner
from harness.executors import Command, Ending
from harness.ledger import Ledger
from harness.worker.events import EpochEnded, Event, Started
from tests.benchmarks import tables
from tests.benchmarks.peers.asking import child
from tests.benchmarks.peers.given import Shape, task_of
from tests.benchmarks.peers.programs import PEERS

COMMAND = Path(sysconfig.get_path("scripts"), "harness")
TRAINING, EVALUATION = "training", "evaluation after every epoch"
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

    async def train(self, command: Command, on_event: Callable[[Event], None], **limits: Any) -> Ending:
        """Run a training worker and divide its life into parts."""
        marks = [time.perf_counter()]
        epochs: list[EpochEnded] = []

        def hear(event: Event) -> None:
            if isinstance(event, Started | EpochEnded):
                marks.append(time.perf_counter())
            if isinstance(event, EpochEnded):
                epochs.append(event)
            on_event(event)

        ending = await _run_worker(command, hear, **limits)
        marks.append(time.perf_counter())
        training, evaluation = (sum(getattr(e, f"{name}_seconds") for e in epochs) for name in ("train", "valid"))
        self.seconds[TRAINING] += training
        self.seconds[EVALUATION] += evaluation
        self.seconds["workers: start-up to the first step"] += marks[1] - marks[0]
        self.seconds["workers: checkpoint, sample and exit"] += marks[-1] - marks[-2]
        self.seconds["workers: between epochs"] += marks[-2] - marks[1] - training - evaluation
        return ending

    async def refer(self, command: Command, on_event: Callable[[Event], None], **limits: Any) -> Ending:
        """Run a worker that makes a certificate's reference."""
        since = time.perf_counter()
        ending = await _run_worker(command, on_event, **limits)
        self.seconds["certificates: float64 references"] += time.perf_counter() - since
        return ending


_run_worker = runner.run_worker


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
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run(measure, env=environment, check=True)
    return Counter(json.loads((folder / "parts.json").read_text()))


def _cost_of(command: Sequence[str], folder: Path) -> Counter[str]:
    """Give the command and return the core seconds of its parts."""
    clocks = Clocks()
    clocks.seconds["start-up: interpreter, imports, plugins"] = _start_seconds()
    since = time.process_time()
    with (
        patch.object(run, "prepare", clocks.around("texts, plan and prediction", run.prepare)),
        patch.object(report, "write_report", clocks.around("report", report.write_report)),
        patch.object(Ledger, "_transaction", _counted(clocks, Ledger._transaction)),
        patch.object(runner, "run_worker", clocks.train),
        patch.object(references, "run_worker", clocks.refer),
        contextlib.suppress(SystemExit),
    ):
        cli.main([*command, "--timing", "off", "--out", str(folder)], standalone_mode=False)
    whole = time.process_time() - since
    own = ("texts, plan and prediction", "report", "ledger")
    clocks.seconds["parent: starting and hearing the workers"] = whole - sum(clocks.seconds[part] for part in own)
    return clocks.seconds


def _counted(clocks: Clocks, transaction: Callable[[Ledger], Any]) -> Callable[[Ledger], Any]:
    @contextlib.contextmanager
    def counted(ledger: Ledger) -> Iterator[None]:
        with clocks.counting("ledger"), transaction(ledger):
            yield

    return counted


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
        f"{1 - (seconds[TRAINING] + seconds[EVALUATION]) / seconds.total():.1%} of {seconds.total():.1f} core seconds; "
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
        with child(command, environment, task, Path(name) / "log") as bare:
            bare.ask()
            return bare.peak_rss_bytes()


if __name__ == "__main__":
    sys.exit(main())
