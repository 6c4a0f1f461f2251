"""Ctrl-C, SIGTERM and SIGHUP are one thing in every phase: once ends it cleanly, twice at once."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from types import FrameType
from typing import Any, TypeVar

_Result = TypeVar("_Result")
EXIT_CODE = 130


def _signals() -> tuple[signal.Signals, ...]:
    """Return what interrupts: a signal that is ignored (nohup, a shell's &) goes on being ignored."""
    if threading.current_thread() is not threading.main_thread():
        return ()  # none arrives there
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    return tuple(number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN)


@contextlib.contextmanager
def raised() -> Iterator[None]:
    """Let each of the signals raise KeyboardInterrupt wherever the program is."""

    def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        raise KeyboardInterrupt

    with _restored(numbers := _signals()):
        for number in numbers:
            signal.signal(number, interrupt)
        yield


def run(work: Coroutine[Any, Any, _Result], abandon: Callable[[], None] = lambda: None) -> _Result:
    """Run a coroutine to its end; a signal cancels it, and it may clean up. A second one ends the process at once.

    ``abandon`` leaves the terminal as it was before that.

    Raises: KeyboardInterrupt once it has cleaned up after a signal.
    """
    import asyncio  # with much else; a command that runs no workers does without

    is_stopped = False

    async def watched() -> _Result:
        main = asyncio.ensure_future(work)

        def stop() -> None:
            nonlocal is_stopped
            if is_stopped:
                abandon()
                os._exit(EXIT_CODE)  # the workers end with this process's lifelines
            is_stopped = True
            main.cancel()

        for number in numbers:
            asyncio.get_running_loop().add_signal_handler(number, stop)
        return await main

    with _restored(numbers := _signals()):
        try:
            result = asyncio.run(watched())
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
    if is_stopped:
        raise KeyboardInterrupt
    return result


@contextlib.contextmanager
def _restored(numbers: tuple[signal.Signals, ...]) -> Iterator[None]:
    """Put the signals' handlers back afterwards: a loop that closes leaves the system's."""
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
