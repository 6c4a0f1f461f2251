"""How a job becomes a worker: which interpreter, which packages it sees, which variables."""

import sys
from collections.abc import Mapping
from pathlib import Path

from harness.environments import Interpreter, interpreter_for
from harness.environments.links import linked_packages
from harness.environments.variables import worker_environment
from harness.machine.devices import Slot
from harness.machine.folders import default_cache_dir
from harness.plugins.registry import Registry
from harness.running.executors import Command
from harness.worker.job import Job


def worker_command(
    registry: Registry,
    job: Job,
    backend_name: str,
    slot: Slot,
    log_path: Path,
    job_path: Path,
    inherited: Mapping[str, str],
) -> Command:
    """Write the job and return the command that does it in the backend's interpreter, a baseline's in our own.

    Raises: EnvironmentMissing; OSError where the job can't be written.
    """
    if job.trial.is_baseline:
        interpreter = Interpreter(python=sys.executable)
    else:
        interpreter = interpreter_for(registry.backend(backend_name))
    passed = () if job.trial.is_baseline else registry.backend(backend_name).environment
    own = {**slot.environment, "HARNESS_CACHE_DIR": str(default_cache_dir())}
    if interpreter.state is not None:
        own["PYTHONPATH"] = str(linked_packages(registry.targets()))
    job.write(job_path)
    return Command(
        python=interpreter.python,
        job_path=job_path,
        log_path=log_path,
        environment=worker_environment(slot.num_threads, own, passed, inherited),
    )
