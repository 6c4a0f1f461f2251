"""The parent's side of the conversation: a warm child process that is asked for one block at a time."""

import contextlib
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class Ended(Exception):  # noqa: N818 (that it has ended is what it says)
    """A child that ended before it answered; the words say where its log lies."""


@dataclass(frozen=True)
class Block:
    """One answer: tokens, or floating-point operations, and the seconds they took."""

    amount: float
    seconds: float

    @property
    def rate(self) -> float:
        """The amount a second."""
        return self.amount / self.seconds


class Child:
    """A warm child."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log
        ready = self._answer()
        self.third_loss: float = ready["third_loss"]
        self.about: str = ready["about"]

    def peak_rss_bytes(self) -> int:
        """Return the process's largest resident memory so far (Linux)."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")))

    def ask(self) -> Block:
        """Ask for one more block. Raises: Ended."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write("again\n")
            self._process.stdin.flush()
        return Block(**self._answer())

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise Ended(f"it ended: see {self._log}")
        values: dict[str, Any] = json.loads(line)
        return values


@contextlib.contextmanager
def child(
    command: Sequence[str], environment: Mapping[str, str], task: Mapping[str, Any], log: Path
) -> Iterator[Child]:
    """Start a child and wait until it is warm; it ends with the context. Raises: Ended."""
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [*command, json.dumps(task)],
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        try:
            yield Child(process, log)
        finally:
            process.kill()
