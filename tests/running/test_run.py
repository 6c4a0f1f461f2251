import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from built_in import built_in

from harness.errors import EnvironmentMissing, PluginError
from harness.record.ledger import LedgerReader

Train = Callable[..., Any]
Losses = Callable[[Path], dict[Any, Any]]
Harness = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.slow
def test_every_trial_is_trained_and_its_epochs_recorded(train: Train, losses: Losses) -> None:
    trained = train("rnn,tiny,numpy", "tiny_cell", layers=(1, 2), epochs=3)
    assert trained.outcome.statuses == {row["trial_id"]: "ok" for row in trained.trials}
    assert trained.outcome.exit_code == 0
    assert {(trial_id, number) for trial_id, number in losses(trained.folder)} == {
        (row["trial_id"], number) for row in trained.trials for number in (1, 2, 3)
    }
    for row in trained.trials:
        assert row["reason"] == ""
        assert row["num_params"] > 0
        assert row["peak_rss_bytes"] > 1_000_000
        assert row["sample"].startswith(trained.prepared.corpora[0].prefix)
        assert trained.prepared.folder.checkpoint(row["trial_id"]).is_file()


@pytest.mark.slow
def test_the_losses_fall(train: Train, losses: Losses) -> None:
    figures = losses(train("lstm,numpy", epochs=8).folder)
    first, *_, last = (loss for loss, *_ in figures.values())
    assert last < first - 0.1


@pytest.mark.slow
def test_the_same_command_and_seed_give_the_same_losses_bit_for_bit(train: Train, losses: Losses) -> None:
    options = {"layers": (2,), "dropout": (0.0, 0.5), "implementation": "all", "epochs": 1}
    first = losses(train("lstm,numpy", out="first", **options).folder)
    again = losses(train("lstm,numpy", out="again", jobs=1, **options).folder)
    implementations = len(built_in().implementation_names("lstm", "numpy"))
    assert len(first) == 2 * implementations
    assert first == again


@pytest.mark.slow
def test_another_seed_gives_other_losses(train: Train, losses: Losses) -> None:
    figures = losses(train("rnn,numpy", seeds=(0, 1)).folder)
    assert len(set(figures.values())) == 4


@pytest.mark.slow
@pytest.mark.parametrize("partition", ["sequential", "random"])
def test_the_order_of_minibatches_is_the_seed_s_too(train: Train, losses: Losses, partition: str) -> None:
    options = {"partition": partition, "epochs": 1}
    assert losses(train("rnn,numpy", out="a", **options).folder) == losses(
        train("rnn,numpy", out="b", **options).folder
    )


@pytest.mark.slow
def test_the_same_command_again_trains_nothing(train: Train) -> None:
    first = train("rnn,numpy,lose-track", "misbehaving")
    again = train("rnn,numpy,lose-track", "misbehaving")
    assert first.trials == again.trials
    assert [row["attempts"] for row in again.trials] == [1, 1]
    assert again.outcome.statuses == first.outcome.statuses


@pytest.mark.slow
def test_a_larger_grid_in_the_same_folder_trains_only_what_is_new(train: Train, losses: Losses) -> None:
    first = train("rnn,numpy", seeds=(0,))
    (row,) = first.trials
    before = losses(first.folder)
    more = train("rnn,numpy", seeds=(0, 1))
    assert before.items() <= losses(more.folder).items()
    assert more.trial(row["trial_id"]) == row
    assert len(more.trials) == 2


@pytest.mark.slow
def test_what_failed_or_timed_out_is_tried_again_by_the_same_command(train: Train) -> None:
    first = train("rnn,hang,kill-itself", "misbehaving", limits={"timeout": 2.0})
    assert sorted(first.outcome.statuses.values()) == ["failed", "timeout"]
    again = train("rnn,hang,kill-itself", "misbehaving", limits={"timeout": 2.0})
    assert [row["attempts"] for row in again.trials] == [2, 2]


@pytest.mark.slow
def test_a_backend_that_is_missing_is_skipped_beside_one_that_runs(train: Train) -> None:
    trained = train("rnn,numpy,needy", "needy")
    row = trained.trial("needy")
    assert row["status"] == "skipped"
    assert "needs no-such-library>=1: pip install" in row["reason"]
    assert trained.trial("numpy")["status"] == "ok"
    assert trained.outcome.exit_code == 1


def test_a_run_of_which_nothing_can_run_is_told_at_once(prepare: Callable[..., Any], here: Path) -> None:
    with pytest.raises(EnvironmentMissing, match=r"needy backend needs no-such-library>=1: pip install"):
        prepare("rnn,needy", "needy")
    assert not (here / "out").exists()


@pytest.mark.slow
def test_a_diverged_trial_keeps_its_finite_epochs_and_counts_as_finished(train: Train, losses: Losses) -> None:
    trained = train("rnn,lose-track", "misbehaving", epochs=5)
    (row,) = trained.trials
    assert (row["status"], row["reason"][:32]) == ("diverged", "the loss became nan in epoch 2: ")
    assert [number for _, number in losses(trained.folder)] == [1]
    assert trained.outcome.exit_code == 1


@pytest.mark.slow
def test_a_corpus_in_a_single_file_is_trained_on(train: Train) -> None:
    trained = train("rnn,numpy", "own_corpus", corpora=("round",))
    (row,) = trained.trials
    assert (row["status"], row["corpus"]) == ("ok", "round")


def test_a_corpus_of_a_broken_plugin_is_told_with_its_cause(prepare: Callable[..., Any]) -> None:
    with pytest.raises(PluginError, match=r"'fails_to_load' cannot be used: .* \(RuntimeError: my framework"):
        prepare("rnn,numpy", "fails_to_load", corpora=("fails_to_load",))


@pytest.mark.slow
def test_a_broken_plugin_stops_nothing_that_does_not_need_it(train: Train) -> None:
    assert train("rnn,numpy", "fails_to_load", "exits_while_loading").outcome.exit_code == 0


@pytest.mark.slow
def test_costly_trials_go_first(train: Train, losses: Losses) -> None:
    trained = train("rnn,numpy", layers=(1, 3, 2), hiddens=(256,), epochs=1, jobs=1)
    with LedgerReader(trained.prepared.folder.ledger) as ledger:
        depths = {row["trial_id"]: row["num_layers"] for row in ledger.trials()}
        by_time = sorted(ledger.epochs(), key=lambda row: row["recorded_at"])
    assert [depths[row["trial_id"]] for row in by_time] == [3, 2, 1]
    assert {row["concurrency"] for row in trained.trials} == {1}


def test_a_dry_run_prints_plan_skips_and_duration_and_writes_nothing(
    harness: Harness, small: tuple[str, ...], plugin_folder: Callable[..., Path], here: Path
) -> None:
    folder = plugin_folder("needy")
    before = {path for path in here.rglob("*") if here / "cache" not in (path, *path.parents)}
    done = harness(
        *small,
        "--plugins",
        "lstm,gru,numpy,needy",
        "--layers",
        "1-2",
        "--plugins-dir",
        folder,
        "--dry-run",
        "--jobs",
        2,
    )
    assert (done.returncode, done.stderr) == (0, "")
    *trials, skipped, last = done.stdout.splitlines()
    assert [line.split("-numpy")[0] for line in trials] == ["lstm-1", "lstm-2", "gru-1", "gru-2"]
    assert all("2 epochs, adam 0.003, seed 0, about " in line for line in trials)
    assert skipped.startswith("skipped: 4 trials: The needy backend needs no-such-library>=1: pip install")
    assert last.startswith("4 trials on 2 CPU slots: about ")
    assert last.endswith("/index.html.")
    assert {path for path in here.rglob("*") if here / "cache" not in (path, *path.parents)} == before


@pytest.mark.slow
def test_the_command_runs_the_grid_and_leaves_its_report_where_it_says(
    harness_process: Harness, small: tuple[str, ...], here: Path
) -> None:
    done = harness_process(*small, "--plugins", "rnn,numpy", "--seeds", 2)
    assert (done.returncode, done.stderr) == (0, "")
    page = Path(done.stdout.splitlines()[-1].removeprefix("Report: "))
    assert page.read_text().lower().startswith("<!doctype html>")
    assert (here / "reports" / "latest").resolve() == (here / page).parent
    left = {path.name for path in (here / "reports" / "latest").iterdir()}
    assert left >= {"index.html", "trials.csv", "epochs.csv", "run.sqlite", "manifest.json", "logs", "checkpoints"}
    again = harness_process(*small, "--plugins", "rnn,numpy", "--seeds", 2)
    assert again.stdout.splitlines()[0] == "2 of 2 trials: finished already, not trained again."
