"""A run struck dead, workers too, in the middle of whatever it wrote: the same command ends as if it never was."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.record.ledger import LedgerReader

OUT = Path("out")
CACHE = Path("cache")
NUM_TRIES = 8
"""What is written is there for milliseconds, and a strike may come a moment late."""
COMMAND = ("run", "--plugins", "lstm,numpy", "--epochs", "2", "--corpus", "long.txt", "--jobs", "1")
SMALL = ("--hiddens", "32", "--steps", "5", "--batch-size", "4")
SIZES: dict[str, tuple[int, tuple[str, ...]]] = {
    "tokenising": (600_000, ("--hiddens", "8", "--steps", "50", "--batch-size", "256")),
    "writing a checkpoint": (300, ("--hiddens", "768", "--steps", "5", "--batch-size", "4")),
}
"""Words of the text, and options, where what is written must be large enough to be caught."""


def letters(num_words: int) -> str:
    """Return a text of seeded words of five letters."""
    generator = random.Random(0)
    words = ["".join(generator.choices("abcdefgh", k=5)) for _ in range(60)]
    return " ".join(generator.choices(words, k=num_words))


def parts_in(*folders: Path) -> Iterator[Path]:
    """Find what is being written, or was left half-written."""
    for folder in folders:
        with contextlib.suppress(OSError):
            yield from folder.rglob(".*.part")


PHASES: dict[str, Callable[[], Iterator[Path]]] = {
    "tokenising": lambda: parts_in(CACHE / "tokens"),
    "compiling": lambda: parts_in(CACHE / "kernels"),
    "writing a checkpoint": lambda: parts_in(OUT / "checkpoints"),
    "making the report": lambda: (path for path in parts_in(OUT) if path.parent == OUT and "manifest" not in path.name),
}


def strike(process: subprocess.Popen[str], part: Path | None) -> None:
    """Kill who writes a file, the command, and whatever it started, at once, as when a machine goes down."""
    if part is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(part.name.rpartition("-")[2].removesuffix(".part")), signal.SIGKILL)
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(process.pid)
        family = [parent, *parent.children(recursive=True)]
        for each in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.suspend()
        for each in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(family, timeout=30)
    process.communicate()


@pytest.mark.long
@pytest.mark.parametrize("phase", PHASES)
def test_a_strike_in_any_phase_leaves_nothing_half_and_the_same_command_ends_as_if_never_struck(
    start: Callable[..., subprocess.Popen[str]],
    harness_process: Callable[..., subprocess.CompletedProcess[str]],
    here: Path,
    losses: Callable[[Path], dict[Any, Any]],
    phase: str,
) -> None:
    num_words, sizes = SIZES.get(phase, (300, SMALL))
    command = (*COMMAND, *sizes)
    (here / "long.txt").write_text(letters(num_words))
    for _ in range(NUM_TRIES):
        shutil.rmtree(OUT, ignore_errors=True)
        shutil.rmtree(CACHE)
        CACHE.mkdir()
        process = start(*command, "--out", OUT)
        while (part := next(PHASES[phase](), None)) is None and process.poll() is None:
            time.sleep(0.0002)
        strike(process, part)
        if any(parts_in(CACHE, OUT)):
            break
    else:
        pytest.skip(f"{NUM_TRIES} strikes came too late: files are whole here before they can be seen half-written")
    done = harness_process(*command, "--out", OUT)
    assert done.returncode == 0, done.stderr
    assert list(parts_in(CACHE, OUT)) == []
    with LedgerReader(OUT / "run.sqlite") as ledger:
        (trial,) = ledger.trials()
    assert trial["status"] == "ok"
    assert trial["versions"]["kernels"] == "compiled"
    assert harness_process(*command, "--out", "whole", HARNESS_CACHE_DIR=str(here / "other")).returncode == 0
    assert losses(OUT) == losses(Path("whole"))
    assert (OUT / "index.html").read_text().endswith("</html>")
