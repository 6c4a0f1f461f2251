"""The contract suite of an exercise: it says what it needs, and answers whatever run there is, without inventing."""

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from harness.contracts.descriptors import Exercise
from harness.contracts.exercises import BUDGETS, Available, Budget, Need
from harness.testing.trials import epoch_ended, finished, small_trial, started
from harness.worker.probes import PROBES
from harness.worker.targets import resolve
from harness.worker.trial import Trial

if TYPE_CHECKING:  # a backend's own interpreter, which runs other suites of this room, has no pandas
    from harness.analysis.frames import Run
    from harness.record.ledger import Ledger
    from harness.report import Answer


class ExerciseContract:
    """What an exercise must do; name its module in `target`."""

    target: ClassVar[str]

    def trials(self) -> Sequence[Trial]:
        """Return trials the exercise is put to: by default two cells and depths, from scratch and fused, two seeds.

        Another exercise than one of these gives its own, so that it has something to answer from.
        """
        return [
            small_trial(cell=cell, num_layers=depth, seed=seed, implementation=implementation)
            for cell in ("gru", "lstm")
            for depth in (1, 2)
            for implementation in ("scratch", "fused")
            for seed in range(2)
        ]

    def record(self, ledger: "Ledger", trial: Trial) -> None:
        """Record what became of a trial: by default it went well; an exercise adds what it probes."""
        _launch(ledger, trial)
        ledger.started(trial.trial_id, started())
        for epoch in (1, 2):
            loss = 2.0 + trial.seed / 100 - epoch / 10 - trial.num_layers / 20
            ledger.epoch(trial.trial_id, epoch_ended(epoch, loss))
        ledger.ended(trial.trial_id, "ok", finished=finished())

    @pytest.mark.parametrize("budget", BUDGETS.values(), ids=list(BUDGETS))
    def test_it_says_what_it_needs_in_options_of_a_run(self, budget: Budget) -> None:
        """Read each need's options as the command line would, with what is installed here to choose from."""
        from harness.grid.selection import select

        needs = self._needs(budget)
        for need in needs:
            select(need.options, self.target)
            assert set(need.probes) <= PROBES.keys()
        assert needs == self._needs(budget), "the same command must find its own trials again"

    def test_where_nothing_is_installed_it_raises_nothing(self) -> None:
        """Leave it nothing to choose from."""
        nothing = Available(cells=(), backends=(), baselines=(), corpora=(), implementations={})
        assert all(isinstance(need, Need) for need in resolve(self.target).needs(BUDGETS["quick"], nothing))

    @pytest.mark.parametrize("status", ["", "failed", "diverged"])
    def test_without_a_finished_trial_it_is_not_answered_and_says_what_is_missing(
        self, tmp_path: Path, status: str
    ) -> None:
        """Put it to a run without trials, and to trials that all ended badly."""
        planned = self.trials() if status else []

        def record(ledger: "Ledger", trial: Trial) -> None:
            _launch(ledger, trial)
            ledger.ended(trial.trial_id, status, "it broke")

        answer = self._answer(_invent(tmp_path, planned, record))
        assert not answer.answered
        assert answer.missing

    def test_figures_that_are_not_finite_carry_no_answer_but_raise_nothing(self, tmp_path: Path) -> None:
        """Put it to trials whose losses are NaN."""

        def record(ledger: "Ledger", trial: Trial) -> None:
            _launch(ledger, trial)
            ledger.started(trial.trial_id, started())
            ledger.epoch(trial.trial_id, epoch_ended(1, math.nan))
            ledger.ended(trial.trial_id, "ok", finished=finished())

        self._require_sound(self._answer(_invent(tmp_path, self.trials(), record)))

    def test_it_answers_in_sentences_that_the_page_and_the_table_can_show(self, tmp_path: Path) -> None:
        """Put it to finished trials; where it has nothing on them, it must say what is missing."""
        self._require_sound(self._answer(self._run(tmp_path)))

    def test_it_answers_twice_alike_and_leaves_the_run_as_it_is(self, tmp_path: Path) -> None:
        """Answer once more, and compare the run with one that was read anew."""
        from harness.analysis.frames import OF_TRIALS
        from harness.report import read_run

        run = self._run(tmp_path)
        first, again = self._answer(run), self._answer(run)
        assert (first.answer, first.verdict, first.missing) == (again.answer, again.verdict, again.missing)
        untouched = read_run(tmp_path)
        for name in OF_TRIALS:
            assert getattr(run, name).equals(getattr(untouched, name)), name

    def _needs(self, budget: Budget) -> list[Need]:
        return list(resolve(self.target).needs(budget, _available()))

    def _run(self, folder: Path) -> "Run":
        return _invent(folder, self.trials(), self.record)

    def _answer(self, run: "Run") -> "Answer":
        from harness.report import Answer

        answer = resolve(self.target).answer(run)
        assert isinstance(answer, Answer)
        return answer

    def _require_sound(self, answer: "Answer") -> None:
        from harness.report.answers import Answered, frame_answers, sections

        assert answer.answer.endswith(".")
        assert answer.verdict
        assert all(sentence.endswith(".") for sentence in answer.missing)
        assert answer.answered or answer.missing
        self._require_stated_tests(answer)
        exercise = Exercise(name="under-test", question="?", source="", target=self.target)
        answered = [Answered(exercise=exercise, answer=answer)]
        assert len(frame_answers(answered)) == 1
        assert len(sections(answered)) == answer.answered

    def _require_stated_tests(self, answer: "Answer") -> None:
        """Require that rows of evidence called primary are of stated tests, corrected as one family."""
        from harness.analysis.statistics import holm

        stated = {test.name for test in resolve(self.target).PRIMARY}
        evidence = answer.evidence
        if "role" in evidence:
            primary = evidence[evidence["role"] == "primary"]
            assert set(primary["test"]) <= stated
            corrected = holm(primary["p"])
            assert primary["p_corrected"].to_numpy(float) == pytest.approx(corrected, nan_ok=True)


def _launch(ledger: "Ledger", trial: Trial) -> None:
    """Record that a worker is started for a trial."""
    from harness.record.ledger import Launch

    ledger.launched(trial.trial_id, Launch(slot="cpu:0", concurrency=1))


@cache
def _available() -> Available:
    from harness.plugins import registry
    from harness.running.exercises import available_in

    return available_in(registry.load())


def _invent(folder: Path, trials: Sequence[Trial], record: Any) -> "Run":
    """Make a run's folder of these trials, each recorded, and read it."""
    from harness.record.folder import RunFolder
    from harness.record.ledger import Ledger
    from harness.report import read_run

    with Ledger(RunFolder(folder).ledger) as ledger:
        ledger.add(trials)
        for trial in trials:
            record(ledger, trial)
    return read_run(folder)
