"""Compiles the kernels for this very processor, once, and keeps the library in the cache."""

import contextlib
import ctypes
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).with_name("kernels.c")
_COMPILERS = ("cc", "gcc", "clang")
# Sums are reassociated nowhere (no -ffast-math): a NaN stays a NaN, and a trial that diverges says so.
_FLAGS = ("-O3", "-ffp-contract=fast", "-fno-math-errno", "-fPIC", "-shared", "-std=gnu11")


class NoCompilerError(Exception):
    """The kernels can't be compiled here; the words say why."""


@cache
def library(real: str) -> ctypes.CDLL:
    """Return the kernels for 'float' or 'double', compiled now where the cache has none for this processor.

    Raises: NoCompilerError.
    """
    compiler = find_compiler()
    if compiler is None:
        raise NoCompilerError("there is no C compiler (cc, gcc or clang)")
    target = _target(compiler)
    flags = (*_FLAGS, *target, f"-DREAL={real}")
    folder = kernels_dir()
    # What the compiler predefines names its version and every instruction set of this processor.
    predefined = _output([compiler, *target, "-dM", "-E", "-x", "c", os.devnull])
    digest = hashlib.sha256("\0".join((SOURCE.read_text(encoding="utf-8"), predefined, *flags)).encode()).hexdigest()
    path = folder / f"{real}-{digest[:12]}.so"
    if not path.exists():
        with _locked(folder):
            if not path.exists():
                _compile(compiler, flags, path)
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise NoCompilerError(f"the compiled kernels can't be loaded: {error}") from None


def _compile(compiler: str, flags: tuple[str, ...], path: Path) -> None:
    # Under a name of its own until it is whole: a compiler may be killed, and not every file system takes locks.
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".so")
    os.close(handle)
    try:
        _output([compiler, *flags, str(SOURCE), "-o", name, "-lm"])
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time compile: of workers that start side by side the others wait for the first one's."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def find_compiler() -> str | None:
    """Return the C compiler CC names, or the first that is found; None where there is none."""
    named = os.environ.get("CC", "")
    candidates = (named, *_COMPILERS) if named else _COMPILERS
    return next((path for candidate in candidates if (path := shutil.which(candidate))), None)


def _target(compiler: str) -> tuple[str, ...]:
    """Return the flags for this processor: clang on ARM takes -mcpu only."""
    for flags in (("-march=native",), ("-mcpu=native",)):
        try:
            _output([compiler, *flags, "-E", "-x", "c", os.devnull])
        except NoCompilerError:
            continue
        return flags
    return ()


def kernels_dir() -> Path:
    """Return the folder for libraries, made where it is missing. Raises: NoCompilerError."""
    root = os.environ.get("HARNESS_CACHE_DIR") or str(Path(tempfile.gettempdir()) / f"rnn-harness-{os.getuid()}")
    folder = Path(root) / "kernels"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise NoCompilerError(f"there is nowhere to keep compiled kernels: {error}") from None
    return folder


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    except subprocess.CalledProcessError as error:
        message = (error.stderr or "").strip().splitlines()
        raise NoCompilerError(f"{command[0]} failed: {message[0] if message else error}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoCompilerError(f"{command[0]} can't be run: {error}") from None
    return done.stdout
