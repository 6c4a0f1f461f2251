"""The exercises of the two chapters: for each, the trials that answer it, and its answer from a run's figures."""

from collections.abc import Sequence
from pathlib import Path

from harness import report
from harness.analysis.frames import Run
from harness.errors import UsageError, did_you_mean
from harness.exercises import deep_rnn_1, deep_rnn_2, deep_rnn_3, deep_rnn_4, rnn_1, rnn_2, rnn_3, rnn_4
from harness.exercises.exercise import Exercise
from harness.report.answers import Answered

EXERCISES: dict[str, Exercise] = {
    exercise.exercise_id: exercise
    for exercise in (deep_rnn_1, deep_rnn_2, deep_rnn_3, deep_rnn_4, rnn_1, rnn_2, rnn_3, rnn_4)
}


def find(names: Sequence[str]) -> list[Exercise]:
    """Return the exercises of these names, each once, or all where none is named. Raises: UsageError."""
    for name in names:
        if name not in EXERCISES:
            raise UsageError(f"There is no exercise {name!r}.{did_you_mean(name, EXERCISES)}")
    return [EXERCISES[name] for name in dict.fromkeys(names)] or list(EXERCISES.values())


def answer_all(run: Run) -> list[Answered]:
    """Answer every exercise as far as the run's trials allow."""
    return [
        Answered(exercise_id=name, question=exercise.question, answer=exercise.answer(run))
        for name, exercise in EXERCISES.items()
    ]


def write_report(folder: Path) -> Path:
    """Write the run's report with the exercises' answers, and return its page. Raises: RunFolderError."""
    return report.write_report(folder, answer_all)
