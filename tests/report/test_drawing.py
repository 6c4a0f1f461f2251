import math

import numpy as np
import pytest

from harness.report.drawing import Key, log_ticks, perplexity_axis, whole_ticks
from harness.report.page import vega_script


def test_a_legend_leaves_out_what_all_series_share():
    key = Key(["lstm\u00a0· torch\u00a0· 64 hiddens\u00a0· adam", "lstm\u00a0· torch\u00a0· 128 hiddens\u00a0· adam"])
    assert key.legend == ["lstm\u00a0· 64 hiddens", "lstm\u00a0· 128 hiddens"]
    assert key.shared == "torch\u00a0· adam"
    assert Key(["lstm\u00a0· adam"]).legend == ["lstm\u00a0· adam"]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(4.0, 18.0, [5, 7, 10, 15]), (1.0, 1200.0, [1, 10, 100, 1000]), (8.0, 90.0, [10, 15, 20, 30, 50, 70])],
)
def test_log_ticks_are_a_handful_of_round_numbers(low, high, ticks):
    assert log_ticks(low, high) == ticks


@pytest.mark.parametrize(
    ("last", "ticks"),
    [
        (1, [1]),
        (3, [1, 2, 3]),
        (10, [2, 4, 6, 8, 10]),
        (50, [1, 10, 20, 30, 40, 50]),
        (500, [1, 100, 200, 300, 400, 500]),
    ],
)
def test_epochs_have_whole_ticks(last, ticks):
    assert whole_ticks(1, last) == ticks


def test_perplexities_that_span_a_factor_of_two_have_a_logarithmic_axis():
    assert perplexity_axis("valid", [[5.0, 20.0]]).to_dict()["scale"]["type"] == "log"
    assert "type" not in perplexity_axis("valid", [[5.0, 6.0]]).to_dict()["scale"]


def test_an_axis_ignores_what_is_not_finite_and_stops_at_its_ceiling():
    scale = perplexity_axis("valid", [[5.0, math.nan, math.inf], np.array([1e30])], ceiling=56.0).to_dict()["scale"]
    assert 0 < scale["domain"][0] < 5
    assert 56 < scale["domain"][1] < 100


def test_a_single_value_has_an_axis():
    low, high = perplexity_axis("valid", [[5.0]]).to_dict()["scale"]["domain"]
    assert low < 5 < high


def test_the_drawings_script_is_bundled_once_and_read_afterwards(tmp_path, monkeypatch):
    bundled = []
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr("vl_convert.javascript_bundle", lambda snippet: bundled.append(snippet) or "/* bundle */")
    for _ in range(2):
        assert vega_script.__wrapped__() == "/* bundle */"
    assert len(bundled) == 1
    (cached,) = (tmp_path / "vega").iterdir()
    cached.write_text(cached.read_text().replace("bundle", "bungle"))
    assert vega_script.__wrapped__() == "/* bundle */"
    assert len(bundled) == 2
    (tmp_path / "vega").rename(tmp_path / "gone")
    (tmp_path / "vega").touch()  # a cache that cannot be written costs time, and no more
    assert vega_script.__wrapped__() == "/* bundle */"
