"""The growth script: its exponents against a law that is known, and one axis of it end to end."""

import numpy as np
import pandas as pd
import pytest

from benchmarks import growth


@pytest.mark.slow
def test_the_exponent_of_a_power_law_is_found_and_its_interval_holds_it_under_noise():
    values = np.array([64, 128, 256, 512, 1024])
    law = pd.DataFrame({"value": values, "cost": 3e-6 * values**1.7})
    assert growth.fit(law)["exponent"] == pytest.approx(1.7)
    generator = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        fitted = growth.fit(law.assign(cost=law["cost"] * generator.lognormal(0, 0.1, len(law))))
        held += fitted["low"] <= 1.7 <= fitted["high"]
    assert 180 <= held <= 199  # 95 % of 200


def test_a_bend_shows_between_the_whole_and_the_upper_half():
    values = np.array([1, 10, 100, 1000, 10_000, 100_000])
    rows = pd.DataFrame({"axis": "corpus", "measure": "seconds", "value": values, "cost": 1.0 + 1e-3 * values})
    (row,) = growth.exponents(rows).to_dict("records")
    assert row["exponent"] < 0.6 < 0.8 < row["upper_exponent"] < 1.0


@pytest.mark.long
def test_the_script_measures_an_axis_and_writes_its_tables(tmp_path):
    assert growth.main(["--axes", "trials", "--largest", "trials=30", "--out", str(tmp_path)]) == 0
    table = pd.read_csv(tmp_path / "growth.csv")
    assert set(table["value"]) == {10, 30}
    assert (table["cost"] > 0).all()
    assert "trials: Each trial" in (tmp_path / "exponents.md").read_text()
