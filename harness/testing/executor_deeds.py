"""What the workers of the executors' contract do: each deed is a baseline's target. The suite copies this file."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

FOLDER = "HARNESS_DEEDS_FOLDER"
"""Names the variable with the folder in which a worker shows that it lives."""
BEAT_SECONDS = 0.05
EVENTS = 100_000
LOG_LINES = 300_000


def folder() -> Path:
    """Return the folder to leave signs in."""
    return Path(os.environ[FOLDER])


def beat(name: str) -> None:
    """Show again and again that this process lives."""
    while True:
        folder().joinpath(name).write_text(repr(time.time()), encoding="utf-8")
        time.sleep(BEAT_SECONDS)


def exit_with_three(text: Any, say: Any) -> NoReturn:  # noqa: ARG001
    """Exit with a code of its own."""
    os._exit(3)


def kill_itself(text: Any, say: Any) -> None:  # noqa: ARG001
    """End as a worker does for which there is no memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def hang(text: Any, say: Any) -> None:  # noqa: ARG001
    """Live and say nothing more."""
    beat("worker")


def hang_deafly(text: Any, say: Any) -> None:
    """Hang, and ignore SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    hang(text, say)


def hang_with_a_child(text: Any, say: Any) -> None:
    """Hang, as does a process that it starts."""
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import {__name__} as d; d.beat('child')"
    subprocess.Popen([sys.executable, "-c", code])
    hang(text, say)


def wait_to_be_heard(text: Any, say: Any) -> None:  # noqa: ARG001
    """Say something, and end only when that has been heard."""
    say(0.5)
    while not folder().joinpath("heard").exists():
        time.sleep(BEAT_SECONDS)
    os._exit(0)


def flood(text: Any, say: Any) -> None:  # noqa: ARG001
    """Say and write much, both at once."""
    chatter = threading.Thread(target=lambda: [print(f"line {number}") for number in range(LOG_LINES)])
    chatter.start()
    for number in range(EVENTS):
        say(number / EVENTS)
    chatter.join()
    sys.stdout.flush()
    os._exit(0)


def show_environment(text: Any, say: Any) -> None:  # noqa: ARG001
    """Leave the variables it sees."""
    folder().joinpath("environment.json").write_text(json.dumps(dict(os.environ)), encoding="utf-8")
    os._exit(0)


class Product:
    """A backend that multiplies nothing, for the worker that is asked."""

    def __init__(self, *_: object) -> None:
        self.count = 0

    def product_seconds(self, size: int) -> float:  # noqa: ARG002
        """Return how often it was asked, so that answers differ."""
        self.count += 1
        return float(self.count)
