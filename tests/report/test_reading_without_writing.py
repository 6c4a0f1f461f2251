"""Reading asks for no writing: runs that are read-only, were killed, or of which only a report's tables are there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from invented_runs import finish, make_folder, time_session, trial

from harness.record.ledger import Ledger
from harness.report import write_report
from harness.report.two_runs import compare_folders

pytestmark = pytest.mark.slow

COMMAND = Path(sys.executable).with_name("harness")


def planned(cell="lstm"):
    return [trial(cell, seed=seed) for seed in range(3)]


def record(ledger, shift=0.0):
    for each in planned():
        finish(ledger, each, (9.0, 8.0 + 0.3 * each.seed + shift))
    for session in range(3):
        time_session(ledger, {planned()[0].trial_id: [20_000 + 10 * session + i for i in range(8)]})


@pytest.fixture
def folders(tmp_path):
    return [
        make_folder(tmp_path / name, planned(), lambda ledger, s=s: record(ledger, s))
        for name, s in (("a", 0), ("b", 1))
    ]


def without_write_access(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command so that permissions hold for it: root has to give up what lets it write anyway."""
    drop = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    if drop and not shutil.which("setpriv"):
        pytest.skip("root writes everywhere, and there is no setpriv to give that up")
    return subprocess.run([*drop, COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=300)


@pytest.fixture
def locked(folders):
    for folder in folders:
        folder.chmod(0o555)
    yield folders
    for folder in folders:
        folder.chmod(0o755)


def test_read_only_runs_are_compared_and_reported_elsewhere(locked, tmp_path):
    compared = without_write_access("compare", *locked, "--fail-on", "5%")
    assert compared.returncode == 3, compared.stderr
    assert "worse" in compared.stdout
    refused = without_write_access("report", locked[0])
    assert refused.returncode == 2
    assert "harness report RUN --out" in refused.stderr
    written = without_write_access("report", locked[0], "--out", tmp_path / "elsewhere")
    assert written.returncode == 0, written.stderr
    assert (tmp_path / "elsewhere" / "index.html").is_file()
    assert sorted(path.name for path in locked[0].iterdir()) == ["manifest.json", "run.sqlite"]


def test_what_a_killed_run_left_beside_its_ledger_is_read_from_a_read_only_folder(tmp_path):
    folder = make_folder(tmp_path / "live", planned())
    with Ledger(folder / "run.sqlite") as ledger:
        record(ledger)
        killed = tmp_path / "killed"
        killed.mkdir()
        for name in ("run.sqlite", "run.sqlite-wal"):
            shutil.copy(folder / name, killed / name)
    killed.chmod(0o555)
    written = without_write_access("report", killed, "--out", tmp_path / "elsewhere")
    killed.chmod(0o755)
    assert written.returncode == 0, written.stderr
    assert (tmp_path / "elsewhere" / "trials.csv").read_text().count(",ok,") == 3


def test_tables_alone_are_compared_as_their_ledgers_are(folders):
    def rows():
        return [(row.model, row.measure.name, row.n, row.verdict, row.note) for row in compare_folders(*folders).rows]

    before = rows()
    assert {"worse", "same within noise"} <= {row[3] for row in before}
    for folder in folders:
        write_report(folder)
        for ledger in folder.glob("run.sqlite*"):
            ledger.unlink()
    assert rows() == before


def test_tables_of_a_version_that_had_fewer_columns_are_compared(folders):
    reference = Path(__file__).parents[2] / "reports" / "reference"
    found = compare_folders(reference, folders[0])
    assert found.only_before
    assert found.only_after
