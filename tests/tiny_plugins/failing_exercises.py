"""Exercises that fail: when planned, when answered, in what they answer, and by naming what is not there."""

from harness.contracts.hooks import Exercise, hookimpl


@hookimpl
def harness_exercises():
    plain = {"question": "Why?", "source": "These tests", "chapter": "Failing"}
    targets = {"raises": "failing_exercises", "odd": "failing_exercises:Odd", "lost": "no_such_module"}
    return [Exercise(name=f"failing-{name}", target=target, **plain) for name, target in targets.items()]


def needs(budget, available):
    raise KeyError("budget")


def answer(run):
    raise ZeroDivisionError("nothing to divide by")


class _Odd:
    def needs(self, budget, available):
        from harness.contracts.exercises import Need

        return [Need(options={"layer": 1})]

    def answer(self, run):
        return "forty-two"


Odd = _Odd()
