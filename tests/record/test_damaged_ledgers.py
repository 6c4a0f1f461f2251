"""A ledger whose bytes changed is one sentence, or says what it said before: no traceback, and no other figure."""

import contextlib
import json
import os
import random
import re
import shutil
import sqlite3
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from invented_runs import older_ledger

from harness.errors import RunFolderError
from harness.record.ledger import SCHEMA_VERSION, Launch, Ledger, LedgerReader
from harness.testing.trials import epoch_ended, evaluated, finished, small_trial, started

TRIALS = [small_trial(seed=seed, num_epochs=12) for seed in range(4)]
Content = dict[str, Any]


def record(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.add(TRIALS)
        for trial in TRIALS:
            ledger.launched(trial.trial_id, Launch(slot="cpu:0", concurrency=2))
            ledger.started(trial.trial_id, started())
            for number in range(1, 13):
                blocks = tuple((60, 0.1 * number + k) for k in range(3))
                ledger.epoch(trial.trial_id, epoch_ended(number, 2.0 + trial.seed / number, blocks=blocks))
            ledger.evaluated(trial.trial_id, evaluated(author="Ann"))
            ledger.timing.add(trial.trial_id, [(k, 100, 0.5 + k) for k in range(5)])
            ledger.probed(trial.trial_id, "memory", [("loss", float(k), 2.5, 0.1, 7) for k in range(4)])
            ledger.ended(trial.trial_id, "ok", finished=finished())


def content(path: Path) -> Content:
    """Read all that a ledger's reader gives."""
    with LedgerReader(path) as reader:
        tables = {name: list(reader.columns(name)) for name in ("epochs", "timings")}
        rows = (reader.trials(), reader.epochs(), reader.timings(), reader.evaluations(), reader.probes())
        return {"run": reader.run(), **tables, "rows": rows}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "run.sqlite"
    record(path)
    return path


def one_byte_changes(data: bytes) -> Iterator[bytes]:
    generator = random.Random(5)
    for _ in range(120):
        changed = bytearray(data)
        changed[generator.randrange(len(data))] ^= generator.randrange(1, 256)
        yield bytes(changed)


def flipped_bits(data: bytes) -> Iterator[bytes]:
    generator = random.Random(6)
    for _ in range(30):
        changed = bytearray(data)
        changed[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        yield bytes(changed)


def undecodable_names(data: bytes) -> Iterator[bytes]:
    """SQLite's own complaints quote what they complain about."""
    generator = random.Random(7)
    first, last = data.index(b"CREATE TABLE"), data.rindex(b"CREATE TABLE")
    for _ in range(60):
        changed = bytearray(data)
        changed[generator.randrange(min(first, last), max(first, last) + 400)] = 0xA8
        yield bytes(changed)


def flips_of_figures(data: bytes) -> Iterator[bytes]:
    """Flip each bit of one loss: from the sign to the last binary place."""
    at = data.index(struct.pack(">d", 2.0 + 3 / 7))
    for bit in range(64):
        changed = bytearray(data)
        changed[at + bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


def refusal(path: Path, opened: Callable[[Path], Any]) -> str:
    """Return the sentence with which the file is refused; '' where it is not."""
    try:
        opened(path)
    except RunFolderError as error:
        return str(error)
    return ""


@pytest.mark.slow
@pytest.mark.parametrize("damage", [one_byte_changes, flipped_bits, undecodable_names])
def test_a_changed_byte_is_one_sentence_or_changes_nothing(
    tmp_path: Path, whole: Path, damage: Callable[[bytes], Iterator[bytes]]
) -> None:
    before, refused = content(whole), 0
    for number, changed in enumerate(damage(whole.read_bytes())):
        path = tmp_path / str(number) / "run.sqlite"
        path.parent.mkdir()
        path.write_bytes(changed)
        if sentence := refusal(path, lambda path: before == content(path) or pytest.fail("other figures")):
            refused += 1
            assert "\n" not in sentence
            assert str(path) in sentence
            assert refusal(path, Ledger)
            assert path.read_bytes() == changed
    assert refused  # else nothing that matters was hit


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A ledger as a kill leaves it, all but its first rows in its log, and what it was before its last commit."""
    folder = tmp_path_factory.mktemp("killed")
    with Ledger(folder / "run.sqlite") as ledger:
        ledger.add(TRIALS)
        for number in range(1, 13):
            if number == 12:
                copy(folder / "run.sqlite", folder / "before")
            ledger.epoch(TRIALS[0].trial_id, epoch_ended(number, 2.0 + number))
        copy(folder / "run.sqlite", folder / "after")
    return folder / "after", folder / "before"


def copy(path: Path, folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in ("run.sqlite", "run.sqlite-wal"):
        shutil.copy(path.with_name(name), folder / name)
    return folder / "run.sqlite"


@pytest.mark.slow
def test_what_is_behind_a_damaged_part_of_the_log_is_not_dropped_unsaid(
    tmp_path: Path, killed: tuple[Path, Path]
) -> None:
    after, before = (content(copy(kept / "run.sqlite", tmp_path / kept.name)) for kept in killed)
    data = (killed[0] / "run.sqlite-wal").read_bytes()
    generator, outcomes = random.Random(8), set()
    for number in range(40):
        path = copy(killed[0] / "run.sqlite", tmp_path / str(number))
        changed = bytearray(data)
        changed[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        path.with_name("run.sqlite-wal").write_bytes(changed)
        if sentence := refusal(path, content):
            assert "run.sqlite-wal" in sentence
            assert "run.sqlite-wal" in refusal(path, Ledger)
            assert path.with_name("run.sqlite-wal").read_bytes() == changed
            outcomes.add("refused")
        else:
            # The last commit's own damage is as a kill within it.
            outcomes.add({str(after): "whole", str(before): "all but the last"}[str(content(path))])
    assert "refused" in outcomes


def test_a_damaged_log_is_cut_where_the_sentence_says(tmp_path: Path, killed: tuple[Path, Path]) -> None:
    path = copy(killed[0] / "run.sqlite", tmp_path / "run")
    log = path.with_name("run.sqlite-wal")
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 1
    log.write_bytes(data)
    size = re.search(rf"(\d+) of the last commits .*: truncate -s (\d+) {log} gives them up", refusal(path, Ledger))
    assert size
    os.truncate(log, int(size[2]))
    epochs = len(content(path)["rows"][1])
    assert 0 < epochs < 12
    assert epochs + int(size[1]) in (11, 12)  # the damaged one counts where the end of it can be seen
    with Ledger(path) as ledger:
        assert ledger.num_epochs(TRIALS[0].trial_id) == epochs


def test_a_log_whose_header_is_damaged_is_said_and_can_be_given_up(tmp_path: Path, killed: tuple[Path, Path]) -> None:
    path = copy(killed[0] / "run.sqlite", tmp_path / "run")
    log = path.with_name("run.sqlite-wal")
    data = bytearray(log.read_bytes())
    data[20] ^= 1
    log.write_bytes(data)
    assert f"the header of its log is damaged: rm {log} gives up what only the log holds" in refusal(path, Ledger)
    log.unlink()
    with Ledger(path) as ledger:
        ledger.add(TRIALS)


def test_a_log_begun_anew_over_an_older_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    with Ledger(path) as ledger:
        ledger.add(TRIALS)
        for number in range(1, 13):
            if number == 9:
                with contextlib.closing(sqlite3.connect(path)) as db:
                    db.execute("PRAGMA wal_checkpoint(RESTART)")
            ledger.epoch(TRIALS[0].trial_id, epoch_ended(number, 2.0))
        kept = copy(path, tmp_path / "kept")
    assert len(content(kept)["rows"][1]) == 12


def test_a_kill_within_the_last_commit_is_no_damage(tmp_path: Path, killed: tuple[Path, Path]) -> None:
    before = content(copy(killed[1] / "run.sqlite", tmp_path / "before"))
    path = copy(killed[0] / "run.sqlite", tmp_path / "run")
    log = path.with_name("run.sqlite-wal")
    os.truncate(log, log.stat().st_size - 100)
    assert content(path) == before


def test_each_bit_of_a_figure_counts(tmp_path: Path, whole: Path) -> None:
    path = tmp_path / "run.sqlite"
    for changed in flips_of_figures(whole.read_bytes()):
        path.write_bytes(changed)
        for opened in (LedgerReader, Ledger):
            assert "its table epochs holds of" in refusal(path, opened)


def test_a_row_that_went_or_came_is_noticed(tmp_path: Path, whole: Path) -> None:
    for number, change in enumerate(
        (
            "DELETE FROM epochs WHERE epoch=12",
            "DELETE FROM timings",
            "DELETE FROM checksums",
            "DROP TABLE checksums",
            "DROP TABLE probes",
            "INSERT INTO timings (trial_id, phase, round, block, tokens, seconds) "
            "VALUES ((SELECT min(trial_id) FROM trials), 'timing', 99, 0, 1, 1.0)",
            "UPDATE trials SET status='waiting'",
            "UPDATE run SET value='1' WHERE key='schema_version'",
        )
    ):
        path = tmp_path / f"{number}.sqlite"
        shutil.copy(whole, path)
        with sqlite3.connect(path) as db:
            db.execute(change)
        assert "cannot be used" in refusal(path, LedgerReader), change


def test_a_continued_ledger_is_sound(tmp_path: Path, whole: Path) -> None:
    """Whatever is written: values SQLite stores otherwise, rows replaced, a column of another's making."""
    path = tmp_path / "run.sqlite"
    shutil.copy(whole, path)
    trial_id = TRIALS[0].trial_id
    with sqlite3.connect(path) as db:
        db.execute("ALTER TABLE epochs ADD COLUMN mood TEXT")
    for loss in (-0.0, 3, float("inf"), float("nan")):
        with Ledger(path) as ledger:
            ledger.epoch(trial_id, epoch_ended(3, loss, blocks=((1, -0.0), (2, 5))))
            ledger.timing.add(trial_id, [(0, 100, 3)])
            ledger.ended(trial_id, "failed", "\udce9 was no name")
            ledger.add([small_trial(seed=9)])
        assert len(content(path)["rows"][0]) == 5


def test_a_ledger_of_before_gets_its_checksums_when_it_is_continued(tmp_path: Path, whole: Path) -> None:
    path = tmp_path / "run.sqlite"
    shutil.copy(whole, path)
    with older_ledger(path) as db:
        db.execute("ALTER TABLE epochs DROP COLUMN valid_top5_accuracy")
    assert len(content(path)["rows"][1]) == 48
    Ledger(path).__exit__()
    assert content(path)["run"]["schema_version"] == str(SCHEMA_VERSION)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE epochs SET valid_loss=1.0 WHERE epoch=3")
    assert "its table epochs" in refusal(path, LedgerReader)


@pytest.mark.parametrize("opened", [Ledger, LedgerReader])
def test_another_runs_ledger_in_a_folder_is_refused(tmp_path: Path, whole: Path, opened: Callable[[Path], Any]) -> None:
    with LedgerReader(whole) as reader:
        run_id = reader.run()["run_id"]
    path = tmp_path / "moved" / "run.sqlite"
    path.parent.mkdir()
    shutil.copy(whole, path)
    path.with_name("manifest.json").write_text(json.dumps({"run_id": run_id}))
    assert refusal(path, opened) == ""
    path.with_name("manifest.json").write_text(json.dumps({"run_id": "another"}))
    assert "is another run's than the manifest.json beside it" in refusal(path, opened)


def test_a_ledger_moved_away_has_a_successor(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    path.with_name("manifest.json").write_text(json.dumps({"run_id": "of before"}))
    record(path)
    assert content(path)["run"]["run_id"] == "of before"


@pytest.mark.slow
def test_the_command_says_it_in_one_sentence(
    here: Path, harness: Callable[..., subprocess.CompletedProcess[str]], small: tuple[str, ...]
) -> None:
    one, other = (
        (*small, "--plugins", "rnn,numpy", "--out", "one"),
        (*small, "--plugins", "gru,numpy", "--out", "other"),
    )
    assert harness(*one).returncode == harness(*other).returncode == 0
    (here / "one").rename(here / "moved")
    assert harness("report", "moved").returncode == 0
    shutil.copy(here / "other" / "run.sqlite", here / "moved" / "run.sqlite")
    for arguments in (("report", "moved"), ("compare", "moved", "other"), (*small, "--out", "moved")):
        done = harness(*arguments)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert "another run's" in done.stderr


def test_who_copies_the_file_alone_has_nearly_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.record.ledger import writer

    monkeypatch.setattr(writer, "_WRITE_BACK_SECONDS", 0.0)
    path = tmp_path / "run.sqlite"
    with Ledger(path) as ledger:
        ledger.add(TRIALS)
        for number in range(1, 13):
            ledger.epoch(TRIALS[0].trial_id, epoch_ended(number, 2.0))
        shutil.copy(path, tmp_path / "copy.sqlite")
    assert len(content(tmp_path / "copy.sqlite")["rows"][1]) == 12
