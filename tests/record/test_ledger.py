import hashlib
import math
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from invented_runs import older_ledger

from harness.errors import RunFolderError
from harness.record.ledger import SCHEMA_VERSION, Launch, Ledger, LedgerReader
from harness.testing.trials import epoch_ended, evaluated, finished, small_trial, started
from harness.worker.events import EpochEnded, Evaluated
from harness.worker.trial import Trial

TRIAL = small_trial(implementation="fused", optimizer="adam", learning_rate=0.1 + 0.2, num_epochs=3)
STARTED = started()
FINISHED = finished(peak_rss_bytes=1 << 40, sample="ü\ud800\0'")


def epoch(number: int, loss: float = 2.0) -> EpochEnded:
    return epoch_ended(
        number, 0.1 + 0.2, train_loss=loss, train_tokens=100, valid_bits_per_char=1.0, blocks=((60, 0.3), (40, 0.2))
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.sqlite"


def record(path: Path, epochs: Sequence[EpochEnded] = (epoch(1), epoch(2))) -> None:
    with Ledger(path) as ledger:
        ledger.add([TRIAL])
        ledger.launched(TRIAL.trial_id, Launch(slot="cpu:0", concurrency=2))
        ledger.started(TRIAL.trial_id, STARTED)
        for event in epochs:
            ledger.epoch(TRIAL.trial_id, event)


def row_of(path: Path) -> dict[str, Any]:
    with LedgerReader(path) as ledger:
        (row,) = ledger.trials()
    return row


def digest(path: Path) -> dict[str, str]:
    files = (file for file in path.parent.iterdir() if file.is_file() and not file.name.endswith("-shm"))
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.stat().st_size}


def test_what_was_recorded_is_read_back_bit_for_bit(path: Path) -> None:
    record(path)
    with Ledger(path) as ledger:
        ledger.note("command", "['harness']")
        ledger.ended(TRIAL.trial_id, "ok", finished=FINISHED)
    row = row_of(path)
    assert Trial.from_dict(row) == TRIAL
    assert (row["trial_id"], row["status"], row["reason"], row["attempts"]) == (TRIAL.trial_id, "ok", "", 1)
    assert (row["slot"], row["concurrency"], row["num_params"], row["peak_rss_bytes"]) == ("cpu:0", 2, 9, 1 << 40)
    assert row["sample"] == FINISHED.sample
    with LedgerReader(path) as reader:
        assert reader.run()["command"] == "['harness']"
        first, second = reader.epochs()
        assert (first["epoch"], second["epoch"]) == (1, 2)
        assert first["valid_loss"] == 0.1 + 0.2
        blocks = [(b["round"], b["block"], b["tokens"], b["seconds"], b["phase"]) for b in reader.timings()]
    assert blocks[:2] == [(1, 0, 60, 0.3, "training"), (1, 1, 40, 0.2, "training")]
    assert len(blocks) == 4


def test_every_event_is_committed_when_it_comes(path: Path) -> None:
    with Ledger(path) as ledger, LedgerReader(path) as other:
        ledger.add([TRIAL])
        assert [row["status"] for row in other.trials()] == ["waiting"]
        ledger.launched(TRIAL.trial_id, Launch(slot="cpu:0", concurrency=1))
        assert [row["status"] for row in other.trials()] == ["running"]
        ledger.epoch(TRIAL.trial_id, epoch(1))
        assert len(other.epochs()) == 1
        ledger.ended(TRIAL.trial_id, "failed", "it broke")
        assert [(row["status"], row["reason"]) for row in other.trials()] == [("failed", "it broke")]


@pytest.mark.slow
def test_nothing_recorded_is_lost_when_the_process_is_killed(path: Path) -> None:
    code = (
        "import os, signal, sys; sys.path[:0] = sys.argv[2:]\n"
        "from pathlib import Path; import test_ledger as t\n"
        "ledger = t.Ledger(Path(sys.argv[1])); ledger.add([t.TRIAL])\n"
        "ledger.epoch(t.TRIAL.trial_id, t.epoch(1)); ledger.epoch(t.TRIAL.trial_id, t.epoch(2))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    folders = [Path(__file__).parent, Path(__file__).parents[1]]
    done = subprocess.run([sys.executable, "-c", code, path, *folders], capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    with LedgerReader(path) as reader:
        assert [row["epoch"] for row in reader.epochs()] == [1, 2]
    with Ledger(path) as ledger:
        assert ledger.num_epochs(TRIAL.trial_id) == 2


def test_a_repeated_epoch_replaces_its_record_and_its_blocks(path: Path) -> None:
    record(path, [epoch(1, 3.0), epoch(2), epoch(1, 2.5)])
    with LedgerReader(path) as reader:
        assert [(row["epoch"], row["train_loss"]) for row in reader.epochs()] == [(1, 2.5), (2, 2.0)]
        assert len(reader.timings()) == 4


def test_epochs_with_a_gap_are_not_counted_as_recorded(path: Path) -> None:
    record(path, [epoch(1), epoch(3)])
    with Ledger(path) as ledger:
        assert ledger.num_epochs(TRIAL.trial_id) == 0
        assert ledger.num_epochs("another") == 0


def test_a_figure_that_is_not_finite_is_recorded_all_the_same(path: Path) -> None:
    event = epoch(1)
    record(path, [replace(event, measures=event.measures | {"grad_norm": math.inf, "train_accuracy": math.nan})])
    with LedgerReader(path) as reader:
        (row,) = reader.epochs()
    assert (row["grad_norm"], row["train_accuracy"]) == (math.inf, None)


def test_adding_a_trial_again_keeps_its_record(path: Path) -> None:
    record(path)
    with Ledger(path) as ledger:
        ledger.ended(TRIAL.trial_id, "ok", finished=FINISHED)
        ledger.add([TRIAL, replace(TRIAL, seed=1)])
        assert list(ledger.statuses().values()) == ["ok", "waiting"]


def test_a_new_attempt_clears_what_the_last_one_said_but_not_its_epochs(path: Path) -> None:
    record(path)
    with Ledger(path) as ledger:
        ledger.note_log_tail(TRIAL.trial_id, "Traceback")
        ledger.ended(TRIAL.trial_id, "failed", "it broke")
        assert row_of(path)["log_tail"] == "Traceback"
        ledger.launched(TRIAL.trial_id, Launch(slot="cpu:1", concurrency=1))
        assert ledger.num_epochs(TRIAL.trial_id) == 2
    row = row_of(path)
    assert (row["status"], row["reason"], row["attempts"], row["slot"]) == ("running", "", 2, "cpu:1")
    assert "log_tail" not in row
    assert "num_params" not in row


def test_an_interrupted_trial_waits_again_with_its_epochs(path: Path) -> None:
    record(path)
    with Ledger(path) as ledger:
        ledger.release(TRIAL.trial_id)
        assert ledger.statuses() == {TRIAL.trial_id: "waiting"}
        assert ledger.num_epochs(TRIAL.trial_id) == 2


def make_garbage(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 40)


def make_text(path: Path) -> None:
    path.write_text("Dear diary, nothing happened today.\n" * 100)


def make_foreign(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE bookmarks (url TEXT)")
        database.execute("INSERT INTO bookmarks VALUES ('https://example.org')")


def make_half_a_ledger(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE run (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT")


def cut_at(share: float) -> Callable[[Path], None]:
    def cut(path: Path) -> None:
        record(path)
        with path.open("r+b") as file:
            file.truncate(int(path.stat().st_size * share))

    return cut


def cut_one_byte(path: Path) -> None:
    record(path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1)


def damage_the_middle(path: Path) -> None:
    record(path)
    data = bytearray(path.read_bytes())
    data[4096:12288] = b"\x55" * 8192
    path.write_bytes(data)


def damage_beside_a_log_not_written_back(path: Path) -> None:
    """As a kill and a broken disk leave it: closing the file would write the log's pages over the damage."""
    elsewhere = path.with_name("other.sqlite")
    record(elsewhere)
    ledger = Ledger(elsewhere)
    ledger.epoch(TRIAL.trial_id, epoch(3))
    shutil.copy(elsewhere, path)
    shutil.copy(f"{elsewhere}-wal", f"{path}-wal")
    ledger._db.close()
    for left in path.parent.glob("other.*"):
        left.unlink()
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


DAMAGES = [
    make_garbage,
    make_text,
    make_foreign,
    make_half_a_ledger,
    cut_at(0.1),
    cut_at(0.5),
    cut_at(0.95),
    cut_one_byte,
    damage_the_middle,
    damage_beside_a_log_not_written_back,
]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("opened", [Ledger, LedgerReader])
def test_a_file_that_is_no_ledger_is_one_sentence_and_left_untouched(
    path: Path, damage: Callable[[Path], None], opened: type
) -> None:
    damage(path)
    before = digest(path)
    with pytest.raises(RunFolderError) as raised:
        opened(path)
    said = str(raised.value)
    assert said.startswith(f"The ledger {path} cannot be used (")
    assert "left as it is" in said
    assert "\n" not in said
    del raised
    assert digest(path) == before


def test_a_ledger_of_a_newer_harness_is_left_alone(path: Path) -> None:
    record(path)
    with Ledger(path) as ledger:
        ledger.note("schema_version", str(SCHEMA_VERSION + 1))
    before = digest(path)
    for opened in (Ledger, LedgerReader):
        with pytest.raises(RunFolderError, match=r"written by a newer harness .* upgrade rnn-harness"):
            opened(path)
    assert digest(path) == before


def test_an_empty_file_is_where_a_ledger_begins_and_nothing_to_read(path: Path) -> None:
    path.touch()
    with pytest.raises(RunFolderError, match=r"is empty: .* give its command again"):
        LedgerReader(path)
    record(path)
    assert row_of(path)["status"] == "running"


def test_a_ledger_that_is_not_there_is_told_and_not_made(path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"There is no ledger at .* name a folder that 'harness run' made"):
        LedgerReader(path)
    assert not path.exists()


def test_tables_are_made_all_or_none(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.record.ledger import schema as module

    module.columns_of_today()
    monkeypatch.setattr(module, "SCHEMA", f"{module.SCHEMA} INSERT INTO nowhere VALUES (1);")
    with pytest.raises(RunFolderError, match=r"cannot be written \(no such table: nowhere\): make it writable"):
        Ledger(path)
    monkeypatch.undo()
    record(path)
    assert row_of(path)["status"] == "running"


def test_evaluations_read_back_and_a_repeated_one_replaces_its_record(path: Path) -> None:
    record(path)
    events = [
        evaluated(author="Ben"),
        evaluated(author="Ann"),
        evaluated(author="Ann", part="test"),
        evaluated(author="Ben", loss=math.inf),
    ]
    with Ledger(path) as ledger:
        for event in events:
            ledger.evaluated(TRIAL.trial_id, event)
    with LedgerReader(path) as reader:
        rows = reader.evaluations()
    about = ("author", "part", "num_tokens", "num_chars")
    read = [
        Evaluated(
            **{name: row[name] for name in about},
            measures={name: value for name, value in row.items() if name not in ("trial_id", *about)},
        )
        for row in rows
    ]
    assert read == [events[2], events[1], events[3]]
    assert {row["trial_id"] for row in rows} == {TRIAL.trial_id}


def test_a_ledger_older_than_evaluations_has_none_and_gets_them_when_it_is_continued(path: Path) -> None:
    record(path)
    with older_ledger(path) as db:
        db.execute("DROP TABLE evaluations")
    with LedgerReader(path) as reader:
        assert reader.evaluations() == []
        assert len(reader.epochs()) == 2
    with Ledger(path) as ledger:
        ledger.evaluated(TRIAL.trial_id, evaluated())
    with LedgerReader(path) as reader:
        assert len(reader.evaluations()) == 1


def test_losses_by_block_of_text_are_read_back_bit_for_bit_where_they_are_known(path: Path) -> None:
    blocks = ((500, 2.0625), (499, 1 / 3), (0, 0.0))
    with Ledger(path) as ledger:
        ledger.add([TRIAL])
        ledger.evaluated(TRIAL.trial_id, evaluated(author="Ann", part="test", blocks=blocks))
        ledger.evaluated(TRIAL.trial_id, evaluated(author="Ben"))
    with LedgerReader(path) as reader:
        ((trial_id, author, part, losses),) = reader.text_blocks()
        assert "blocks" not in reader.evaluations()[0]
    assert (trial_id, author, part) == (TRIAL.trial_id, "Ann", "test")
    assert losses.tolist() == [list(block) for block in blocks]
    with sqlite3.connect(path) as db:
        db.execute("UPDATE evaluations SET blocks=zeroblob(48) WHERE author='Ann'")
    with pytest.raises(RunFolderError, match="evaluations"):
        LedgerReader(path)
