"""The simulation of a large run: the real scheduler against what no scheduler can beat."""

import importlib.util

import pandas as pd
import pytest

from benchmarks.schedule import CELLS, CHECK_SECONDS, LAYERS, REFERENCE_SECONDS, simulate

pytestmark = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="the plan's trials are PyTorch's")

RECORDED = pd.DataFrame(
    [
        {"status": "ok", "cell": cell, "num_layers": layers, "train_seconds": 20.0 * layers}
        for cell in CELLS
        for layers in LAYERS
    ]
)


@pytest.mark.slow
def test_the_scheduler_keeps_its_slots_busy_and_puts_the_longest_trials_first():
    figures = simulate(72, 8, RECORDED)
    assert figures["trials"] == 72
    # Slots wait for their first trials' references alone; at the end less than the shortest trial's time is lost.
    busy = figures["lower_bound_s"] + REFERENCE_SECONDS
    assert busy <= figures["makespan_s"] < busy + 20.0
    # added, launched, certified, started, each of two epochs, ended; the run's own notes beside
    assert figures["ledger_commits"] == pytest.approx(72 * 6, rel=0.02)


@pytest.mark.slow
def test_more_slots_than_trials_take_as_long_as_the_longest_trial():
    figures = simulate(16, 1000, RECORDED)
    assert figures["makespan_s"] == pytest.approx(figures["lower_bound_s"] + CHECK_SECONDS + REFERENCE_SECONDS, abs=3.0)
