"""The scripts that time the peers run end to end and leave tables that add up."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]


def run_script(module, *arguments):
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def time_machine(tmp_path, monkeypatch):
    """A folder with the Time Machine, or skip: a test downloads nothing."""
    folder = os.environ.get("HARNESS_CORPORA_DIR")
    if not folder or not (Path(folder) / "h-g-wells" / "the-time-machine.txt").is_file():
        pytest.skip("set HARNESS_CORPORA_DIR to a folder of whole books to time the peers on one")
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))


@pytest.mark.long
@pytest.mark.usefixtures("time_machine")
def test_peers_are_timed_side_by_side_on_the_same_model(tmp_path):
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'rnn-harness[torch]'")
    options = ("--shapes", "8,4,5,2", "--cells", "gru", "--peers", "native,fused,torch,mxnet", "--rounds", "2")
    done = run_script("benchmarks.peers.run", *options, "--block-seconds", "0.01", "--out", tmp_path / "table")
    table = pd.read_csv(tmp_path / "table" / "peers.csv").set_index("peer")
    assert (table["rounds"].drop("mxnet") == 2).all()
    assert table.loc["native", "native_times_peer"] == 1
    assert (table["tokens_per_s"].drop("mxnet") > 0).all()
    # Forward, backward, clipping and update are one model's.
    losses = table["third_loss"].drop("mxnet")
    assert losses.max() == pytest.approx(losses.min(), rel=1e-5)
    assert table["note"].drop("mxnet").isna().all()
    # There is no built environment in this cache, and the table says which command mends that.
    assert "harness env create mxnet" in table.loc["mxnet", "note"]
    assert "mxnet is left out" in done.stderr
    assert "Inside the clock of torch" in (tmp_path / "table" / "peers.md").read_text()
    (row,) = pd.read_csv(tmp_path / "table" / "summary.csv").to_dict("records")
    assert (row["shape"], row["cell"], row["fastest_framework"]) == ("8,4,5,2", "gru", "torch")
    assert row["times_fastest"].startswith(f"{table.loc['torch', 'native_times_peer']:.2f} (")
