"""The script that lists what a run costs beside its training runs end to end, and its shares add up."""

import pandas as pd
import pytest

from benchmarks import cost


@pytest.mark.long
def test_every_part_of_a_run_has_its_share(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("the time traveller for so it will be convenient to speak of him " * 60)
    small = "run --plugins rnn,numpy --corpus text.txt --hiddens 8 --steps 5 --batch-size 4 --epochs 2"
    assert cost.main(["--command", small, "--out", "cost"]) == 0
    table = pd.read_csv("cost/cost.csv").set_index("part")
    assert table["first_share"].sum() == pytest.approx(1)
    assert table["again_share"].sum() == pytest.approx(1)
    for part in (cost.TRAINING, cost.EVALUATION, "ledger", "report", "texts, plan and prediction"):
        assert table.loc[part, "again_core_s"] > 0
    # The reference is made once and kept.
    assert table.loc["certificates: float64 references", "first_core_s"] > 0
    assert table.loc["certificates: float64 references", "again_core_s"] == 0
    memory = pd.read_csv("cost/memory.csv")
    assert (memory["ratio"] > 0.5).all()
