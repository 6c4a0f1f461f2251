"""Measures how cost grows: with layers, hiddens, batch, steps, corpus, trials in the ledger, and workers.

    python -m benchmarks.growth --out reports/growth

Each axis is one table of measured costs and, by least squares on the logarithms, the exponent of each measure with its
95 % interval, over the axis as a whole and over its upper half: where the two differ, the growth bends.
"""

import argparse
import contextlib
import json
import random
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks import tables
from benchmarks.peers.asking import child
from benchmarks.peers.given import Shape, task_of
from benchmarks.peers.programs import PEERS
from benchmarks.schedule import corpus_of_no_text
from harness.analysis.frames import read_run
from harness.analysis.statistics import median_interval
from harness.grid import plan as planning
from harness.grid.selection import select
from harness.plugins import registry
from harness.record.folder import RunFolder
from harness.record.ledger import Launch, Ledger
from harness.report import write_report
from harness.testing.trials import epoch_ended, finished, started
from harness.worker.events import EpochEnded
from harness.worker.trial import Trial

COMMAND = Path(sysconfig.get_path("scripts"), "harness")
USUAL = Shape(num_hiddens=256, batch_size=32, num_steps=35, num_layers=2)
VOCAB_SIZE = 28
NATIVE = next(peer for peer in PEERS if peer.name == "native")
_READ_CORPUS = """
import json, resource, sys, time
import numpy as np
from pathlib import Path
from rich.console import Console
from harness.plugins import registry
from harness.texts.reading import read_corpora
from harness.texts.selection import TextSelection
from harness.worker.minibatches import Sequential
plugins, texts = registry.load(None), TextSelection(corpora=(sys.argv[1],))
since = time.perf_counter()
(corpus,) = read_corpora(texts, plugins, lambda _: None)
read = time.perf_counter() - since
since = time.perf_counter()
for _ in Sequential(np.load(corpus.train_path, mmap_mode="r"), 32, 35):
    pass
minibatches = time.perf_counter() - since
# ru_maxrss would begin with the parent's: what this process inherits before it is replaced counts there.
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(json.dumps({"read_s": read, "minibatches_s": minibatches, "peak_bytes": 1024 * int(peak.split()[1])}))
"""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One thing that grows."""

    name: str
    values: tuple[int, ...]
    measure: Callable[[Sequence[int], argparse.Namespace], list[dict[str, Any]]]
    """Returns rows with 'value', 'measure', 'cost' and its interval 'low', 'high'."""
    why: str


def step_seconds(name: str) -> Callable[[Sequence[int], argparse.Namespace], list[dict[str, Any]]]:
    """Return the measurement of a training step's seconds over one size, every value in every round."""

    def measure(values: Sequence[int], asked: argparse.Namespace) -> list[dict[str, Any]]:
        shapes = {value: replace(USUAL, **{name: value}) for value in values}
        rows = []
        for cell in asked.cells.split(","):
            blocks = _interleaved(cell, shapes, asked)
            rows += [_row(value, f"{cell}: seconds a step", seconds) for value, seconds in blocks.items()]
        return rows

    return measure


def _interleaved(cell: str, shapes: dict[int, Shape], asked: argparse.Namespace) -> dict[int, list[float]]:
    """Return the seconds of a step in each round, by the axis's value."""
    command, environment = NATIVE.command(registry.load(None), num_threads=1)
    found: dict[int, list[float]] = {value: [] for value in shapes}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        children = {}
        for value, shape in shapes.items():
            tokens = np.random.default_rng(0).integers(0, VOCAB_SIZE, shape.batch_size * (4 * shape.num_steps + 1) + 1)
            task = task_of(shape, cell, tokens, VOCAB_SIZE, folder / f"{value}.npz", asked.block_seconds)
            log = folder / f"{value}.log"
            children[value] = stack.enter_context(child(command, environment, task | NATIVE.options, log))
        order = random.Random(0)
        for _ in range(asked.rounds):
            for value in order.sample(sorted(children), len(children)):
                shape = shapes[value]
                found[value].append(shape.batch_size * shape.num_steps / children[value].ask().rate)
    return found


def corpus_costs(values: Sequence[int], asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure reading a text of so many characters, at first and from the cache, and going through its minibatches."""
    rows = []
    for value in values:
        with tempfile.TemporaryDirectory() as name:
            text = Path(name) / "text.txt"
            text.write_bytes(_words(value))
            first = _read(text, Path(name))
            again = [_read(text, Path(name)) for _ in range(3)]
        rows += [
            _row(value, "seconds to read and tokenise", [first["read_s"]]),
            _row(value, "seconds to find in the cache", [one["read_s"] for one in again]),
            _row(value, "seconds for an epoch's minibatches", [one["minibatches_s"] for one in again]),
            _row(value, "peak bytes to read and tokenise", [first["peak_bytes"]]),
            _row(value, "peak bytes from the cache", [one["peak_bytes"] for one in again]),
        ]
    return rows


def _words(size: int) -> bytes:
    """Return about so many bytes of pseudo-random words in lines."""
    generator = np.random.default_rng(0)
    letters = generator.integers(ord("a"), ord("z") + 1, size, dtype=np.uint8)
    letters[generator.random(size) < 0.18] = ord(" ")
    letters[::70] = ord("\n")
    return letters.tobytes()


def _read(text: Path, folder: Path) -> dict[str, float]:
    environment = {"PATH": "/usr/bin:/bin", "HARNESS_CACHE_DIR": str(folder / "cache"), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", _READ_CORPUS, str(text)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    values: dict[str, float] = json.loads(done.stdout)
    return values


def ledger_costs(values: Sequence[int], asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure planning, recording, reading and reporting so many trials of two epochs."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        list(_record_and_report(4, Path(name)))  # whatever is loaded at first use is loaded now
    for value in values:
        with tempfile.TemporaryDirectory() as name:
            rows += [_row(value, measure, [seconds]) for measure, seconds in _record_and_report(value, Path(name))]
    return rows


def _record_and_report(count: int, path: Path) -> Iterator[tuple[str, float]]:
    plugins, corpus = registry.load(None), corpus_of_no_text(path)
    with _clock() as planned:
        seeds = tuple(range(max(1, count // 4)))
        plan = planning.plan_trials(
            select({"plugins": "lstm,gru,numpy", "layers": (1, 2), "seeds": seeds})[0], plugins, [corpus]
        )
    yield "seconds to plan", planned()
    folder = RunFolder(path / "run")
    folder.path.mkdir()
    manifest = {"corpora": [asdict(corpus) | {"title": "none", "licence": "", "source": ""}], "hardware": {}}
    folder.furnish(json.loads(json.dumps(manifest, default=str)))
    with Ledger(folder.ledger) as ledger:
        with _clock() as added:
            ledger.add(plan.runnable)
        yield "seconds to add to the ledger", added()
        with _clock() as recorded:
            for trial in plan.runnable:
                _record(ledger, trial)
        yield "seconds to record", recorded()
    with _clock() as read:
        read_run(folder.path)
    yield "seconds to read", read()
    with _clock() as reported:
        page = write_report(folder.path)
    yield "seconds to report", reported()
    yield "bytes of the page", page.stat().st_size


def _record(ledger: Ledger, trial: Trial) -> None:
    ledger.launched(trial.trial_id, Launch(slot="cpu:0", concurrency=2))
    ledger.started(trial.trial_id, started())
    for number in (1, 2):
        loss = 2.0 - 0.3 * number - 0.01 * (trial.seed % 10)
        ledger.epoch(trial.trial_id, _epoch(number, loss))
    ledger.ended(trial.trial_id, "ok", finished=finished())


def _epoch(number: int, loss: float) -> EpochEnded:
    blocks = ((71_000, 1.0),) * 8
    return epoch_ended(number, loss + 0.1, train_loss=loss, train_tokens=570_000, train_seconds=8.0, blocks=blocks)


def worker_costs(values: Sequence[int], asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure a run of equal trials on so many workers: the command's wall seconds, and seconds a million tokens."""
    found: dict[tuple[int, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        text = Path(name) / "text.txt"
        text.write_bytes(_words(asked.worker_chars))
        for repeat in range(asked.repeats + 1):
            for value in values:
                out = Path(name) / f"{repeat}-{value}"
                options = ("--hiddens", "256", "--layers", "2", "--seeds", str(2 * max(values)), "--epochs", "1")
                places = ("--jobs", str(value), "--devices", "cpu", "--timing", "off", "--out", str(out))
                command = [COMMAND, "run", "--plugins", "lstm,numpy", "--corpus", str(text), *options, *places]
                with _clock() as wall:
                    subprocess.run(command, check=True, capture_output=True)
                if repeat == 0:
                    continue  # the first run of each makes the certificates' references
                trials = pd.read_csv(out / "trials.csv")
                together = trials["train_seconds"].sum() / value / trials["train_tokens"].sum()
                found.setdefault((value, "wall seconds of the command"), []).append(wall())
                found.setdefault((value, "training seconds a million tokens"), []).append(1e6 * together)
    return [_row(value, measure, costs) for (value, measure), costs in found.items()]


@contextlib.contextmanager
def _clock() -> Iterator[Callable[[], float]]:
    """Give a function that returns the seconds the block took."""
    since = time.perf_counter()
    ended: list[float] = []
    yield lambda: ended[0] - since
    ended.append(time.perf_counter())


def _row(value: int, measure: str, costs: Sequence[float]) -> dict[str, Any]:
    interval = median_interval(costs)
    return {"value": value, "measure": measure, "cost": statistics.median(costs), "low": interval.low} | {
        "high": interval.high
    }


AXES = (
    Axis(
        name="layers",
        values=(1, 2, 3, 4, 6, 8),
        measure=step_seconds("num_layers"),
        why="The first layer looks its inputs up, every further one multiplies them and costs about twice as "
        "much: above 1 at few layers, towards 1 at many.",
    ),
    Axis(
        name="hiddens",
        values=(64, 128, 256, 512, 1024),
        measure=step_seconds("num_hiddens"),
        why="Products grow with the square, gates, loss and output layer with the first power: the exponent rises "
        "towards 2. It does not pass it where the packed weights (16 h² bytes for an LSTM) outgrow the second-level "
        "cache: each is read once for a whole batch of rows.",
    ),
    Axis(
        name="batch",
        values=(8, 16, 32, 64, 128, 256),
        measure=step_seconds("batch_size"),
        why="Packing the weights, the update and the calls are paid once a step, and a product of few rows reads its "
        "weights for little work: below 1 at small batches, towards 1 at large ones, where states leave the cache.",
    ),
    Axis(
        name="steps",
        values=(8, 16, 35, 70, 140, 280),
        measure=step_seconds("num_steps"),
        why="Time goes through one step after another, so the exponent is 1 but for what is paid once a minibatch "
        "(packing, the update), which holds it below. That the kept states and gates of a long sequence leave the "
        "caches costs too little to show.",
    ),
    Axis(
        name="corpus",
        values=(100_000, 300_000, 1_000_000, 3_000_000, 10_000_000, 30_000_000, 100_000_000),
        measure=corpus_costs,
        why="Start-up dominates the small texts; beyond a few million characters reading is linear. To find a text in "
        "the cache it is read and hashed, nothing else. The arrays are mapped, so their pages count as memory of "
        "whoever reads them, and a large text's first epoch waits for the disc.",
    ),
    Axis(
        name="trials",
        values=(10, 30, 100, 300, 1000, 3000, 10_000),
        measure=ledger_costs,
        why="Each trial's records are rows found by their key: linear. Reading and reporting have a constant part (the "
        "page's libraries, figures) that hides the linear one below some hundred trials.",
    ),
    Axis(
        name="workers",
        values=(1, 2),
        measure=worker_costs,
        why="-1 would be perfect sharing; start-up, report and the memory the cores share hold it above.",
    ),
)


def fit(rows: pd.DataFrame) -> dict[str, float]:
    """Return the exponent of cost in value with its 95 % interval: least squares on the logarithms."""
    if len(rows) < 2 or (rows["cost"] <= 0).any():
        return {"exponent": np.nan, "low": np.nan, "high": np.nan}
    line = stats.linregress(np.log(rows["value"]), np.log(rows["cost"]))
    margin = stats.t.ppf(0.975, len(rows) - 2) * line.stderr if len(rows) > 2 else np.nan
    return {"exponent": line.slope, "low": line.slope - margin, "high": line.slope + margin}


def exponents(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the exponents of each measure of each axis, over all of its values and over the upper half."""
    found = []
    for (axis, measure), group in rows.groupby(["axis", "measure"], sort=False):
        upper = group.nlargest((len(group) + 1) // 2, "value")
        above = {f"upper_{name}": value for name, value in fit(upper).items()}
        found.append({"axis": axis, "measure": measure, **fit(group), **above})
    return pd.DataFrame(found)


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _arguments(arguments)
    chosen = asked.axes.split(",")
    rows: list[dict[str, Any]] = []
    for axis in (axis for axis in AXES if axis.name in chosen):
        values = tuple(value for value in axis.values if value <= asked.largest.get(axis.name, value))
        rows += [{"axis": axis.name, **row} for row in axis.measure(values, asked)]
        frame = pd.DataFrame(rows)
        why = [f"{axis.name}: {axis.why}" for axis in AXES if axis.name in set(frame["axis"])]
        tables.write(frame, asked.out, "growth", "Cost against size", ["Medians, with 95 % intervals from six rounds."])
        tables.write(exponents(frame), asked.out, "exponents", "How cost grows", why)
        print(f"{axis.name}: done", flush=True)
    print(f"The tables are {asked.out / 'growth.md'} and {asked.out / 'exponents.md'}.")
    return 0


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--axes", default=",".join(axis.name for axis in AXES))
    parser.add_argument("--cells", default="rnn,gru,lstm")
    parser.add_argument("--rounds", type=int, default=12, help="six or more give an interval")
    parser.add_argument("--repeats", type=int, default=3, help="of each run of the workers axis")
    parser.add_argument("--block-seconds", type=float, default=0.25)
    parser.add_argument("--worker-chars", type=int, default=600_000, help="text of the workers axis")
    parser.add_argument(
        "--largest", type=_bound, nargs="*", default=[], metavar="AXIS=VALUE", help="leave out larger values"
    )
    parser.add_argument("--out", type=Path, default=Path("reports/growth"))
    asked = parser.parse_args(arguments)
    asked.largest = dict(asked.largest)
    return asked


def _bound(text: str) -> tuple[str, int]:
    name, _, value = text.partition("=")
    return name, int(value)


if __name__ == "__main__":
    sys.exit(main())
