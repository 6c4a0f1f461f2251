"""Compiles the kernels for this very processor, once, and keeps the library in the cache."""

import atexit
import contextlib
import ctypes
import fcntl
import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from harness.contracts.files import staging_of

SOURCE = Path(__file__).with_name("kernels.c")
_COMPILERS = ("cc", "gcc", "clang")
# Sums are reassociated nowhere (no -ffast-math): a NaN stays a NaN, and a trial that diverges says so.
_FLAGS = ("-O3", "-ffp-contract=fast", "-fno-math-errno", "-fPIC", "-shared", "-std=gnu11")
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


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
    # What the compiler predefines names its version and every instruction set of this processor.
    predefined = _output([compiler, *target, "-dM", "-E", "-x", "c", os.devnull])
    digest = hashlib.sha256("\0".join((SOURCE.read_text(encoding="utf-8"), predefined, *flags)).encode()).hexdigest()
    path = _cached(kernels_dir(), f"{real}-{digest[:12]}", (compiler, *flags))
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise NoCompilerError(f"the compiled kernels can't be loaded: {error}") from None


def _cached(folder: Path, name: str, command: tuple[str, ...]) -> Path:
    """Return the library in the cache, compiled now where there is none that is whole: its hash ends its name."""
    path = _whole(folder, name)
    if path is None:
        with _locked(folder):
            path = _whole(folder, name) or _compile(command, folder, name)
    return path


def _whole(folder: Path, name: str) -> Path | None:
    return next((path for path in folder.glob(f"{name}-*.so") if _is_ours(path) and path == _named(path, name)), None)


def _named(library: Path, name: str) -> Path:
    """Return what a library must be called to be believed."""
    return library.with_name(f"{name}-{hashlib.sha256(library.read_bytes()).hexdigest()[:32]}.so")


def _compile(command: tuple[str, ...], folder: Path, name: str) -> Path:
    """Compile the kernels, and remove what stood in their place and is not what its name says."""
    for damaged in folder.glob(f"{name}*.so"):
        damaged.unlink()
    # Under a name of its own until it is whole: a compiler may be killed, and not every file system takes locks.
    staging = staging_of(folder / name)
    try:
        _output([*command, str(SOURCE), "-o", str(staging), "-lm"])
        return staging.replace(_named(staging, name))
    except OSError as error:
        raise NoCompilerError(f"the compiled kernels can't be kept: {error}") from None
    finally:
        staging.unlink(missing_ok=True)


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
    """Return the folder for libraries, made where it is missing; another user's is not taken. Raises: NoCompilerError.

    What lies in it is loaded as code: who may write there could run anything in this user's name.
    """
    root = os.environ.get("HARNESS_CACHE_DIR") or str(Path(tempfile.gettempdir()) / f"rnn-harness-{os.getuid()}")
    folder = Path(root) / "kernels"
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        if _is_owned(folder):
            folder.chmod(0o700)  # whatever a generous umask had made of it
        return folder if _is_ours(folder) and _is_held(folder.parent) else _private_folder()
    except OSError as error:
        raise NoCompilerError(f"there is nowhere to keep compiled kernels: {error}") from None


def _is_ours(path: Path) -> bool:
    """Say whether only this user can write there."""
    return _is_owned(path) and not path.stat().st_mode & _OTHERS_WRITE


def _is_owned(path: Path) -> bool:
    return path.stat().st_uid == os.getuid()


def _is_held(path: Path) -> bool:
    """Say whether nobody else can put another folder in the place of one of ours in this one."""
    about = path.stat()
    is_sticky = bool(about.st_mode & stat.S_ISVTX)  # as /tmp is: only an owner moves what is theirs
    return about.st_uid in (0, os.getuid()) and (is_sticky or not about.st_mode & _OTHERS_WRITE)


@cache
def _private_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="rnn-harness-kernels-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
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
