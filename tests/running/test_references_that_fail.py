"""A reference that can't be had, or not be kept, costs its trial the certificate at most, and that is said."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

Prepare = Callable[..., Any]


def words(console: Console) -> str:
    return " ".join(console.export_text().split())


@pytest.fixture
def console() -> Console:
    return Console(record=True, quiet=False, width=400, file=Path("/dev/null").open("w"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["references", "checks"])
def test_a_cache_that_takes_nothing_is_named_and_ends_nothing(
    prepare: Prepare, execute: Callable[..., Any], console: Console, here: Path, name: str
) -> None:
    (here / "cache" / name).write_text("in the way")
    done = execute(prepare("rnn,gru,numpy"), parity_steps=2, console=console)
    assert done.outcome.exit_code == 0
    assert [trial["parity_certified"] for trial in done.trials] == [True, True]
    said = words(console)
    assert said.count("The cache folder") == 1
    assert f"The cache folder {here / 'cache' / name} cannot be written (" in said
    assert "name another in HARNESS_CACHE_DIR" in said
    assert "free some space" not in said


@pytest.mark.slow
def test_an_unreadable_reference_is_made_again(
    prepare: Prepare, execute: Callable[..., Any], console: Console, here: Path
) -> None:
    execute(prepare("rnn,numpy"), parity_steps=2)
    (kept,) = (here / "cache" / "references").glob("*.json")
    kept.unlink()
    kept.mkdir()
    shutil.rmtree(here / "out")
    done = execute(prepare("rnn,numpy"), parity_steps=2, console=console)
    assert done.outcome.exit_code == 0
    assert done.trials[0]["parity_certified"] is True
    assert f"The cache folder {kept.parent} cannot be written (Is a directory)" in words(console)


@pytest.mark.slow
def test_a_stalled_check_leaves_its_trials_uncertified_and_says_why(
    prepare: Prepare, execute: Callable[..., Any], console: Console
) -> None:
    done = execute(prepare("stalling,rnn,numpy", "stalling"), parity_steps=2, console=console, stall_timeout=8.0)
    stalling, rnn = done.trial("stalling"), done.trial("rnn")
    assert (stalling["status"], rnn["status"]) == ("ok", "ok")
    assert rnn["parity_certified"] is True
    assert "parity_certified" not in stalling
    assert stalling["parity_note"] == "stalling could not be checked: it said nothing for 8 s (--stall-timeout)"
    assert f"{stalling['trial_id']} goes without a certificate: {stalling['parity_note']}" in words(console)
