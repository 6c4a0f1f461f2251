"""One interpreter a backend: which there is, whether it is well, and how one is built."""

from harness.environments.finding import Interpreter, interpreter_for, unmet, why_not

__all__ = ["Interpreter", "interpreter_for", "unmet", "why_not"]
