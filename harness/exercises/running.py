"""Runs what the exercises planned: trials and timing as any run does, then the probes on what was trained."""

from collections.abc import Sequence

from rich.console import Console

from harness import run
from harness.exercises.planning import PlannedExercises
from harness.runner import Limits


def execute(planned: PlannedExercises, timing: str, command: Sequence[str], console: Console) -> run.Outcome:
    """Train, time and probe what is not done yet; the caller holds the folder open. Raises: HarnessError."""
    measures = run.Measures(timing=timing, timed=planned.timed)
    return run.execute(planned.prepared, Limits(), measures, command, console)
