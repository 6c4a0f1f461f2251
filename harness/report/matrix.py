"""Who does well on whose text: a table and a heat map of models trained on some authors and read on each of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import altair as alt
import numpy as np
import pandas as pd

from harness.analysis import wording
from harness.analysis.frames import Run, records
from harness.analysis.nuisances import mask_tuned
from harness.analysis.one_text import differing_factors, label_models
from harness.analysis.wording import FACTORS, PREPROCESSING, UNITS, enumerate_names
from harness.contracts.visible import visible
from harness.report.drawing import Figure, Panel, Rows, Spec, rows, specify
from harness.report.ranking import Cell
from harness.worker.trial import trains

MAX_MATRICES = 6
MAX_ROWS = 60
MAX_AUTHORS = 12
_ROW_HEIGHT, _AXIS_HEIGHT = 40, 60
"""Units: pixels."""
_LEAST_RATIO = 1.1
"""Between the palest and the deepest colour, so that what differs little looks so."""
_NOT_IN_MODEL = ("mix", "seed")
_ALWAYS = ("cell", "num_layers")


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """The models of one text, by the authors they were trained on and those they are read on."""

    title: str
    anchor: str
    authors: list[str]
    """The columns."""
    rows: list[tuple[str, str, int, list[Cell]]]
    """Model, what trained it, seeds, and a cell for each author."""
    hidden_rows: int
    hidden_authors: int
    figure: Figure
    dataset: Rows


def matrices(run: Run) -> list[Matrix]:
    """Return a matrix for each text of several authors."""
    tuned = run.trials.set_index("trial_id")["tuned"]
    transfer = mask_tuned(run.transfer.assign(tuned=run.transfer["trial_id"].map(tuned).astype(object)))
    groups = transfer.groupby(["corpus", "text", "tokens"], sort=False)
    several = [(key, rows) for key, rows in groups if rows["evaluated_on"].nunique() > 1]
    return [_matrix(key, rows, f"transfer-{place}") for place, (key, rows) in enumerate(several[:MAX_MATRICES], 1)]


def _matrix(key: tuple[str, str, str], transfer: pd.DataFrame, anchor: str) -> Matrix:
    corpus, text, tokens = key
    means = _means(transfer)
    authors = list(dict.fromkeys(means["evaluated_on"]))
    shown = authors[:MAX_AUTHORS]
    lines = means.groupby(["model", "trained_on"], sort=False)
    drawn = means[(means["model"] == means["model"].iloc[0]) & means["evaluated_on"].isin(shown)]
    return Matrix(
        title=f"{corpus}: {UNITS.get(tokens, tokens)}, {PREPROCESSING.get(text, text)}",
        anchor=anchor,
        authors=shown,
        rows=[
            (model, trained_on, int(line["seeds"].iloc[0]), _cells(line, shown))
            for (model, trained_on), line in islice(lines, MAX_ROWS)
        ],
        hidden_rows=max(0, len(lines) - MAX_ROWS),
        hidden_authors=len(authors) - len(shown),
        figure=_draw(drawn, anchor),
        dataset=rows(_visible(drawn[["trained_on", "evaluated_on", "perplexity", "bits", "accuracy", "own"]])),
    )


def _visible(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(**{name: frame[name].map(visible) for name in ("trained_on", "evaluated_on")})


def _means(transfer: pd.DataFrame) -> pd.DataFrame:
    """Return the means over seeds, the best model first, and of each model what trained it in plan order."""
    differing = differing_factors(transfer) - set(_NOT_IN_MODEL)
    named = transfer.assign(
        model=label_models(transfer, [name for name in FACTORS if name in differing or name in _ALWAYS]),
        trained_on=[
            _word_authors(authors, mix) for authors, mix in zip(transfer["trained_on"], transfer["mix"], strict=True)
        ],
        own=[
            trains(author, trained_on)
            for trained_on, author in zip(transfer["trained_on"], transfer["evaluated_on"], strict=True)
        ],
    )
    groups = named.groupby(["model", "trained_on", "evaluated_on"], sort=False)
    means = groups.agg(
        perplexity=("perplexity", "mean"),
        bits=("bits_per_char", "mean"),
        accuracy=("accuracy", "mean"),
        own=("own", "first"),
        seeds=("seed", "nunique"),
    ).reset_index()
    quality = means.groupby("model")["perplexity"].mean().sort_values(kind="stable")
    place = means["model"].map({model: place for place, model in enumerate(quality.index)})
    return means.loc[place.sort_values(kind="stable").index]


def _word_authors(authors: str, mix: str) -> str:
    words = "all authors" if authors == "all" else enumerate_names(authors.split("+"))
    return f"{words}, in equal parts" if mix == "equal" else words


def _cells(line: pd.DataFrame, authors: Sequence[str]) -> list[Cell]:
    by_author = {row["evaluated_on"]: row for row in records(line)}
    cells = []
    for author in authors:
        row = by_author.get(author)
        if row is None:
            cells.append(Cell(text=wording.MISSING))
            continue
        note = "own text" if row["own"] else ""
        cells.append(Cell(text=wording.perplexity(row["perplexity"]), value=row["perplexity"], note=note))
    return cells


def _draw(means: pd.DataFrame, anchor: str) -> Figure:
    """Draw one model's matrix: the lower the perplexity, the deeper the colour, and every cell has its number."""
    # What overflowed has no colour, and no place on a scale.
    known = means["perplexity"][np.isfinite(means["perplexity"].astype(float))]
    low, high = (float(known.min()), float(known.max())) if len(known) else (1.0, 1.0)
    names = {"trained_on": "trained on", "evaluated_on": "read on"}
    places = {name: [visible(each) for each in dict.fromkeys(means[name])] for name in names}
    x, y = (
        channel(f"{name}:N", sort=places[name], axis=_axis(names[name], words))
        # A word a line below, lest long names meet on a narrow page.
        for channel, name, words in (
            (alt.X, "evaluated_on", "split(datum.label, ' ')"),
            (alt.Y, "trained_on", "datum.label"),
        )
    )
    base = alt.Chart(alt.NamedData(anchor)).encode(x=x, y=y)
    depth = alt.Scale(type="log", domain=[low, max(high, low * _LEAST_RATIO)], range=[0.6, 0.05], clamp=True)
    tooltip = [
        alt.Tooltip("trained_on:N", title="trained on"),
        alt.Tooltip("evaluated_on:N", title="read on"),
        alt.Tooltip("perplexity:Q", title="validation perplexity", format=".3f"),
        alt.Tooltip("bits:Q", title="bits per character", format=".3f"),
        alt.Tooltip("accuracy:Q", format=".3f"),
    ]
    chart = alt.layer(
        base.mark_rect(fill="var(--series-1)", stroke="var(--paper)", strokeWidth=2).encode(
            fillOpacity=alt.FillOpacity("perplexity:Q", scale=depth, legend=None), tooltip=tooltip
        ),
        base.transform_filter("datum.own")
        .mark_text(color="var(--ink)", fontSize=13, fontWeight="bold")
        .encode(text=alt.Text("perplexity:Q", format=".2f")),
        base.transform_filter("!datum.own")
        .mark_text(color="var(--ink)", fontSize=13)
        .encode(text=alt.Text("perplexity:Q", format=".2f")),
    )
    spec: Spec = {**specify(chart), "height": _AXIS_HEIGHT + _ROW_HEIGHT * len(places["trained_on"])}
    model = str(means["model"].iloc[0])
    return Figure(
        title="Whose text a model knows",
        panels=[Panel(title=model, description=_describe(means), spec=spec)],
        caption=(
            "Validation perplexity by the authors a model was trained on and the author it is read on, mean over "
            "seeds; the deeper the colour, the lower. Bold where the author is among those who trained it. Read along "
            "a column: one author's text is as hard for all, but two authors' texts are not equally hard."
        ),
        series=(),
    )


def _axis(title: str, words: str) -> alt.Axis:
    return alt.Axis(title=title, labelExpr=words, labelAngle=0, labelLimit=220, domain=False, ticks=False)


def _describe(means: pd.DataFrame) -> str:
    named = [
        f"trained on {row['trained_on']} and read on {row['evaluated_on']} {wording.perplexity(row['perplexity'])}"
        for row in records(means)
    ]
    return f"Heat map of validation perplexity: {wording.enumerate_names(named, 16)}."
