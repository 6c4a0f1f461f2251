"""Runs what the exercises planned: trials and timing as any run does, then the probes on what was trained."""

from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console

from harness.exercises import authors
from harness.exercises.planning import PlannedExercises
from harness.record.ledger import Ledger
from harness.running import run
from harness.running.probing import ProbingPhase
from harness.running.scheduler import Limits


def execute(planned: PlannedExercises, timing: str, command: Sequence[str], console: Console) -> run.Outcome:
    """Train, time and probe what is not done yet; the caller holds the folder open. Raises: HarnessError."""
    limits = Limits()
    measures = run.Measures(timing=timing, timed=planned.timed)
    outcome = run.execute(planned.prepared, limits, measures, command, console)
    if outcome.interrupted or _probe(planned, limits, console):
        return outcome
    return replace(outcome, interrupted=True)


def _probe(planned: PlannedExercises, limits: Limits, console: Console) -> bool:
    """Probe what is done; return False after Ctrl-C."""
    prepared = planned.prepared
    with Ledger(prepared.folder.ledger) as ledger:
        known = ledger.statuses()
        for trial_id, rows in authors.distances(prepared.corpora, prepared.plan.runnable).items():
            if trial_id in known:
                ledger.probed(trial_id, authors.PROBE, rows)
        phase = ProbingPhase(
            registry=prepared.registry,
            folder=prepared.folder,
            ledger=ledger,
            corpora=prepared.corpora,
            slots=prepared.slots,
            stall_timeout=limits.stall_timeout,
        )
        say = lambda text: console.print(text, markup=False, highlight=False, soft_wrap=True)  # noqa: E731
        return phase.run(prepared.plan.runnable, planned.probes, say)
