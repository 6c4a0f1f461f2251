import math
import re
from dataclasses import replace

import pytest
from invented_runs import FINISHED, begin, epoch, finish, trial
from scipy import stats

from harness.analysis.frames import read_run
from harness.analysis.one_text import compare
from harness.report import curves
from harness.report.figures import MAX_CURVES, NO_CURVES, NO_DEPTH, NO_ROOFLINE, NO_TIMES, draw


@pytest.fixture
def drawn(build_run):
    """Return a function that draws the figures of a run on one text."""

    def draw_run(planned, record):
        (comparison,) = compare(read_run(build_run(planned, record)))
        return draw(comparison, "text-1", 1)

    return draw_run


def titles(figures):
    return [figure.title for figure in figures.figures]


@pytest.mark.slow
def test_a_run_over_depths_has_all_three_figures(drawn):
    planned = [trial(cell, depth) for cell in ("lstm", "gru") for depth in (1, 2)]
    figures = drawn(planned, lambda ledger: [finish(ledger, each) for each in planned])
    assert titles(figures) == ["Perplexity by epoch", "Depth", "Time to quality"]
    assert [panel.title for panel in figures.figures[0].panels] == ["1 layer", "2 layers"]
    assert figures.missing == [NO_ROOFLINE]


@pytest.mark.slow
def test_the_data_are_the_epochs_and_the_means(drawn):
    planned = [trial(num_layers=depth) for depth in (1, 2)]
    figures = drawn(planned, lambda ledger: [finish(ledger, each, (12.0, 9.0)) for each in planned])
    points = figures.datasets["text-1-curves"]
    assert [(point["layers"], point["epoch"], point["valid"], point["last"]) for point in points] == [
        (1, 1, 12.0, False), (1, 2, 9.0, True), (2, 1, 12.0, False), (2, 2, 9.0, True),
    ]  # fmt: skip
    assert [(point["layers"], point["valid"], point["valid_low"]) for point in figures.datasets["text-1-depths"]] == [
        (1, 9.0, None), (2, 9.0, None),
    ]  # fmt: skip


@pytest.mark.slow
def test_captions_say_how_many_trials_and_what_the_bars_are(drawn):
    planned = [trial(num_layers=depth, seed=seed) for depth in (1, 2) for seed in (0, 1)]
    figures = drawn(planned, lambda ledger: [finish(ledger, each, (9.0 + each.seed,)) for each in planned])
    assert "n = 4" in figures.figures[0].caption
    assert "bars their 95 % t intervals" in figures.figures[1].caption
    assert figures.datasets["text-1-depths"][0]["valid_low"] is not None


@pytest.mark.slow
def test_one_seed_is_said_to_have_no_interval(drawn):
    planned = [trial(num_layers=depth) for depth in (1, 2)]
    figures = drawn(planned, lambda ledger: [finish(ledger, each) for each in planned])
    assert "perplexity has no interval" in figures.figures[1].caption


@pytest.mark.slow
def test_what_cannot_be_drawn_is_named(drawn):
    assert drawn([trial()], lambda _: None).missing == [NO_CURVES, NO_DEPTH, NO_TIMES, NO_ROOFLINE]
    only_one_depth = drawn([trial()], lambda ledger: finish(ledger, trial()))
    assert only_one_depth.missing == [NO_DEPTH, NO_ROOFLINE]


@pytest.mark.slow
def test_a_trial_that_has_not_finished_has_a_curve_but_no_time_to_quality(drawn):
    figures = drawn([trial()], lambda ledger: begin(ledger, trial(), [epoch(1), epoch(2)]))
    assert titles(figures) == ["Perplexity by epoch"]
    assert "has not finished" in figures.figures[0].caption


@pytest.mark.slow
def test_a_curve_that_leaves_the_scale_is_said_to_be_cut_off(drawn):
    planned = [trial(), trial("gru")]

    def record(ledger):
        finish(ledger, planned[0])
        begin(ledger, planned[1], [epoch(1, 1e9)])
        ledger.ended(planned[1].trial_id, "diverged", "The loss is no longer finite.")

    assert "cut off" in drawn(planned, record).figures[0].caption


@pytest.mark.slow
def test_memory_stands_beside_speed_with_its_interval_over_seeds(drawn):
    planned = [trial(num_layers=depth, seed=seed) for depth in (1, 2) for seed in (0, 1)]

    def record(ledger):
        for each in planned:
            begin(ledger, each, [epoch(1)])
            facts = replace(FINISHED, peak_rss_bytes=each.num_layers * 100_000_000 + each.seed * 2_000_000)
            ledger.ended(each.trial_id, "ok", finished=facts)

    drawings = drawn(planned, record)
    figure = next(figure for figure in drawings.figures if figure.title == "Depth")
    assert [panel.title for panel in figure.panels][1:] == ["Tokens per second, training", "Memory, MB"]
    points = drawings.datasets["text-1-depths"]
    margin = stats.t.ppf(0.975, 1) * math.sqrt(2) / math.sqrt(2)
    assert [point["memory"] for point in points] == [101, 201]
    assert points[0]["memory_high"] == pytest.approx(101 + margin, abs=0.01)


@pytest.mark.slow
def test_what_never_learnt_does_not_flatten_the_depths_of_the_others(drawn):
    planned = [trial(cell, depth) for cell in ("lstm", "gru") for depth in (1, 2)]

    def record(ledger):
        for each in planned[:3]:
            finish(ledger, each)
        finish(ledger, planned[3], [1e12])

    figure = next(figure for figure in drawn(planned, record).figures if figure.title == "Depth")
    [line] = [layer for layer in figure.panels[0].spec["layer"] if layer["mark"]["type"] == "line"]
    assert line["encoding"]["y"]["scale"]["domain"][1] < 1000
    assert "cut off" in figure.caption


@pytest.mark.slow
def test_of_many_trials_the_best_of_each_model_and_depth_are_drawn(drawn):
    planned = [trial(cell, seed=seed, num_epochs=1) for cell in ("lstm", "gru") for seed in range(MAX_CURVES)]
    figures = drawn(planned, lambda ledger: [finish(ledger, each, (9.0 + each.seed,)) for each in planned])
    points = figures.datasets["text-1-curves"]
    assert len(points) == MAX_CURVES
    assert {point["series"] for point in points} == {"lstm", "gru"}
    assert max(point["valid"] for point in points) == 9.0 + MAX_CURVES / 2 - 1
    assert f"Only {MAX_CURVES} of {len(planned)} trials" in figures.figures[0].caption


@pytest.mark.slow
def test_a_long_trial_is_thinned_but_keeps_its_ends(drawn, monkeypatch):
    monkeypatch.setattr(curves, "MAX_POINTS", 5)
    long = trial(num_epochs=23)
    figures = drawn([long], lambda ledger: finish(ledger, long, [30.0 - i for i in range(23)]))
    epochs = [point["epoch"] for point in figures.datasets["text-1-curves"]]
    assert (epochs[0], epochs[-1]) == (1, 23)
    assert len(epochs) <= 8
    assert "epochs are drawn" in figures.figures[0].caption


@pytest.mark.slow
def test_every_drawing_has_words_for_readers_who_cannot_see_it(drawn):
    planned = [trial(num_layers=depth) for depth in (1, 2)]
    figures = drawn(planned, lambda ledger: [finish(ledger, each) for each in planned])
    for figure in figures.figures:
        assert figure.caption
        assert all(re.search(r"8\.000|20\.0|: 250", panel.description) for panel in figure.panels)
