"""A large run's report: what it costs in processor time and memory, in a process of its own."""

import json
import math
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import asdict

import pytest
from invented_runs import FINISHED, STARTED, make_folder, trial

from harness.record.ledger import checksums

NUM_TRIALS, NUM_EPOCHS = 1500, 50
CPU_SECONDS, MEGABYTES = 20, 290
"""Several times what a busy machine needed, 5.5 s; and a little more than the 254 MB: with a dict a row it was 316.

The exercises are answered too."""

MEASURED = """
import resource, sys, time
from pathlib import Path
from harness.plugins import registry
from harness.report import page, write_report
from harness.worker.process import peak_rss_bytes
page.vega_script = lambda: "/* Vega */"
page = write_report(Path(sys.argv[1]), registry.load().exercises.values())
usage = resource.getrusage(resource.RUSAGE_SELF)
print(usage.ru_utime, peak_rss_bytes() / 1024**2, page.stat().st_size)
"""


def fill(folder, planned):
    """Write the rows themselves: a transaction an event would take minutes."""
    facts = json.dumps(asdict(STARTED) | asdict(FINISHED) | {"concurrency": 2})
    loss = [1.5 + 1 / number for number in range(1, NUM_EPOCHS + 1)]
    with closing(sqlite3.connect(folder / "run.sqlite")) as db, db:
        db.execute("UPDATE trials SET status='ok', facts=?", (facts,))
        db.executemany(
            "INSERT INTO epochs (trial_id, epoch, train_loss, train_accuracy, train_top5_accuracy, valid_loss, "
            "valid_accuracy, valid_top5_accuracy, valid_bits_per_char, grad_norm, train_tokens, train_seconds, "
            "valid_seconds, recorded_at) VALUES (?, ?, ?, 0.4, 0.8, ?, 0.4, 0.8, ?, 1.5, 9000, 0.5, 0.1, 1.7e9)",
            [
                (each.trial_id, number, value - 0.1, value + each.seed / 99, value / math.log(2))
                for each in planned
                for number, value in enumerate(loss, 1)
            ],
        )
        db.executemany(
            "INSERT INTO timings (trial_id, phase, round, block, tokens, seconds) "
            "VALUES (?, 'training', ?, 0, 3000, ?)",
            [(each.trial_id, number, 0.2 + 0.01 * number) for each in planned for number in range(1, NUM_EPOCHS + 1)],
        )
        checksums.renew(db)


@pytest.mark.alone
def test_a_large_run_is_reported_within_bounds(tmp_path):
    planned = [
        trial(cell, depth, learning_rate=rate / 10, seed=seed, num_epochs=NUM_EPOCHS)
        for cell in ("rnn", "gru", "lstm")
        for depth in range(1, 6)
        for rate in range(1, 21)
        for seed in range(5)
    ]
    assert len(planned) == NUM_TRIALS
    folder = make_folder(tmp_path / "run", planned)
    fill(folder, planned)
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(folder)], capture_output=True, text=True, timeout=300, check=True
    )
    cpu_seconds, megabytes, page_bytes = map(float, done.stdout.split())
    assert cpu_seconds < CPU_SECONDS
    assert megabytes < MEGABYTES
    assert page_bytes < 3_000_000
    with (folder / "epochs.csv").open(encoding="utf-8") as file:
        assert sum(1 for _ in file) == NUM_TRIALS * NUM_EPOCHS + 1


@pytest.mark.slow
def test_what_tests_differences_is_loaded_only_where_there_is_one_to_test():
    code = "import sys, harness.report; print('scipy.stats' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False"
