"""What problems such a language model has: each one looked for, and shown or not."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from harness.exercises import charts, evidence, probed
from harness.exercises.exercise import UNDECIDED, Budget, Need, selection, texts, unanswered
from harness.registry import Registry
from harness.report.answers import Answer
from harness.report.frames import SETTINGS, Run, records
from harness.report.wording import enumerate_names
from harness.statistics import CONFIDENCE, Interval, mean_interval, sign_beyond

exercise_id = "rnn-4"
question = "What problems come with a language model as this section describes it?"

LINEAR = 1.0
"""The exponent of time by length above which twice the text takes more than twice as long."""


def needs(budget: Budget, registry: Registry) -> Sequence[Need]:
    """Return shared models whose text is generated and timed, one of raw text, and two of nested brackets."""
    one_seed = budget.seeds[:1]
    found = [
        Need(selection=selection(budget, "gru", "numpy", seeds=budget.seeds), texts=texts(budget)),
        Need(
            selection=selection(budget, "gru", "numpy", seeds=one_seed),
            texts=texts(budget),
            probes=("generation", "length", "unseen"),
        ),
        Need(
            selection=selection(budget, "gru", "numpy", seeds=one_seed, epochs=max(2, budget.epochs // 2)),
            texts=texts(budget, text="raw", train_tokens=(budget.small_tokens, budget.train_tokens)),
            probes=("unseen", "brackets"),
        ),
    ]
    if "brackets" in registry.corpora:
        nested = selection(budget, "rnn", "gru", "lstm", "numpy", seeds=one_seed)
        found.append(Need(selection=nested, texts=texts(budget, corpora=("brackets",)), probes=("brackets",)))
    return found


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One problem that was looked for."""

    name: str
    shown: int
    """1 where the figures show it, −1 where they show that it is not there, 0 where they do not decide."""
    figure: str
    """What was measured."""
    value: Interval
    n: int
    words: str


def answer(run: Run) -> Answer:
    """Look for each problem, and say which of them the figures show."""
    looked_for: tuple[Callable[[Run], Problem | None], ...] = (
        _gap, _repetition, _novelty, _unseen, _brackets, _length, _seeds,
    )  # fmt: skip
    found = [look(run) for look in looked_for]
    problems = [problem for problem in found if problem is not None]
    missing = [sentence for problem, sentence in zip(found, _MISSING, strict=True) if problem is None]
    if not problems:
        return unanswered(*missing)
    drawn = _draw(run)
    return Answer(
        answer=" ".join(problem.words for problem in problems),
        verdict=_verdict(problems),
        evidence=_table(problems),
        figure=drawn.figure,
        datasets=drawn.datasets,
        missing=tuple(missing),
    )


_MISSING = (
    "missing: finished trials with losses on training and held-out text.",
    "missing: text generated at several temperatures ('harness exercises rnn-4').",
    "missing: generated text held against the training text ('harness exercises rnn-4').",
    "missing: held-out text with characters that training never saw (--text raw, probed).",
    "missing: models of texts with brackets or quotes, probed.",
    "missing: time by the length of the sequence, probed.",
    "missing: the same trial under several seeds (--seeds 3).",
)


def _table(problems: Sequence[Problem]) -> pd.DataFrame:
    words = {1: "yes", -1: "no", 0: UNDECIDED}
    return pd.DataFrame(
        [
            {
                "problem": one.name,
                "shown": words[one.shown],
                "measured": one.figure,
                "value": one.value.estimate,
                "low": one.value.low,
                "high": one.value.high,
                "n": one.n,
            }
            for one in problems
        ]
    )


def _verdict(problems: Sequence[Problem]) -> str:
    shown = [problem.name for problem in problems if problem.shown > 0]
    absent = [problem.name for problem in problems if problem.shown < 0]
    if not shown and not absent:
        return UNDECIDED
    parts = [f"shown: {enumerate_names(shown, 8)}"] if shown else ["no problem is shown"]
    parts += [f"not there: {enumerate_names(absent, 8)}"] if absent else []
    open_ones = len(problems) - len(shown) - len(absent)
    parts += [f"{open_ones} {UNDECIDED}"] if open_ones else []
    return "; ".join(parts)


# --- one problem each -------------------------------------------------------------------------------------


def _gap(run: Run) -> Problem | None:
    """Look for a loss on held-out text above that on training text, in the last epoch of each model's seeds."""
    trials = evidence.cells(evidence.finished(run))
    gaps = (trials["valid_loss"] - trials["train_loss"]).astype(float) / math.log(2)
    known = trials[np.isfinite(gaps)].assign(gap=gaps)
    if known.empty:
        return None
    by_model = known.groupby(list(SETTINGS), sort=False, dropna=False)["gap"]
    several = by_model.transform("size") == by_model.transform("size").max()
    model = known[several].groupby(list(SETTINGS), sort=False, dropna=False)["gap"]
    # The kind of model with the most seeds, and of those the one that learnt its text best by heart.
    worst = max((group for _, group in model), key=lambda group: group.mean())
    interval = mean_interval(worst)
    sign = sign_beyond(interval, 0.0)
    name = str(probed.names(known.loc[worst.index]).iloc[0])
    told = {
        1: "it knows its training text better",
        -1: "it is no better on its training text",
        0: "which does not decide",
    }
    return Problem(
        name="learning by heart", shown=sign, figure="held-out minus training loss, bits a token", value=interval,
        n=len(worst),
        words=f"Learning by heart: in {name}, the model with the widest gap, held-out text costs "
        f"{evidence.word_interval(interval)} bits a token more than training text in the last epoch: {told[sign]}.",
    )  # fmt: skip


def _mean(run: Run, quantity: str, place: float) -> tuple[Interval, int] | None:
    """Return a probed quantity at one place with its interval, of the first model that has it."""
    curve = probed.curves(run, [quantity])
    curve = curve[(curve["at"] == place) & ~curve["is_baseline"].astype(bool)]
    if curve.empty:
        return None
    row = curve.iloc[0]
    return Interval(float(row["value"]), float(row["low"]), float(row["high"])), int(row["n"])


def _difference(first: Interval, second: Interval) -> Interval:
    """Return first − second, of independent means: their margins add in squares."""
    margin = math.hypot(first.high - first.estimate, second.high - second.estimate)
    difference = first.estimate - second.estimate
    return Interval(difference, difference - margin, difference + margin)


def _against_held_out(run: Run, quantity: str, temperature: float) -> tuple[Interval, Interval, Interval, int] | None:
    written, real = _mean(run, quantity, temperature), _mean(run, quantity, -1.0)
    if written is None or real is None:
        return None
    return written[0], real[0], _difference(written[0], real[0]), written[1]


def _repetition(run: Run) -> Problem | None:
    """Look for text that repeats itself more than people's does, at the most probable token each time."""
    found = _against_held_out(run, "repetition", 0.0)
    if found is None:
        return None
    cold, real, difference, n = found
    sign = sign_beyond(difference, 0.0)
    told = {1: "it goes round in circles", -1: "it repeats itself less", 0: "which does not decide"}[sign]
    return Problem(
        name="repetition when cold", shown=sign, figure="repeated passages at temperature 0, generated minus held-out",
        value=difference, n=n,
        words=f"Repetition: taking the most probable character each time, {cold.estimate:.0%} of its passages repeat "
        f"earlier ones, against {real.estimate:.0%} of the held-out text's: {told}.",
    )  # fmt: skip


def _novelty(run: Run) -> Problem | None:
    """Look for text at temperature 1 that holds more passages unknown to the training text than people's does."""
    found = _against_held_out(run, "novelty", 1.0)
    if found is None:
        return None
    warm, real, difference, n = found
    sign = sign_beyond(difference, 0.0)
    told = {1: "it invents what nobody writes", -1: "it keeps closer to its training text than people do",
            0: "which does not decide"}[sign]  # fmt: skip
    return Problem(
        name="invention when warm", shown=sign, figure="passages not in the training text at temperature 1, "
        "generated minus held-out", value=difference, n=n,
        words=f"Invention: drawing at temperature 1, {warm.estimate:.0%} of its passages are not in the training text, "
        f"against {real.estimate:.0%} of the held-out text's: {told}.",
    )  # fmt: skip


def _unseen(run: Run) -> Problem | None:
    """Look for held-out tokens that training never saw, in the model with the most of them."""
    shares = probed.curves(run, ["unseen_share"])
    shares = shares[~shares["is_baseline"].astype(bool)]
    if shares.empty:
        return None
    row = shares.sort_values("value", ascending=False, kind="stable").iloc[0]
    share = Interval(float(row["value"]), float(row["low"]), float(row["high"]))
    losses = run.probes[run.probes["trial_id"] == row["trial_id"]].set_index("quantity")["value"]
    cost = ""
    if {"unseen_loss", "seen_loss"} <= set(losses.index):
        cost = f"; each costs {losses['unseen_loss']:.1f} nats, the others {losses['seen_loss']:.1f}"
    there = share.estimate > 0
    model, text = row["model"], row["text"]
    told = f"{share.estimate:.2%} of held-out tokens{cost}" if there else "none in the held-out text looked at"
    return Problem(
        name="unseen characters", shown=1 if there else -1, figure=f"share of held-out tokens ({model}, {text})",
        value=share, n=int(row["n"]),
        words=f"Characters that training never saw ({model} on {text} text): {told}. A model of characters can say "
        "'<unk>', and never write them.",
    )  # fmt: skip


def _brackets(run: Run) -> Problem | None:
    """Look for a closing bracket that gets less probable, or of the wrong kind, the further back the opening one is."""
    what, groups = "the right one among closing brackets", _bracket_curves(run, "right_kind")
    if not groups:
        what, groups = "the closing one", _bracket_curves(run, "closing")
    if not groups:
        return None
    # Of the text with the most brackets, the model that does best: what it forgets, the others forget too.
    most = max(groups, key=lambda part: part["n"].sum()).iloc[0]["corpus"]
    groups = [part for part in groups if part.iloc[0]["corpus"] == most]
    best = max(groups, key=lambda part: part["value"].mean()).sort_values("at")
    near, far = (Interval(row["value"], row["low"], row["high"]) for row in (best.iloc[0], best.iloc[-1]))
    drop = _difference(near, far)
    sign = sign_beyond(drop, 0.0)
    told = {1: "it forgets what is open", -1: "it gets surer", 0: "which does not decide"}[sign]
    return Problem(
        name="open brackets", shown=sign, figure=f"probability of {what}, near minus far", value=drop,
        n=int(best["n"].sum()),
        words=f"Brackets and quotes: even {best.iloc[0]['model']} on {best.iloc[0]['corpus']}, the best of "
        f"{len(groups)}, gives {what} {near.estimate:.2f} where it opened {best['at'].iloc[0]:g} back and "
        f"{far.estimate:.2f} at {best['at'].iloc[-1]:g} or more: {told}.",
    )  # fmt: skip


def _bracket_curves(run: Run, quantity: str) -> list[pd.DataFrame]:
    """Return a quantity by distance, model by model, where several distances have a handful of brackets."""
    curves = probed.curves(run, [quantity])
    curves = curves[(curves["n"] >= 5) & ~curves["is_baseline"].astype(bool)]
    return [part for _, part in curves.groupby("trial_id", sort=False) if len(part) > 1]


def _length(run: Run) -> Problem | None:
    """Look for time that grows with the length: a line through its logarithm by that of the length."""
    curve = probed.curves(run, ["seconds"]).sort_values("at")
    curve = curve[curve["trial_id"] == curve["trial_id"].iloc[0]] if len(curve) else curve
    curve = curve[curve["value"] > 0]
    if len(curve) < 3:
        return None
    line = stats.linregress(np.log(curve["at"]), np.log(curve["value"]))
    margin = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(curve) - 2) * line.stderr)
    exponent = Interval(float(line.slope), float(line.slope - margin), float(line.slope + margin))
    sign = sign_beyond(exponent, 0.0)
    first, last = curve.iloc[0], curve.iloc[-1]
    told = {1: "each step waits for the one before", -1: "longer is faster", 0: "which does not decide"}[sign]
    return Problem(
        name="time by length", shown=sign, figure="exponent of time by length", value=exponent, n=int(curve["n"].sum()),
        words=f"Time: one pass forward and back takes {last['value'] / first['value']:.1f} times as long over "
        f"{last['at']:g} characters as over {first['at']:g} (time ~ length^{exponent.estimate:.2f}, from the reference "
        f"implementation): {told}.",
    )  # fmt: skip


def _seeds(run: Run) -> Problem | None:
    """Look for a spread over seeds: what chance alone makes of one setting."""
    trials = evidence.cells(evidence.finished(run))
    groups = trials.groupby(list(SETTINGS), sort=False, dropna=False)
    perplexities = groups["valid_perplexity"]
    models = pd.DataFrame({"size": groups.size(), "seeds": groups["seed"].nunique()}).assign(
        spread=(perplexities.max() - perplexities.min()) / perplexities.mean(), model=range(groups.ngroups)
    )
    models = models[models["seeds"] > 1]
    if models.empty:
        return None
    most = int(models["size"].max())
    widest = models[models["size"] == most].sort_values("spread", ascending=False, kind="stable").iloc[0]
    part = trials[groups.ngroup() == widest["model"]]
    spread = float(widest["spread"])
    perplexities = part["valid_perplexity"].astype(float)
    there = spread > 0.001
    return Problem(
        name="chance", shown=1 if there else -1, figure="(largest − smallest) / mean perplexity over seeds",
        value=Interval(spread, math.nan, math.nan), n=len(part),
        words=f"Chance: {probed.names(part).iloc[0]}, the same but for the seed ({most} of them), ends between "
        f"{perplexities.min():.2f} and {perplexities.max():.2f} in perplexity, {spread:.1%} apart at most of any model "
        f"here; a difference between models must be larger to count.",
    )  # fmt: skip


def _draw(run: Run) -> charts.Drawn:
    curves = probed.curves(run, ["repetition", "novelty"])
    if curves.empty:
        return charts.NOTHING
    curves = curves[curves["trial_id"] == curves["trial_id"].iloc[0]]
    names = {"repetition": "repeated passages", "novelty": "passages not in the training text"}
    points = [
        (names[row["quantity"]], row["at"], row["value"], row["low"], row["high"])
        for row in records(curves[curves["at"] >= 0].sort_values(["quantity", "at"]))
    ]
    real = curves[curves["at"] < 0].set_index("quantity")["value"]
    beside = enumerate_names([f"{real[name]:.0%} {words}" for name, words in names.items() if name in real.index])
    return charts.draw(
        charts.point_frame(points),
        name="exercise-rnn-4",
        title="Repetition and novelty of generated text",
        x=charts.Axis(title="temperature"),
        y=charts.Axis(title="Share of passages", zero=True),
        caption=f"Shares of passages of eight tokens in text by {curves['model'].iloc[0]} "
        f"(n = {int(curves['n'].min())} texts a point); bars are 95 % t intervals over texts. Held-out text as long "
        f"has {beside}.",
    )
