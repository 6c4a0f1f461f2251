"""Puts an exercise to an invented run."""

import dataclasses
from pathlib import Path

from built_in import built_in
from invented_runs import FINISHED, STARTED, epoch, make_folder

from harness.analysis.frames import Run
from harness.record.ledger import Launch
from harness.report import Answer, read_run
from harness.worker.targets import resolve

EXERCISES = built_in().exercises


def finish(ledger, of, perplexities, *, num_params=300_000, **changes):
    """Record a finished trial with so many parameters."""
    ledger.launched(of.trial_id, Launch(slot="cpu:0", concurrency=1))
    ledger.started(of.trial_id, dataclasses.replace(STARTED, num_params=num_params))
    for number, value in enumerate(perplexities, 1):
        ledger.epoch(of.trial_id, epoch(number, value, **changes))
    ledger.ended(of.trial_id, "ok", finished=FINISHED)


def time(ledger, of, rates):
    """Record a timing session's rounds at these tokens per second."""
    ledger.timing.add(of.trial_id, [(number, 1000, 1000 / rate) for number, rate in enumerate(rates)])
    ledger.add_facts(of.trial_id, {"timed_by": of.trial_id})


def ask(exercise_id: str, folder: Path, trials, record=lambda _: None) -> Answer:
    """Return the answer of a run of these trials."""
    return answer(exercise_id, read_run(make_folder(folder, trials, record)))


def answer(exercise_id: str, run: Run) -> Answer:
    return resolve(EXERCISES[exercise_id].target).answer(run)
