"""A run checks its cells before anything trains: what cheats trains nothing, the others do, and a mended one too."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.record.ledger import LedgerReader
from harness.record.parity import TOLERANCE

Harness = Callable[..., Any]


@pytest.mark.slow
def test_a_cell_that_sees_the_future_trains_nothing_and_is_named_with_its_fault(train: Callable[..., Any]) -> None:
    trained = train("oracle,rnn,numpy", "sees_the_future", limits={"parity_steps": 2})
    oracle, rnn = trained.trial("oracle"), trained.trial("rnn")
    assert (oracle["status"], rnn["status"]) == ("failed", "ok")
    assert "oracle" in oracle["reason"]
    assert "project looks at the future" in oracle["reason"]
    assert rnn["parity_max_rel_diff"] <= TOLERANCE
    with LedgerReader(trained.folder / "run.sqlite") as ledger:
        assert {row["trial_id"] for row in ledger.epochs()} == {rnn["trial_id"]}
    assert trained.outcome.exit_code == 1


@pytest.mark.slow
def test_a_cell_that_was_mended_trains_by_the_same_command(
    harness: Harness, here: Path, small: tuple[str, ...], plugin_folder: Callable[..., Path]
) -> None:
    folder = plugin_folder("sees_the_future")
    command = (*small, "--plugins", "oracle,numpy", "--plugins-dir", folder, "--out", "out", "--epochs", "1")
    assert harness(*command).returncode == 1
    source = folder / "sees_the_future.py"
    source.write_text(source.read_text().replace(" + xp.tanh(projected[[*range(1, len(projected)), 0]])", ""))
    assert harness(*command).returncode == 0
    with LedgerReader(here / "out" / "run.sqlite") as ledger:
        by_status = {trial["status"]: trial for trial in ledger.trials()}
    assert by_status["ok"]["parity_certified"] is True
    assert by_status.keys() == {"ok", "failed"}, "what the cell was before stays under its own code"


@pytest.mark.slow
def test_plugins_check_says_of_each_cell_whether_it_is_sound(
    harness: Harness, plugin_folder: Callable[..., Path]
) -> None:
    folder = plugin_folder("sees_the_future")
    done = harness("plugins", "check", "lstm", "oracle", "--plugins-dir", folder)
    assert done.returncode == 1
    lstm, oracle = done.stdout.splitlines()
    assert lstm == "lstm: sound"
    assert oracle.startswith("oracle: project looks at the future")
    assert harness("plugins", "check", "gru").returncode == 0
    unknown = harness("plugins", "check", "lstn")
    assert unknown.returncode == 2
    assert "lstm" in unknown.stderr
