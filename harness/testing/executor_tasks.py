"""What the executors' contract has workers do: tasks, how they are run, and the signs of life they leave."""

import asyncio
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from harness.contracts.executors import OpenExecutor, SlotRequest, Task
from harness.environments.variables import worker_environment
from harness.running.workers import Ending, run_worker
from harness.testing import executor_deeds
from harness.worker.events import Event
from harness.worker.job import BaselineJob, Job, Place, SampleRequest, TextFiles, WatchJob
from harness.worker.targets import resolve
from harness.worker.trial import BASELINE, NO_BACKEND, Trial

DEEDS_MODULE = "executor_deeds"
"""The name of the deeds' copy: the worker imports it without the suite around it."""
_PLACE = Place(device="cpu", num_threads=1, cores=())
_TRIAL = Trial(
    cell="deed",
    backend=NO_BACKEND,
    implementation=BASELINE,
    corpus="none",
    authors="all",
    text="d2l",
    tokens="char",
    train_tokens=9,
    corpus_digest="",
    vocab_size=1,
    num_layers=0,
    num_hiddens=0,
    num_steps=0,
    batch_size=0,
    partition="sequential",
    optimizer="none",
    learning_rate=0.0,
    grad_clip=0.0,
    dropout=0.0,
    num_epochs=1,
    seed=0,
)


def open_target(target: str) -> OpenExecutor:
    """Open an executor with two CPU slots of one thread."""
    request = SlotRequest(devices="cpu", jobs=2, num_threads=1, per_device=1, gpus=(), cores=(0, 1, 2))
    executor: OpenExecutor = resolve(target)(request)
    return executor


async def run_task_on(
    executor: OpenExecutor,
    task: Task,
    hear: Callable[[Event], None] = lambda _: None,
    stall_timeout: float = 60.0,
) -> Ending:
    """Run a worker in the first slot."""
    return await run_worker(executor, task, executor.slots[0], hear, timeout=None, stall_timeout=stall_timeout)


def run_task(target: str, task: Task) -> None:
    """Open an executor and run a worker, in the process that is killed."""
    asyncio.run(run_task_on(open_target(target), task))


def task_of(folder: Path, deed: str) -> Task:
    """Return a task whose worker does a deed."""
    text = TextFiles(
        train_path=str(folder / "train.npy"),
        valid_path=str(folder / "valid.npy"),
        vocabulary_path=str(folder / "vocabulary.json"),
        valid_chars_per_token=1.0,
        held_out=(),
    )
    np.save(text.train_path, np.zeros(9, np.uint8))
    np.save(text.valid_path, np.zeros(9, np.uint8))
    Path(text.vocabulary_path).write_text(json.dumps({"symbols": ["<unk>"]}), encoding="utf-8")
    job = BaselineJob(
        place=_PLACE,
        module_paths=(str(folder / "modules"),),
        trial=_TRIAL,
        target=f"{DEEDS_MODULE}:{deed}",
        text=text,
        sample=SampleRequest(prefix="a", num_tokens=1, temperature=0.0, seed=0),
    )
    return _task(folder, job)


def asked_task(folder: Path) -> Task:
    """Return a task whose worker answers."""
    modules, target = (str(folder / "modules"),), f"{DEEDS_MODULE}:Product"
    job = WatchJob(place=_PLACE, module_paths=modules, backend_target=target)
    return replace(_task(folder, job), is_asked=True)


def _task(folder: Path, job: Job) -> Task:
    modules = folder / "modules"
    modules.mkdir(exist_ok=True)
    shutil.copy(executor_deeds.__file__, modules / f"{DEEDS_MODULE}.py")
    text = job.dump()
    (folder / "job.json").write_text(text, encoding="utf-8")
    return Task(
        python=sys.executable,
        job=text,
        job_path=folder / "job.json",
        log_path=folder / "log",
        environment=worker_environment(1, {executor_deeds.FOLDER: str(folder)}, (), os.environ),
        reads=tuple(map(Path, job.reads)),
        writes=tuple(map(Path, job.writes)),
    )


def beats(folder: Path) -> dict[str, str]:
    """Return the last sign of life of the worker and of its child."""
    return {name: (folder / name).read_text() for name in ("worker", "child") if (folder / name).exists()}


def assert_beats_stop(folder: Path, seconds: float) -> None:
    """Require that no process of the worker's shows a sign of life any more, after so long at most."""
    until = time.monotonic() + seconds
    while True:
        before = beats(folder)
        time.sleep(10 * executor_deeds.BEAT_SECONDS)
        if beats(folder) == before:
            assert "worker" in before, "it never lived"
            return
        assert time.monotonic() < until, "it lives on"
