"""'harness exercises' from its plan to its answers: each trial once, and what each exercise wants measured on it."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from built_in import built_in
from click.testing import CliRunner, Result
from invented_runs import finish, make_folder, trial
from rich.console import Console

from harness import cli
from harness.contracts import exercises as budgets
from harness.plugins import registry
from harness.record.ledger import LedgerReader
from harness.report import page as page_module
from harness.report import write_report
from harness.running import exercises, run
from harness.running.timing import TimingPhase


@pytest.fixture
def tiny(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the quick budget train next to nothing."""
    budget = replace(
        budgets.BUDGETS["quick"], num_hiddens=8, train_tokens=3000, small_tokens=2000, epochs=1, seeds=(0,),
        curve_sizes=(1000, 2000, 3000, 4000), curve_tokens=4000,
    )  # fmt: skip
    monkeypatch.setitem(budgets.BUDGETS, "quick", budget)
    monkeypatch.setattr(page_module, "vega_script", lambda: "/* Vega */")


@pytest.fixture
def call(here: Path) -> Callable[..., Result]:
    def call(*arguments: object) -> Result:
        return CliRunner().invoke(cli.main, [str(argument) for argument in arguments], prog_name="harness")

    return call


def plan(*names: str) -> exercises.PlannedExercises:
    budget = budgets.BUDGETS["quick"]
    return exercises.prepare(names, budget, built_in(), run.Placement(devices="cpu", jobs=1), Console(quiet=True))


def ids(planned: exercises.PlannedExercises) -> set[str]:
    return {trial.trial_id for trial in planned.prepared.plan.runnable}


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_a_trial_that_several_exercises_need_is_planned_once_and_measured_for_all_of_them():
    apart = [plan(name) for name in ("deep-rnn-1", "rnn-2", "rnn-3")]
    together = plan("deep-rnn-1", "rnn-2", "rnn-3")
    assert ids(together) == set().union(*map(ids, apart))
    assert len(together.prepared.plan.trials) == len(ids(together)) < sum(len(ids(each)) for each in apart)
    (shared,) = ids(apart[1]) & {name for name in ids(apart[2]) if name.startswith("gru-1")}
    assert together.probes[shared] == ("influence", "gradients", "clipping")
    assert together.timed == apart[0].timed
    assert len(together.prepared.prediction.trial_seconds) == len(together.prepared.plan.runnable)
    assert {trial.corpus_digest for trial in together.prepared.plan.runnable} <= {
        corpus.digest for corpus in together.prepared.corpora
    }


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_the_run_s_folder_is_named_by_its_budget_and_exercises():
    assert plan("rnn-1").prepared.folder.path == Path("reports/exercises_quick_rnn-1")
    assert plan().prepared.folder.path == Path("reports/exercises_quick")


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_every_exercise_plans_something(call: Callable[..., Result]):
    for name in built_in().exercises:
        assert ids(plan(name)), name


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_only_trials_whose_speed_is_asked_for_are_timed(monkeypatch: pytest.MonkeyPatch, prepare: Any):
    timed: list[Any] = []
    monkeypatch.setattr(TimingPhase, "run", lambda _, trials, *__: timed.extend(trials))
    prepared = prepare("rnn,gru,numpy")
    first, _ = prepared.plan.runnable
    measures = run.Measurements(timing="quick", timed=frozenset([first.trial_id]), parity_steps=0)
    with prepared.folder.opened():
        run.execute(prepared, run.Limits(), measures, ["harness"], Console(quiet=True))
    assert [trial.trial_id for trial in timed] == [first.trial_id]


def test_an_unknown_exercise_is_one_sentence_and_exit_2(call: Callable[..., Result], here: Path):
    result = call("exercises", "rnn2")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: There is no exercise 'rnn2'. Did you mean 'rnn-2'")
    assert result.stderr.count("\n") == 1
    assert not (here / "reports").exists()


@pytest.mark.usefixtures("tiny")
def test_a_dry_run_writes_nothing(call: Callable[..., Result], here: Path):
    result = call("exercises", "rnn-1", "--dry-run", "--devices", "cpu")
    assert result.exit_code == 0, result.output
    assert "3 trials on" in result.stdout
    assert not (here / "reports").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_the_command_trains_probes_and_answers_and_goes_on_where_it_stopped(call: Callable[..., Result], here: Path):
    command = ("exercises", "rnn-1", "rnn-2", "deep-rnn-4", "--timing", "off", "--devices", "cpu", "--out", "out")
    result = call(*command)
    assert result.exit_code == 0, result.output
    with (here / "out" / "exercises.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["exercise_id"]: row for row in csv.DictReader(file)}
    assert list(rows) == list(built_in().exercises)
    assert rows["rnn-1"]["verdict"] == "as many as the vocabulary has tokens"
    assert rows["rnn-2"]["verdict"].endswith("a window nothing beyond its end")
    questions = ("as many epochs", "as many updates", "mixing at a fixed budget")
    assert all(f"{question}: not decided" in rows["deep-rnn-4"]["verdict"] for question in questions)
    assert "one seed, which gives no interval" in rows["deep-rnn-4"]["answer"]
    assert "n-grams" not in rows["deep-rnn-4"]["missing"]
    with LedgerReader(here / "out" / "run.sqlite") as ledger:
        attempts = {row["trial_id"]: row["attempts"] for row in ledger.trials()}
    again = call(*command)
    assert again.exit_code == 0, again.output
    assert "Probing" not in again.output
    with LedgerReader(here / "out" / "run.sqlite") as ledger:
        assert {row["trial_id"]: row["attempts"] for row in ledger.trials()} == attempts


@pytest.mark.slow
def test_an_exercise_of_one_file_is_planned_trained_probed_and_answered(
    call: Callable[..., Result], plugin_folder: Callable[..., Path]
):
    folder = plugin_folder("tiny_exercise")
    command = ("exercises", "tiny-1", "--timing", "off", "--devices", "cpu", "--out", "out", "--plugins-dir", folder)
    result = call(*command)
    assert result.exit_code == 0, result.output
    answer = read_answers(Path("out"))["tiny-1"]
    assert answer["verdict"] == "not decided"
    assert "apart." in answer["answer"]
    assert len(json.loads(answer["evidence"])) == 2
    page = Path("out/index.html").read_text(encoding="utf-8")
    assert "Exercise tiny-1: not decided" in page
    assert "exercise-tiny-1-figure-1-1" in page
    with Path("out/probes.csv").open(encoding="utf-8", newline="") as file:
        assert {row["probe"] for row in csv.DictReader(file)} == {"influence", "letters"}
    assert call("report", "out", "--plugins-dir", folder).exit_code == 0
    assert read_answers(Path("out"))["tiny-1"] == answer
    assert call("report", "out").exit_code == 0
    assert "tiny-1" not in read_answers(Path("out"))


@pytest.mark.slow
def test_an_answer_is_the_same_alone_and_beside_other_exercises_trials(
    call: Callable[..., Result], plugin_folder: Callable[..., Path]
):
    folder = plugin_folder("tiny_exercise")
    for names in (("tiny-1",), ("tiny-2",), ("tiny-1", "tiny-2")):
        out = "+".join(names)
        result = call("exercises", *names, "--timing", "off", "--devices", "cpu", "--out", out, "--plugins-dir", folder)
        assert result.exit_code == 0, result.output
    together = read_answers(Path("tiny-1+tiny-2"))
    assert together["tiny-1"] == read_answers(Path("tiny-1"))["tiny-1"]
    assert together["tiny-2"] == read_answers(Path("tiny-2"))["tiny-2"]
    assert [len(json.loads(together[name]["evidence"])) for name in ("tiny-1", "tiny-2")] == [2, 4]


def read_answers(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "exercises.csv").open(encoding="utf-8", newline="") as file:
        return {row["exercise_id"]: row for row in csv.DictReader(file)}


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("failing-raises", "cannot say what it needs (KeyError: 'budget')"),
        ("failing-odd", "asks for an option 'layer'. Did you mean 'layers'"),
        ("failing-lost", "cannot say what it needs (ModuleNotFoundError: No module named 'no_such_module')"),
    ],
)
def test_an_exercise_that_is_named_and_cannot_be_planned_is_one_sentence(
    call: Callable[..., Result], plugin_folder: Callable[..., Path], name: str, sentence: str
):
    result = call("exercises", name, "--dry-run", "--plugins-dir", plugin_folder("failing_exercises"))
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_of_all_exercises_those_that_cannot_be_planned_are_left_out_and_that_is_said(
    call: Callable[..., Result], plugin_folder: Callable[..., Path]
):
    result = call("exercises", "--dry-run", "--plugins-dir", plugin_folder("failing_exercises"))
    assert result.exit_code == 0, result.output
    assert result.stdout.count("is left out: The exercise failing-") == 3
    assert "gru-1-numpy" in result.stdout


@pytest.mark.slow
def test_an_answer_that_fails_costs_itself_alone_and_says_why(
    here: Path, plugin_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(page_module, "vega_script", lambda: "/* Vega */")
    only = trial("rnn")
    folder = make_folder(here / "run", [only], lambda ledger: finish(ledger, only))
    page = write_report(folder, registry.load(plugin_folder("failing_exercises")).exercises.values())
    answers = read_answers(folder)
    assert answers["rnn-1"]["verdict"].startswith("as many as the vocabulary has tokens")
    for name, cause in (
        ("failing-raises", "ZeroDivisionError: nothing to divide by"),
        ("failing-odd", "TypeError: it returned 'forty-two', which is no Answer"),
        ("failing-lost", "ModuleNotFoundError: No module named 'no_such_module'"),
    ):
        assert answers[name]["verdict"] == "not answered"
        assert cause in answers[name]["missing"]
    assert "ZeroDivisionError: nothing to divide by" in page.read_text(encoding="utf-8")


def test_exercises_are_listed_with_whether_they_can_be_answered(
    call: Callable[..., Result], plugin_folder: Callable[..., Path]
):
    listing = call("plugins", "--plugins-dir", plugin_folder("failing_exercises", "tiny_exercise")).stdout
    rows = {line.split()[1]: line for line in listing.splitlines() if line.startswith("exercise")}
    # By chapters: Deep Recurrent …, Failing, Recurrent …, Tiny.
    assert [list(rows).index(name) for name in ("deep-rnn-4", "failing-raises", "rnn-1", "tiny-1")] == [3, 4, 7, 11]
    assert "yes: harness exercises tiny-1" in rows["tiny-1"]
    assert "no: there is no module 'no_such_module'" in rows["failing-lost"]


def test_exercises_are_named_once_and_all_in_the_order_of_their_chapters():
    known = built_in()
    assert [exercise.name for exercise in known.exercises_named(["rnn-1", "rnn-1"])] == ["rnn-1"]
    eight = [f"{chapter}-{number}" for chapter in ("deep-rnn", "rnn") for number in range(1, 5)]
    assert [exercise.name for exercise in known.exercises_named([])] == eight
