"""`python -m harness.worker JOB.json`: do one job, and say how it goes."""

import os
import sys
import traceback
from pathlib import Path

from harness.worker.connection import Connection
from harness.worker.events import Diverged, Failed
from harness.worker.job import read_job
from harness.worker.module_folders import add_module_folders
from harness.worker.targets import resolve
from harness.worker.training import DivergedError

_WORK = {
    "train": "harness.worker.trainer:train_trial",
    "baseline": "harness.worker.fitting:fit_and_evaluate",
    "reference": "harness.worker.first_steps:make_reference",
    "check": "harness.worker.cell_checks:check_equations",
    "check-baseline": "harness.worker.baseline_checks:check_baseline",
    "time": "harness.worker.timing:time_trial",
    "watch": "harness.worker.timing:watch_device",
    "probe": "harness.worker.probing:probe_network",
    "probe-baseline": "harness.worker.probing:probe_baseline",
    "sample": "harness.worker.sampling:continue_prefix",
}
"""By kind of job the function that does it, named as text: a worker imports what its own job needs."""


def main(job_path: str) -> int:
    """Do the job; return 0 when it is done, 1 when it failed, the reason sent as an event and logged."""
    connection = Connection.from_environment()
    job = read_job(Path(job_path))
    add_module_folders(job.module_paths)
    if job.place.cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, job.place.cores)  # before any framework counts the cores it may use
    try:
        resolve(_WORK[job.kind])(job, connection)
        return 0
    except DivergedError as error:
        connection.send(Diverged(epoch=error.epoch, reason=str(error)))
        return 0
    except Exception as error:
        traceback.print_exc()
        connection.send(Failed(reason=_explained(error)))
        return 1


def _explained(error: Exception) -> str:
    from harness.worker.checkpoints import CheckpointError  # a job that reads none imports none

    if isinstance(error, CheckpointError):
        return f"{error}; the run's command with --force and the trial's id trains it anew"
    return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
