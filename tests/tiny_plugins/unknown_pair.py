"""An implementation of a cell that no plugin brings."""

from harness.contracts.hooks import Implementation, hookimpl


@hookimpl
def harness_implementations():
    return [Implementation(cell="lstn", backend="numpy", name="fast", target="unknown_pair:build")]
