"""Announces the executor of this machine."""

from collections.abc import Sequence

from harness.contracts.hooks import Executor, hookimpl


@hookimpl
def harness_executors() -> Sequence[Executor]:
    """Return the one executor."""
    return [Executor(name="local", title="Processes of this machine", target="harness_local.executor:LocalExecutor")]
