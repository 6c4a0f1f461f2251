"""One isolated interpreter a backend: found for every run, built only by `harness env create`."""

from harness.environments.finding import Interpreter, interpreter_for, unmet, why_not

__all__ = ["Interpreter", "interpreter_for", "unmet", "why_not"]
