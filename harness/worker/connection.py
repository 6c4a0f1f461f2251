"""The worker's line to its parent: events out on a pipe of their own, and an end when the parent is gone."""

import contextlib
import ctypes
import os
import signal
import sys
import threading
from typing import Self

from harness.contracts.executors import EVENTS_FD, LIFELINE_FD
from harness.worker.events import Event, dump

_PR_SET_PDEATHSIG = 1
"""Of linux/prctl.h."""


class Connection:
    """Sends events; ends the process when the parent closes its end of the lifeline, by exit or by kill."""

    def __init__(self, events_fd: int, lifeline_fd: int | None) -> None:
        self._events = os.fdopen(events_fd, "w", encoding="utf-8", buffering=1)
        if lifeline_fd is not None:
            _guard_group(lifeline_fd)
            threading.Thread(target=_end_with_parent, args=(lifeline_fd,), daemon=True).start()

    @classmethod
    def from_environment(cls) -> Self:
        """Open the pipes the parent named, and hide them from the plugins' own child processes.

        Raises: KeyError where this process was not started by the harness.
        """
        _be_killed_with_parent()
        lifeline = LIFELINE_FD in os.environ
        return cls(_taken(EVENTS_FD), _taken(LIFELINE_FD) if lifeline else None)

    def send(self, event: Event) -> None:
        """Send one event as one line."""
        self._events.write(dump(event) + "\n")


def _taken(name: str) -> int:
    fd = int(os.environ.pop(name))
    os.set_inheritable(fd, False)
    return fd


def _end_with_parent(lifeline_fd: int) -> None:
    while os.read(lifeline_fd, 1):
        pass
    os._exit(1)


def _guard_group(lifeline_fd: int) -> None:
    """Have a shell kill this process's group when the parent is gone.

    The signal that ends this process then leaves the compilers and loaders it has started.
    """
    if os.getpgrp() == os.getpid():
        actions = [(os.POSIX_SPAWN_DUP2, lifeline_fd, 0)]
        with contextlib.suppress(OSError):
            command = ["sh", "-c", "read nothing; kill -9 -$0", str(os.getpid())]
            os.posix_spawn("/bin/sh", command, {}, file_actions=actions)


def _be_killed_with_parent() -> None:
    """Ask Linux for SIGKILL when the parent dies: the lifeline's thread can't run while compiled code holds the GIL."""
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
