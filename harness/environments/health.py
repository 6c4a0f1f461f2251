"""Whether a backend's framework really computes: it runs one small model, held against plain NumPy."""

import os
import subprocess

from harness.contracts.descriptors import Backend
from harness.contracts.visible import one_line
from harness.environments.finding import Interpreter
from harness.environments.links import linked_packages
from harness.environments.variables import worker_environment
from harness.plugins.registry import Registry

SECONDS = 180
"""A framework's first import, from a cold disk, may take a minute."""


def problem(backend: Backend, interpreter: Interpreter, registry: Registry) -> str:
    """Return what is wrong with a backend in an interpreter, in one line; empty when all is well."""
    packages = linked_packages(registry.targets())
    links = {"PYTHONPATH": os.pathsep.join([str(packages), *registry.module_paths])}
    environment = worker_environment(1, links, backend.environment, os.environ)
    command = [interpreter.python, "-m", "harness.worker.self_check", backend.target]
    try:
        result = subprocess.run(
            command, env=environment, capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False
        )
    except OSError as error:
        return f"its interpreter cannot be started ({error.strerror})"
    except subprocess.TimeoutExpired:
        return f"its framework did not answer within {SECONDS} s"
    if result.returncode == 0:
        return ""
    lines = [line for line in (result.stderr + result.stdout).splitlines() if line.strip()]
    return one_line(lines[-1]) if lines else f"the check ended with code {result.returncode}"
