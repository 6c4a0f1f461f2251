"""Executors that share no folder with the harness, and whose slots may be lost: a third party's, in one file."""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from pathlib import Path

from harness.contracts.executors import EVENTS_FD, Slot, SlotLostError
from harness.contracts.hooks import Executor, hookimpl
from harness.errors import WorkerError


class Far:
    """Each worker has a folder of its own, with copies of what it reads; what it leaves is fetched at its end."""

    losses = 0
    """So many of the workers lose their slot once their checkpoint is there."""

    def __init__(self, request):
        self.slots = [
            Slot(name=f"node{number}", kind="cpu", num_threads=1, environment={}) for number in range(request.jobs)
        ]

    async def start(self, task, slot):
        folder = Path(tempfile.mkdtemp(prefix="far-"))
        paths = {path: str(folder / f"{number}-{path.name}") for number, path in enumerate({*task.reads, *task.writes})}
        for path, copy in paths.items():
            if path.exists():
                (shutil.copytree if path.is_dir() else shutil.copy)(path, copy)
        (folder / "job").write_text(task.job_with(paths))
        out, into = os.pipe()
        try:
            with task.log_path.open("ab") as log:
                process = await asyncio.create_subprocess_exec(
                    *(task.python, "-m", "harness.worker", str(folder / "job")),
                    stdin=asyncio.subprocess.PIPE if task.is_asked else asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={**task.environment, EVENTS_FD: str(into)},
                    pass_fds=(into,),
                    start_new_session=True,
                )
        except OSError as error:
            os.close(out)
            raise WorkerError(f"A worker could not be started with {task.python}: {error.strerror}.") from None
        finally:
            os.close(into)
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(out, "rb", buffering=0)
        )
        is_lost = type(self).losses > 0 and bool(task.writes)
        if is_lost:
            type(self).losses -= 1
            self.slots = [other for other in self.slots if other != slot]
        fetched = {paths[path]: path for path in task.writes}
        return FarWorker(process, reader, folder, fetched, is_lost=is_lost)


class FarWorker:
    def __init__(self, process, reader, folder, fetched, *, is_lost):
        self.process, self.reader, self.folder, self.fetched, self.is_lost = process, reader, folder, fetched, is_lost

    async def read(self):
        if self.is_lost and any(Path(path).exists() for path in self.fetched):
            self.kill()
        received = await self.reader.read(1 << 16)
        if self.is_lost and not received:
            raise SlotLostError("the node went away")
        return received

    async def write(self, line):
        self.process.stdin.write(line)
        await self.process.stdin.drain()

    async def end(self, grace_seconds):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self.process.wait()), grace_seconds)
        self.kill()
        returncode = await self.process.wait()
        for copy, path in self.fetched.items():
            with contextlib.suppress(FileNotFoundError):
                shutil.copy(copy, path)
        shutil.rmtree(self.folder, ignore_errors=True)
        return returncode

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


class FarAndLost(Far):
    losses = 1


class FarAndLostAgain(Far):
    losses = 2


@hookimpl
def harness_executors():
    return [
        Executor(name="far", title="Shares no folder", target="far:Far"),
        Executor(name="far-lost", title="Loses a slot", target="far:FarAndLost"),
        Executor(name="far-lost-again", title="Loses two slots", target="far:FarAndLostAgain"),
        Executor(name="far-needy", title="Lacks a library", target="far:Far", requirements=("no-such-library>=7",)),
    ]
