"""Draws a comparison's figures, and says why any of them is not there."""

from dataclasses import dataclass

from harness.analysis.one_text import Comparison, best_series
from harness.report.curves import curve_points, draw_curves, draw_times
from harness.report.depth import depth_points, draw_depth
from harness.report.drawing import COLOURS, Figure, Key, Rows, rows
from harness.report.roofline import draw_roofline, roofline_points

MAX_CURVES = 40
"""Of all comparisons together."""
MIN_CURVES = 6

NO_CURVES = "No epoch has ended with a finite validation perplexity: there are no curves to draw."
NO_DEPTH = "Fewer than two depths have finished trials: nothing is drawn against depth."
NO_TIMES = "No trial has finished: nothing is drawn against time."
NO_ROOFLINE = "No trial was timed alone (--timing quick): nothing is drawn against what the device can do."


@dataclass(frozen=True, kw_only=True)
class Figures:
    """A comparison's figures with their data."""

    figures: list[Figure]
    datasets: dict[str, Rows]
    missing: list[str]
    """A sentence for each figure that could not be drawn."""


def draw(comparison: Comparison, prefix: str, num_comparisons: int) -> Figures:
    """Draw all figures of one of the page's comparisons; ``prefix`` keeps its datasets apart from the others'."""
    series = best_series(comparison, len(COLOURS))
    key = Key(series)
    curves = curve_points(comparison, series, max(MIN_CURVES, MAX_CURVES // num_comparisons))
    depths = depth_points(comparison, series)
    roofline = roofline_points(comparison, series)
    curves_name, depths_name, roofline_name = f"{prefix}-curves", f"{prefix}-depths", f"{prefix}-roofline"
    figures = {
        NO_CURVES: None if curves.empty else draw_curves(comparison, curves, key, curves_name),
        NO_DEPTH: draw_depth(comparison, depths, key, depths_name),
        NO_TIMES: draw_times(comparison, curves, key, curves_name),
        NO_ROOFLINE: draw_roofline(roofline, key, roofline_name),
    }
    return Figures(
        figures=[figure for figure in figures.values() if figure is not None],
        datasets={curves_name: rows(curves), depths_name: rows(depths), roofline_name: rows(roofline)},
        missing=[sentence for sentence, figure in figures.items() if figure is None],
    )
