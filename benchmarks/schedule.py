"""Runs the real scheduler on paper: 100,000 trials on 1,000 GPUs, with recorded trial times on a virtual clock.

    python -m benchmarks.schedule --out reports/schedule

Plan, runner, ledger, job files and live view are the real ones; only the executor is not: its workers send what workers
send, after the times a reference run recorded for their cell and depth. The clock jumps over all waiting and adds the
processor time that the parent itself takes, so a parent that can't keep up makes the run longer; for each worker it
also adds what starting a real process costs here. The run is held against the lower bound: the work divided by the
number of GPUs, or the longest trial.
"""

import argparse
import asyncio
import contextlib
import selectors
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from rich.console import Console

from benchmarks import tables
from harness.contracts.executors import Slot, Task
from harness.grid import plan as planning
from harness.grid.cost import predict
from harness.grid.plan import Plan
from harness.grid.selection import select
from harness.plugins import registry
from harness.record.folder import RunFolder
from harness.record.ledger import Ledger
from harness.running.live import LiveView
from harness.running.scheduler import Runner
from harness.running.workplace import Limits, Workplace
from harness.testing.trials import epoch_ended, finished, started
from harness.texts.tokenised import TokenisedCorpus
from harness.worker.events import Checked, EpochEnded, Event, FirstSteps, dump
from harness.worker.job import CheckJob, ReferenceJob, TrainJob, parse_job
from harness.worker.trial import Trial

CELLS, LAYERS = ("gru", "lstm"), (1, 2, 3, 4)
REFERENCE = Path(__file__).parents[1] / "reports" / "reference" / "trials.csv"
FIRST_STEPS = FirstSteps(losses=(3.0,) * 5, grad_norms=(1.0,) * 5)
REFERENCE_SECONDS = 3.0
"""About what making a certificate's reference takes."""
CHECK_SECONDS = 1.0
"""About what the checks of a cell take: the start of a worker with NumPy."""


_EXPLANATION = (
    "What the makespan has beyond the bound: the slots that are idle when the last trials run, the certificates' "
    f"references ({REFERENCE_SECONDS:g} s each, one for each configuration and seed, while the slot waits where it was "
    "not made ahead), and the parent, where its share of a core comes near 1. ledger_commits_per_s_possible is what "
    "the ledger took by itself."
)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock is the processor time spent so far and all the waiting it has jumped over."""

    def __init__(self) -> None:
        self.jumped = 0.0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        """Return the virtual seconds."""
        return self.jumped + time.process_time()


class _Jumping(selectors.DefaultSelector):
    """Waits for nothing: what it was to wait is added to the clock."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready and timeout:
            self._loop.jumped += timeout
        return ready


class _Policy(asyncio.DefaultEventLoopPolicy):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._virtual = loop

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return self._virtual


@dataclass
class PretendedExecutor:
    """An executor without workers: how long each would take, and what starting one costs the parent."""

    loop: VirtualLoop
    seconds: Mapping[str, float]
    """By trial id."""
    start_seconds: float
    slots: Sequence[Slot]

    async def start(self, task: Task, slot: Slot) -> "PretendedWorker":
        """Begin to pretend."""
        self.loop.jumped += self.start_seconds
        job = parse_job(task.job)
        if isinstance(job, ReferenceJob):
            return PretendedWorker([(REFERENCE_SECONDS, FIRST_STEPS)])
        if isinstance(job, CheckJob):
            return PretendedWorker([(CHECK_SECONDS, Checked(problem=""))])
        assert isinstance(job, TrainJob)
        return PretendedWorker(_training(job.trial, self.seconds[job.trial.trial_id]))


@dataclass
class PretendedWorker:
    """Sends what a worker sends, when it would."""

    events: Iterable[tuple[float, Event]]
    """Each after so many seconds."""

    def __post_init__(self) -> None:
        self._left = iter(self.events)

    async def read(self) -> bytes:
        seconds, event = next(self._left, (0.0, None))
        if seconds:
            await asyncio.sleep(seconds)
        return b"" if event is None else dump(event).encode() + b"\n"

    async def write(self, line: bytes) -> None:
        raise NotImplementedError

    async def end(self, grace_seconds: float) -> int:
        return 0


def _training(trial: Trial, seconds: float) -> Iterator[tuple[float, Event]]:
    yield 0.0, started()
    for epoch in range(1, trial.num_epochs + 1):
        yield seconds / trial.num_epochs, _epoch(trial, epoch, seconds)
        if epoch == 1:
            yield 0.0, FIRST_STEPS
    yield 0.0, finished(sample="x" * 200)


def _epoch(trial: Trial, epoch: int, seconds: float) -> EpochEnded:
    block = (trial.train_tokens // 10, seconds / 10)
    return epoch_ended(epoch, train_tokens=trial.train_tokens, blocks=(block,) * 10)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--gpus", type=int, default=1000)
    parser.add_argument("--times", type=Path, default=REFERENCE, help="a run's trials.csv")
    parser.add_argument("--out", type=Path, default=Path("reports/schedule"))
    asked = parser.parse_args(arguments)
    rows = []
    for count in asked.trials:
        rows.append(simulate(count, asked.gpus, pd.read_csv(asked.times)))
        notes = [" ".join(part.split()) for part in (__doc__ or "").split("\n\n")[2:]] + [_EXPLANATION]
        tables.write(pd.DataFrame(rows), asked.out, "schedule", "The real scheduler on pretended GPUs", notes)
        print(f"{count:,} trials: done", flush=True)
    print(f"The table is {asked.out / 'schedule.md'}.")
    return 0


def simulate(count: int, num_gpus: int, recorded: pd.DataFrame) -> dict[str, Any]:
    """Run so many trials on so many pretended GPUs and return the figures."""
    plugins = registry.load(None)
    folder = Path(tempfile.mkdtemp(prefix="schedule-"))
    try:
        since = time.process_time()
        corpus = corpus_of_no_text(folder)
        plan = _plan(count, plugins, corpus)
        predicted = predict(plan.runnable, plugins, [corpus]).trial_seconds
        ids = [trial.trial_id for trial in plan.runnable]
        planning_seconds = time.process_time() - since
        seconds = dict(zip(ids, _seconds(plan.runnable, recorded), strict=True))
        loop = VirtualLoop()
        executor = PretendedExecutor(loop, seconds, _start_seconds(), [_gpu(number) for number in range(num_gpus)])
        figures = _run(plugins, folder, corpus, plan, dict(zip(ids, predicted, strict=True)), executor)
    finally:
        shutil.rmtree(folder)
    bound = max(sum(seconds.values()) / num_gpus, max(seconds.values()))
    return {
        "trials": len(ids),
        "gpus": num_gpus,
        "makespan_s": figures["makespan"],
        "lower_bound_s": bound,
        "makespan_over_bound": figures["makespan"] / bound,
        "planning_cpu_s": planning_seconds,
        "parent_cpu_s": figures["cpu"],
        "parent_cpu_ms_per_trial": 1000 * figures["cpu"] / len(ids),
        "start_cpu_ms_per_worker": 1000 * executor.start_seconds,
        "parent_share_of_a_core": (figures["cpu"] + executor.start_seconds * len(ids)) / figures["makespan"],
        "ledger_commits": figures["commits"],
        "ledger_commits_per_s_needed": figures["commits"] / figures["makespan"],
        "ledger_commits_per_s_possible": figures["commits"] / figures["ledger_seconds"],
    }


def _run(
    plugins: registry.Registry,
    folder: Path,
    corpus: TokenisedCorpus,
    plan: Plan,
    costs: Mapping[str, float],
    executor: PretendedExecutor,
) -> dict[str, float]:
    run_folder = RunFolder(folder / "run")
    with (
        _on_paper(executor.loop),
        run_folder.opened(),
        (folder / "terminal").open("w") as terminal,
        _counted_commits() as commits,
        patch.dict("os.environ", HARNESS_CACHE_DIR=str(folder / "cache")),
    ):
        run_folder.furnish({})
        since, started = executor.loop.time(), time.process_time()
        with Ledger(run_folder.ledger) as ledger, LiveView(costs, Console(file=terminal), executor.loop.time) as view:
            workplace = Workplace(
                registry=plugins, folder=run_folder, corpora=[corpus], executor=executor, limits=Limits()
            )
            runner = Runner(workplace=workplace, ledger=ledger, observer=view)
            runner.run(plan, cost=lambda trial: costs[trial.trial_id])
            statuses = set(ledger.statuses().values())
        figures = {"makespan": executor.loop.time() - since, "cpu": time.process_time() - started}
    assert statuses == {"ok"}, statuses
    return figures | {"commits": len(commits), "ledger_seconds": sum(commits)}


@contextlib.contextmanager
def _on_paper(loop: VirtualLoop) -> Iterator[None]:
    """Let asyncio run on the virtual clock."""
    asyncio.set_event_loop_policy(_Policy(loop))
    try:
        yield
    finally:
        asyncio.set_event_loop_policy(None)


@contextlib.contextmanager
def _counted_commits() -> Iterator[list[float]]:
    """Collect the seconds of every ledger transaction."""
    seconds: list[float] = []
    plain = Ledger._transaction

    @contextlib.contextmanager
    def counted(self: Ledger) -> Iterator[None]:
        since = time.perf_counter()
        with plain(self):
            yield
        seconds.append(time.perf_counter() - since)

    with patch.object(Ledger, "_transaction", counted):
        yield seconds


def _plan(count: int, plugins: registry.Registry, corpus: TokenisedCorpus) -> Plan:
    per_seed = len(CELLS) * len(LAYERS)
    seeds = tuple(range(max(1, count // per_seed)))
    return planning.plan_trials(
        select({"plugins": (*CELLS, "torch"), "layers": LAYERS, "seeds": seeds})[0], plugins, [corpus]
    )


def _seconds(trials: Sequence[Trial], recorded: pd.DataFrame) -> list[float]:
    """Return each trial's seconds: what was recorded for its cell and depth, give or take a tenth by its seed."""
    of = recorded[recorded["status"] == "ok"].groupby(["cell", "num_layers"])["train_seconds"].mean()
    factors = np.random.default_rng(0).lognormal(0.0, 0.1, len(trials))
    return [of[trial.cell, trial.num_layers] * factor for trial, factor in zip(trials, factors, strict=True)]


def _start_seconds() -> float:
    """Return the processor time that starting and reaping a process takes the parent."""

    async def start_some(count: int) -> float:
        since = time.process_time()
        for _ in range(count):
            process = await asyncio.create_subprocess_exec("true", start_new_session=True)
            await process.wait()
        return (time.process_time() - since) / count

    return asyncio.run(start_some(50))


def _gpu(number: int) -> Slot:
    return Slot(name=f"gpu:{number}", kind="gpu", num_threads=1, environment={"CUDA_VISIBLE_DEVICES": str(number)})


def corpus_of_no_text(folder: Path) -> TokenisedCorpus:
    """Return a corpus that is only described: no worker reads it."""
    return TokenisedCorpus(
        name="pretended",
        authors="all",
        text="d2l",
        tokens="char",
        digest="0" * 64,
        train_path=folder / "train.npy",
        valid_path=folder / "valid.npy",
        vocabulary_path=folder / "vocabulary.json",
        vocab_size=28,
        train_tokens=570_000,
        valid_tokens=60_000,
        valid_chars_per_token=1.0,
        unigram_valid_perplexity=17.0,
    )


if __name__ == "__main__":
    sys.exit(main())
