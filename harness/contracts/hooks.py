"""The hooks a plugin may implement; each takes no argument and returns light descriptors.

A plugin module imports only the standard library and this module::

    from harness.contracts.hooks import Cell, hookimpl

    @hookimpl
    def harness_cells():
        return [Cell(name="mine", title="My cell", source="…", equations="my_plugin.cell")]
"""

from collections.abc import Sequence

import pluggy

from harness.contracts.descriptors import Backend, Baseline, Cell, Corpus, Executor, Exercise, Implementation

__all__ = ["Backend", "Baseline", "Cell", "Corpus", "Executor", "Exercise", "Implementation", "hookimpl", "hookspec"]

PROJECT = "harness"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def harness_cells() -> Sequence[Cell]:  # type: ignore[empty-body]
    """Return the cells this plugin brings."""


@hookspec
def harness_backends() -> Sequence[Backend]:  # type: ignore[empty-body]
    """Return the backends this plugin brings."""


@hookspec
def harness_implementations() -> Sequence[Implementation]:  # type: ignore[empty-body]
    """Return the implementations this plugin adds to pairs of a cell and a backend."""


@hookspec
def harness_baselines() -> Sequence[Baseline]:  # type: ignore[empty-body]
    """Return the baselines this plugin brings."""


@hookspec
def harness_corpora() -> Sequence[Corpus]:  # type: ignore[empty-body]
    """Return the corpora this plugin brings."""


@hookspec
def harness_exercises() -> Sequence[Exercise]:  # type: ignore[empty-body]
    """Return the exercises this plugin brings."""


@hookspec
def harness_executors() -> Sequence[Executor]:  # type: ignore[empty-body]
    """Return the executors this plugin brings."""
