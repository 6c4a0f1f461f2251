"""The registry of the built-in plugins, loaded once a process: for tests that only read it."""

from functools import cache

from harness.plugins import registry


@cache
def built_in() -> registry.Registry:
    """Return what is there without a folder of plugins."""
    return registry.load()
