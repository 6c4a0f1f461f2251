"""Why a recurrent network can condition on all earlier tokens: what a token far back still changes."""

from collections.abc import Sequence

import pandas as pd

from harness.analysis import probed, recipes
from harness.analysis.evidence import interval_columns, read_interval, word_bounds
from harness.analysis.frames import Run, records
from harness.analysis.wording import enumerate_names
from harness.contracts.exercises import Available, Budget, Need, PrimaryTest
from harness.report import UNDECIDED, Answer, charts, unanswered
from harness_d2l.shared import options

PRIMARY: Sequence[PrimaryTest] = ()
"""None: it measures how far back a prediction depends on its tokens."""
WINDOWED = ("mlp",)
"""Cells whose predictions see a fixed window; so do all n-gram models."""
FAINT = 0.01
"""Share of the newest token's influence below which an older one's counts as faint."""

RESOLVED = 1e-28
"""Nats: a divergence below may be the rounding of float64 log probabilities."""


def needs(budget: Budget, available: Available) -> Sequence[Need]:  # noqa: ARG001 (the contract's signature)
    """Return a model of each kind on the shared text under every seed, its influence probed."""
    recurrent = options(budget, "rnn", "gru", "lstm", "numpy", seeds=budget.seeds)
    # No backend has a layer of its own for the window's network: from scratch it is slow, so it reads less.
    small = {"epochs": 2, "train_tokens": budget.small_tokens}
    windowed = options(budget, "mlp", "numpy", seeds=budget.seeds, **small)
    orders = options(budget, "ngram-3", "ngram-5")
    return [Need(options=chosen, probes=("influence",)) for chosen in (recurrent, windowed, orders)]


def answer(run: Run) -> Answer:
    """Read off how the divergence falls with the distance, and where it is nothing at all."""
    curves = probed.curves(run, ["kl"], geometric=True)
    if curves.empty:
        return unanswered("missing: models probed for the influence of earlier tokens ('harness exercises rnn-2').")
    table = pd.DataFrame([_summary(part) for _, part in curves.groupby("kind", sort=False)])
    drawn = _draw(curves)
    return Answer(
        answer=_paragraph(table, curves, recipes.word_recipe_of_probed(run, ["kl"])),
        verdict=_verdict(table),
        evidence=table,
        figure=drawn.figure,
        datasets=drawn.datasets,
        missing=tuple(_missing(table)),
    )


def _summary(curve: pd.DataFrame) -> dict[str, object]:
    curve = curve.sort_values("at")
    first = curve.iloc[0]
    positive = curve[curve["value"] > 0]
    # Zero at every distance from here on.
    last = float(positive["at"].max()) if len(positive) else -1.0
    zero_from = float(curve.loc[curve["at"] > last, "at"].min())
    resolved = curve[curve["value"] > RESOLVED]
    newest = probed.at(curve, 0)
    strong = curve[curve["value"] >= FAINT * newest.estimate]
    return {
        "model": first["model"],
        "seen_by": "window" if first["is_baseline"] or first["cell"] in WINDOWED else "state",
        **interval_columns("newest_token_kl", newest, "newest_token"),
        "kl_8_back": probed.at(curve, 8).estimate,
        "kl_48_back": probed.at(curve, 48).estimate,
        "kl_furthest": float(curve["value"].iloc[-1]),
        "furthest_probed": float(curve["at"].max()),
        "exactly_zero_from": zero_from,
        "resolved_up_to": float(resolved["at"].max()) if len(resolved) else float("nan"),
        "furthest_above_1_percent": float(strong["at"].max()) if len(strong) else float("nan"),
        "n": int(first["n"]),
        "seeds": int(first["seeds"]),
    }


def _verdict(table: pd.DataFrame) -> str:
    recurrent, windowed = (table[table["seen_by"] == kind] for kind in ("state", "window"))
    if recurrent.empty:
        return f"{UNDECIDED}: no recurrent model was probed"
    reaching = recurrent["resolved_up_to"] >= recurrent["furthest_probed"]
    if reaching.all():
        state = "a state carries every token probed"
    elif reaching.any():
        state = "some states carry every token probed, some do not"
    else:
        state = "no state carries every token probed"
    if windowed.empty:
        return f"{state}; no window beside it"
    ending = windowed["exactly_zero_from"].notna()
    return f"{state}; {'a window nothing beyond its end' if ending.all() else 'a window did not end'}"


def _paragraph(table: pd.DataFrame, curves: pd.DataFrame, recipe: str) -> str:
    recurrent, windowed = (table[table["seen_by"] == kind] for kind in ("state", "window"))
    sentences = [
        "Because the state is computed from the state before it, and so from every token before: nothing limits how "
        "far back the prediction may look. How far it does was measured by changing one token k steps back (n = "
        f"{int(curves['n'].min())} contexts of held-out text, {probed.count_seeds(curves)}) and taking the "
        "prediction's divergence.",
        *([recipe] if recipe else []),
    ]
    if len(recurrent):
        near = recurrent["furthest_above_1_percent"]
        span = f"{near.min():g}" if near.min() == near.max() else f"{near.min():g} to {near.max():g}"
        effects = [
            f"{word_bounds(read_interval(row, 'newest_token_kl', 'newest_token'), 2)} in {row['model']}"
            for row in records(recurrent)
        ]
        sentences.append(
            f"The newest token changes it by {enumerate_names(effects)} (nats, 95 % intervals); more than 1 % of that "
            f"is left up to {span} steps back."
        )
        sentences += _reaches(recurrent)
    ends = [f"{row['model']} from {row['exactly_zero_from']:g}" for row in records(windowed)]
    ending = windowed["exactly_zero_from"].notna()
    if len(windowed) and ending.all():
        sentences.append(
            f"Models with a fixed window are exactly zero beyond it: {enumerate_names(ends, 8)} steps back on."
        )
    elif len(windowed):
        odd = enumerate_names(windowed.loc[~ending, "model"])
        sentences.append(f"But {odd}, which should see a fixed window, still depends on the furthest token probed.")
    return " ".join(sentences)


def _reaches(recurrent: pd.DataFrame) -> list[str]:
    """Say which states still change the prediction at the furthest token, and where the others end."""
    reaching = recurrent["resolved_up_to"] >= recurrent["furthest_probed"]
    sentences = []
    if reaching.any():
        effects = [f"{row['kl_furthest']:.0e} in {row['model']}" for row in records(recurrent[reaching])]
        faint = (recurrent["kl_furthest"] < FAINT * recurrent["newest_token_kl"])[reaching].all()
        sentences.append(
            f"At {recurrent['furthest_probed'].max():g} steps it is still {enumerate_names(effects)} (nats), where "
            f"rounding ends near {RESOLVED:.0e}"
            + ("; a state can carry a token that far, and makes little of it." if faint else ".")
        )
    for row in records(recurrent[~reaching]):
        if pd.isna(row["exactly_zero_from"]):
            sentences.append(f"{row['model']} is not to be told from rounding beyond {row['resolved_up_to']:g} steps.")
        else:
            sentences.append(f"{row['model']} is exactly zero from {row['exactly_zero_from']:g} steps on.")
    return sentences


def _missing(table: pd.DataFrame) -> list[str]:
    kinds = set(table["seen_by"])
    missing = []
    if "window" not in kinds:
        missing.append("missing: models with a fixed window beside it ('harness exercises rnn-2').")
    if "state" not in kinds:
        missing.append("missing: a recurrent model, probed ('harness exercises rnn-2').")
    return missing


def _draw(curves: pd.DataFrame) -> charts.Drawn:
    points = curves.rename(columns={"model": "series", "at": "x", "value": "y"})
    return charts.draw(
        points[["series", "x", "y", "low", "high"]].sort_values(["series", "x"], kind="stable"),
        name="exercise-rnn-2",
        title="Influence of earlier tokens",
        x=charts.Axis(title="tokens back"),
        y=charts.Axis(title="Divergence of the prediction, nats", log=True),
        caption=f"KL divergence of the prediction when the token k back is another (n = {int(curves['n'].min())} "
        f"contexts a point, {probed.count_seeds(curves)}, geometric mean over seeds); "
        f"{probed.interval_words(curves, 'contexts')}. Where a line ends, it is exactly zero.",
    )
