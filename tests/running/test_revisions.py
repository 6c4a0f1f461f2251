"""A trial is of the code that ran: an edited plugin's trials are trained anew, and what was before stands apart."""

import csv
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from invented_runs import older_ledger

from harness.analysis.frames import read_run
from harness.record.ledger import Ledger

Run = Callable[..., subprocess.CompletedProcess[str]]
STEP, EDITED = "xp.tanh(x + ", "xp.tanh(0.5 * x + "


@pytest.fixture
def run(harness: Run, small: tuple[str, ...], plugin_folder: Callable[..., Path]) -> Run:
    """`harness run` of the tiny cell and the blind baseline, into the folder out."""
    folder = plugin_folder("tiny_cell", "tiny_baseline")
    named = ("--plugins-dir", folder, "--out", "out", "--epochs", "1", "--parity-steps", "0")

    def call(*more: object) -> subprocess.CompletedProcess[str]:
        done = harness(*small, "--plugins", "tiny,guess,numpy", *named, *more)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    return call


def edit(here: Path, old: str = STEP, new: str = EDITED, file: str = "tiny_cell.py") -> None:
    path = here / "plugins" / file
    content = path.read_text()
    assert old in content
    path.write_text(content.replace(old, new))


def rows(here: Path, **wanted: str) -> list[dict[str, str]]:
    """Return those rows of trials.csv."""
    with (here / "out" / "trials.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if wanted.items() <= row.items()]


def words(done: subprocess.CompletedProcess[str]) -> str:
    return " ".join(done.stdout.split())


@pytest.mark.slow
def test_an_edited_cell_is_trained_anew_and_never_meets_what_it_was(run: Run, here: Path) -> None:
    run()
    (before,) = rows(here, cell="tiny")
    edit(here)
    planned = run("--dry-run", "--seeds", "2")
    done = run("--seeds", "2")
    for said in (words(planned), words(done)):
        assert "1 trial is trained anew: the code of tiny on numpy (scratch) was edited" in said
        assert before["revision"] in said
    first, second, old = rows(here, cell="tiny")
    assert first["trial_id"] == before["trial_id"]
    assert first["revision"] == second["revision"] != before["revision"]
    assert first["valid_loss"] != before["valid_loss"]
    assert (first["superseded"], second["superseded"]) == ("", "")
    # The old one stays as it was, under an id of its own, and is in nothing that is made of several.
    assert old["trial_id"] == f"{before['trial_id']}@1"
    assert old["superseded"] == "its code was edited"
    assert {**old, "trial_id": "", "superseded": ""} == {**before, "trial_id": "", "superseded": ""}
    read = read_run(here / "out")
    assert old["trial_id"] not in set(read.trials["trial_id"]) | set(read.epochs["trial_id"])
    (mean,) = read.summary[read.summary["cell"] == "tiny"].to_dict("records")
    losses = [float(row["valid_perplexity"]) for row in (first, second)]
    assert mean["num_seeds"] == 2
    assert mean["valid_perplexity_mean"] == pytest.approx(sum(losses) / 2)
    assert "finished already" in words(run("--seeds", "2"))
    assert "superseded" not in words(run("--seeds", "2"))


def test_a_comment_changes_nothing(run: Run, here: Path) -> None:
    run()
    edit(here, "def step(", "# Elman's\ndef step(")
    assert words(run()).startswith("2 of 2 trials: finished already")


@pytest.mark.slow
def test_what_this_command_does_not_train_is_put_aside_too(run: Run, here: Path) -> None:
    run("--seed", "0")
    edit(here)
    done = run("--seed", "1")
    assert "1 trial is no longer counted, and no part of this command" in words(done)
    current = [row for row in rows(here, cell="tiny") if not row["superseded"]]
    assert [row["seed"] for row in current] == ["1"]


@pytest.mark.slow
def test_code_that_is_what_it_was_counts_again_and_is_not_trained_twice(run: Run, here: Path) -> None:
    run()
    (before,) = rows(here, cell="tiny")
    edit(here)
    run()
    edit(here, EDITED, STEP)
    done = run()
    assert "1 trial is counted again" in words(done)
    assert "2 of 2 trials: finished already" in words(done)
    (current,) = rows(here, cell="tiny", superseded="")
    assert current == before
    assert (here / "out" / "checkpoints" / f"{before['trial_id']}.safetensors").is_file()


@pytest.mark.slow
def test_an_edited_baseline_is_fitted_anew(run: Run, here: Path) -> None:
    run()
    edit(here, "math.log(len(text.symbols))", "2.0 * math.log(len(text.symbols))", "tiny_baseline.py")
    assert "the baseline guess was edited" in words(run())
    new, old = rows(here, cell="guess")
    assert float(new["valid_loss"]) == pytest.approx(2 * float(old["valid_loss"]))
    assert not [row for row in rows(here, cell="tiny") if row["superseded"]]


def test_a_sample_is_refused_where_other_code_is_here(run: Run, here: Path, harness: Run) -> None:
    run()
    (trial,) = rows(here, cell="tiny")
    edit(here)
    refused = harness("sample", "out", "tiny", "--plugins-dir", here / "plugins")
    assert refused.returncode == 2
    assert f"was trained by other code than is here (revision {trial['revision']}, now " in refused.stderr
    run()
    assert harness("sample", "out", "tiny", "--plugins-dir", here / "plugins").returncode == 0
    refused = harness("sample", "out", f"{trial['trial_id']}@1", "--plugins-dir", here / "plugins")
    assert refused.returncode == 2
    assert "is superseded (its code was edited)" in refused.stderr


@pytest.mark.slow
def test_rows_of_before_revisions_are_continued(run: Run, here: Path) -> None:
    run()
    with older_ledger(here / "out" / "run.sqlite") as db:
        db.execute("UPDATE trials SET revision=''")
    edit(here)
    assert "2 of 3 trials: finished already" in words(run("--seeds", "2"))
    first, second = rows(here, cell="tiny")
    assert first["revision"] == ""
    assert second["revision"] != ""


@pytest.mark.slow
@pytest.mark.parametrize("is_edited", [False, True])
def test_a_training_cut_short_goes_on_by_the_same_code_alone(run: Run, here: Path, is_edited: bool) -> None:
    run("--epochs", "2")
    (before,) = rows(here, cell="tiny")
    with Ledger(here / "out" / "run.sqlite") as ledger:
        ledger.release(before["trial_id"])  # as a kill behind its last epoch leaves it
    if is_edited:
        edit(here)
    run("--epochs", "2")
    (current,) = rows(here, superseded="", cell="tiny")
    assert current["trial_id"] == before["trial_id"]
    assert (current["resumed_epochs"], current["valid_loss"] == before["valid_loss"]) == (
        ("0", False) if is_edited else ("2", True)
    )


@pytest.mark.slow
def test_force_trains_the_chosen_trials_anew_and_keeps_what_was(run: Run, here: Path) -> None:
    run("--seeds", "2")
    chosen, other = rows(here, cell="tiny")
    done = run("--seeds", "2", "--force", chosen["trial_id"])
    assert "1 trial is trained anew: the code of tiny on numpy (scratch), by --force" in words(done)
    new, kept, old = rows(here, cell="tiny")
    assert new["valid_loss"] == old["valid_loss"] == chosen["valid_loss"]
    assert (old["superseded"], kept["attempts"], kept) == ("it was trained anew", "1", other)


def test_force_of_what_is_not_there_is_refused_by_its_name(
    run: Run, here: Path, harness: Run, small: tuple[str, ...]
) -> None:
    refused = harness(*small, "--plugins", "rnn,numpy", "--dry-run", "--force", "lstm")
    assert refused.returncode == 2
    assert "--force 'lstm' begins no trial of this command" in refused.stderr


@pytest.mark.slow
def test_a_repeat_under_other_threads_or_versions_says_so(run: Run, here: Path) -> None:
    run()
    with older_ledger(here / "out" / "run.sqlite") as db:
        versions = json.dumps({"python": "3.9.1", "numpy": "1.2.3"})
        db.execute("UPDATE trials SET facts=json_set(facts, '$.versions', json(?))", (versions,))
    done = words(run("--threads", "2"))
    assert "threads 1 (now 2), " in done
    assert "numpy 1.2.3 (now " in done
    assert "python 3.9.1 (now " in done
    (trial,) = rows(here, cell="tiny")
    assert trial["num_threads"] == "1"
    manifest: dict[str, Any] = json.loads((here / "out" / "manifest.json").read_text())
    assert manifest["machines"][trial["machine"]]["hardware"] == manifest["hardware"]


@pytest.mark.slow
def test_code_that_is_edited_while_the_run_goes_on_is_not_mixed_into_it(
    here: Path, start: Callable[..., Any], small: tuple[str, ...], plugin_folder: Callable[..., Path]
) -> None:
    folder = plugin_folder("tiny_cell", "slow")
    command = (*small, "--plugins", "tiny,slow", "--plugins-dir", folder, "--out", "out", "--parity-steps", "0")
    process = start(*command, "--seeds", "3", "--epochs", "10", "--jobs", "1", "--timing", "off")
    for line in process.stdout:
        if "epoch 1/10" in line:
            break
    edit(here)
    output = process.communicate(timeout=120)[0]
    assert process.returncode == 1, output
    first, *others = rows(here)
    assert [row["status"] for row in (first, *others)] == ["ok", "failed", "failed"]
    assert all("its code was edited while the run went on" in row["reason"] for row in others)


@pytest.mark.slow
def test_an_edit_within_the_second_that_keeps_the_size_is_what_runs(run: Run, here: Path) -> None:
    edit(here, STEP, "xp.tanh(0.50 * x + ")
    run()
    (before,) = rows(here, cell="tiny")
    stat = (here / "plugins" / "tiny_cell.py").stat()
    edit(here, "0.50", "0.25")
    os.utime(here / "plugins" / "tiny_cell.py", ns=(stat.st_atime_ns, stat.st_mtime_ns + 1000))
    run()
    new, _ = rows(here, cell="tiny")
    assert new["valid_loss"] != before["valid_loss"]


@pytest.mark.slow
def test_a_text_that_its_edited_corpus_no_longer_makes_stands_beside_no_other(
    here: Path, harness: Run, small: tuple[str, ...], plugin_folder: Callable[..., Path]
) -> None:
    folder = plugin_folder("own_corpus")
    named = ("--plugins-dir", folder, "--out", "out", "--epochs", "1", "--parity-steps", "0", "--corpus", "round")
    command = (*small, "--plugins", "rnn,numpy", *named)
    assert harness(*command).returncode == 0
    edit(here, '"boat"', '"boat", "gently"', "own_corpus.py")
    done = harness(*command)
    assert "the corpus round was edited and makes another text now" in words(done)
    new, old = rows(here)
    assert (new["superseded"], old["superseded"]) == ("", "its corpus was edited and makes another text")
    assert new["corpus_digest"] != old["corpus_digest"]
    edit(here, "times: int = 400", "times: int = 200 + 200", "own_corpus.py")
    assert "1 of 1 trial: finished already" in words(harness(*command))


@pytest.mark.slow
def test_the_page_shows_what_is_superseded_apart_and_each_machine(run: Run, here: Path) -> None:
    run()
    (before,) = rows(here, cell="tiny")
    page = (here / "out" / "index.html").read_text()
    assert "Superseded trials" not in page
    with older_ledger(here / "out" / "run.sqlite") as db:
        db.execute("UPDATE trials SET facts=json_set(facts, '$.machine', 'feedc0de')")
    path = here / "out" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["machines"] = {"feedc0de": {"python": "3.9.1", "hardware": {"processor": "Another One"}}}
    path.write_text(json.dumps(manifest))
    edit(here)
    assert "processor Another One (now " in words(run("--seeds", "2"))
    page = (here / "out" / "index.html").read_text()
    assert f"<code>{before['trial_id']}@1</code>" in page
    assert f"<code>{before['revision']}</code>" in page
    assert "Machine feedc0de: 1 trial trained" in page
    assert "Another One" in page


@pytest.mark.slow
def test_two_runs_of_one_model_by_other_code_are_told_apart(run: Run, here: Path, harness: Run) -> None:
    run()
    shutil.copytree(here / "out", here / "before")
    assert "revisions" not in words(harness("compare", "before", "out"))
    edit(here)
    run()
    compared = words(harness("compare", "before", "out"))
    assert "The code of tiny/numpy/scratch is not the same in A and B (their revisions)." in compared
