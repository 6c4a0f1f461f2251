"""The errors a user can mend: each says what is wrong, with which thing, and what to do next.

Only the command line catches them. A trial's failure is data in the ledger, never one of these.
"""

import difflib
import errno
from collections.abc import Iterable

_LISTED = 20
"""Names a hint lists at most."""


class HarnessError(Exception):
    """One sentence for the user: what, which one, what to do next."""

    exit_code = 2


class UsageError(HarnessError):
    """A selection or an option that cannot be read or does not fit the others."""


class PluginError(HarnessError):
    """A plugin that is missing, broken, or at odds with another; names both sides."""


class CorpusError(HarnessError):
    """A corpus that is missing, unreadable, altered or too short."""


class EnvironmentMissing(HarnessError):  # noqa: N818 (missing says it)
    """No interpreter here satisfies a backend's requirements."""


class RunFolderError(HarnessError):
    """A run folder that cannot be written, is in use, or holds a damaged ledger."""


class WorkerError(HarnessError):
    """A worker that could not be started or broke the protocol."""

    exit_code = 1


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ' Did you mean …?' for the closest known names, or the list of them when none is close."""
    names = sorted(known)
    close = difflib.get_close_matches(name.casefold(), names, n=2, cutoff=0.6)
    if close:
        return f" Did you mean {' or '.join(repr(c) for c in close)}?"
    if names:
        rest = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        return f" There is: {', '.join(names[:_LISTED])}{rest}."
    return " There is none."


def lacks_space(error: OSError) -> bool:
    """Return whether space is what a failed write lacks."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def mend_storage(error: OSError) -> str:
    """Return what to do where a file can't be written."""
    return "free some space there" if lacks_space(error) else "make it a folder that can be written"


def storage_problem(folder: object, error: OSError) -> str:
    """Return which folder does not take something, and why: what follows says what to do (`mend_storage`)."""
    return f"{folder} cannot be written ({error.strerror or error})"
