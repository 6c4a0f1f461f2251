"""The problems of a language model that can be looked for in a run's figures, each shown, not there, or not decided."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy

from harness.analysis import evidence, probed
from harness.analysis.frames import Run
from harness.analysis.statistics import Interval, holm, mean_margin, mean_p_values, sign_beyond, t_margin
from harness.analysis.wording import PREPROCESSING, count, plural

LINEAR = 1.0
"""The exponent of time by length above which twice the text takes more than twice as long."""
SPREAD = 0.001
"""Share of the perplexity by which seeds must differ for chance to count as shown."""


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
    """Part of a sentence."""


def learnt(run: Run) -> pd.DataFrame:
    """Return the finished models with the number of their ``kind``; where any kind has several seeds, those that do.

    A kind that ends training worse than guessing blindly has not learnt its text: it has none of these problems.
    """
    trials = evidence.cells(evidence.finished(run))
    trials = trials.assign(kind=evidence.kinds(trials))
    blind = trials["train_perplexity"].astype(float) > trials["vocab_size"].astype(float)
    trials = trials[~blind.groupby(trials["kind"]).transform("any")]
    seeds = trials.groupby("kind")["seed"].transform("nunique")
    return trials[seeds > 1] if (seeds > 1).any() else trials


def _name(trials: pd.DataFrame, kind: int) -> str:
    """Name one kind of model by what makes it over- or underfit."""
    row = trials[trials["kind"] == kind].iloc[0]
    where = "" if row["authors"] == "all" else f" by {row['authors']}"
    return (
        f"{row['cell']}, {plural(row['num_layers'], 'layer')}, {plural(row['num_epochs'], 'epoch')} of "
        f"{count(row['train_tokens'])} tokens{where}"
    )


def learning_by_heart(run: Run) -> Problem | None:
    """Look for a loss on held-out text above that on training text in the last epoch, kind by kind over its seeds."""
    trials = learnt(run)
    gap = (trials["valid_loss"] - trials["train_loss"]).astype(float) / math.log(2)
    gaps = gap[np.isfinite(gap)].groupby(trials["kind"], sort=False).agg(["mean", "std", "count"])
    if gaps.empty:
        return None
    margins = mean_margin(gaps["std"], gaps["count"])
    gaps = gaps.assign(low=gaps["mean"] - margins, high=gaps["mean"] + margins)
    adjusted = holm(mean_p_values(gaps["mean"], gaps["std"], gaps["count"]))
    intervals = [Interval(*bounds) for bounds in gaps[["mean", "low", "high"]].itertuples(index=False)]
    signs = [evidence.sign_corrected(interval, p) for interval, p in zip(intervals, adjusted, strict=True)]
    worst = int(np.argmax(gaps["mean"]))
    interval, n = intervals[worst], int(gaps["count"].iloc[worst])
    shown = 1 if 1 in signs else -1 if set(signs) == {-1} else 0
    beyond = f"in {signs.count(1)} of {plural(len(gaps), 'kind')} of model beyond chance, after Holm's correction"
    # Of one seed there is no test, and nothing to correct.
    after = ", after Holm's correction over kinds" if np.isfinite(adjusted).any() else ""
    clause = {
        1: f"in the last epoch held-out text costs more than training text {beyond}, most",
        -1: "in the last epoch held-out text costs no more than training text in any kind of model, nearest to it",
        0: f"whether held-out text costs more than training text is not decided in any kind of model{after}; most",
    }[shown]
    return Problem(
        name="learning by heart", shown=shown, figure="largest held-out minus training loss, bits a token",
        value=interval, n=n,
        words=f"learning by heart: {clause} in {_name(trials, int(gaps.index[worst]))}, by "
        f"{evidence.word_interval(interval)} bits a token (n = {plural(n, 'seed')})",
    )  # fmt: skip


def _mean(run: Run, quantity: str, place: float) -> tuple[Interval, pd.Series] | None:
    """Return a probed quantity at one place with its interval, of the first kind of model that has it, and its row."""
    curve = probed.curves(run, [quantity])
    curve = curve[(curve["at"] == place) & ~curve["is_baseline"].astype(bool)]
    return None if curve.empty else (probed.bounded(curve.iloc[0]), curve.iloc[0])


def _difference(first: Interval, second: Interval) -> Interval:
    """Return first − second, of independent means: their margins add in squares."""
    margin = math.hypot(first.high - first.estimate, second.high - second.estimate)
    difference = first.estimate - second.estimate
    return Interval(difference, difference - margin, difference + margin)


def _against_held_out(
    run: Run, quantity: str, temperature: float
) -> tuple[Interval, Interval, Interval, pd.Series] | None:
    written, real = _mean(run, quantity, temperature), _mean(run, quantity, -1.0)
    if written is None or real is None:
        return None
    return written[0], real[0], _difference(written[0], real[0]), written[1]


def _by_temperature(run: Run, quantity: str) -> str:
    """Word how a share goes from the coldest to the warmest text of the first model that has it."""
    curve = probed.curves(run, [quantity])
    curve = curve[(curve["at"] >= 0) & ~curve["is_baseline"].astype(bool)]
    curve = curve[curve["kind"] == curve["kind"].iloc[0]].sort_values("at")
    ends = [f"{row['value']:.0%} at temperature {row['at']:g}" for row in (curve.iloc[0], curve.iloc[-1])]
    return " to ".join(ends)


def repetition(run: Run) -> Problem | None:
    """Look for text that repeats itself more than people's does, at the most probable token each time."""
    shares = _against_held_out(run, "repetition", 0.0)
    if shares is None:
        return None
    _, real, difference, row = shares
    sign = sign_beyond(difference, 0.0)
    by = "one model" if row["seeds"] == 1 else f"each of {plural(int(row['seeds']), 'seed')}"
    clause = {1: "cold it goes round in circles", -1: "cold it repeats itself less", 0: "which does not decide"}[sign]
    return Problem(
        name="repetition when cold", shown=sign, figure="repeated passages at temperature 0, generated minus held-out",
        value=difference, n=int(row["n"] * row["seeds"]),
        words=f"repetition: from {_by_temperature(run, 'repetition')} of its passages repeat earlier ones, of held-out "
        f"text {real.estimate:.0%} (n = {int(row['n'])} texts by {by}): {clause}",
    )  # fmt: skip


def invention(run: Run) -> Problem | None:
    """Look for text at temperature 1 that holds more passages unknown to the training text than people's does."""
    shares = _against_held_out(run, "novelty", 1.0)
    if shares is None:
        return None
    warm, real, difference, row = shares
    sign = sign_beyond(difference, 0.0)
    clause = {1: "it invents what nobody writes", -1: "it keeps closer to its training text than people do",
            0: "which does not decide"}[sign]  # fmt: skip
    return Problem(
        name="invention when warm", shown=sign, figure="passages not in the training text at temperature 1, "
        "generated minus held-out", value=difference, n=int(row["n"] * row["seeds"]),
        words=f"invention: from {_by_temperature(run, 'novelty')} are not in the training text; at 1 it is "
        f"{warm.estimate:.0%}, of held-out text {real.estimate:.0%}: {clause}",
    )  # fmt: skip


def unseen_characters(run: Run) -> Problem | None:
    """Look for held-out tokens that training never saw, in the model with the most of them."""
    shares = probed.curves(run, ["unseen_share"])
    shares = shares[~shares["is_baseline"].astype(bool)]
    if shares.empty:
        return None
    row = shares.sort_values("value", ascending=False, kind="stable").iloc[0]
    share = probed.bounded(row)
    losses = probed.curves(run, ["unseen_loss", "seen_loss"])
    losses = losses[losses["kind"] == row["kind"]].set_index("quantity")["value"]
    cost = ""
    if {"unseen_loss", "seen_loss"} <= set(losses.index):
        cost = f", which cost {losses['unseen_loss']:.1f} nats each, the others {losses['seen_loss']:.1f}"
    unseen = share.estimate > 0
    of = PREPROCESSING.get(str(row["text"]), str(row["text"]))
    clause = (
        f"{share.estimate:.2g} of held-out tokens"
        if share.estimate < 1e-4
        else f"{share.estimate:.2%} of held-out tokens"
    )
    return Problem(
        name="unseen characters", shown=1 if unseen else -1, figure=f"share of held-out tokens ({row['model']}, {of})",
        value=share, n=int(row["n"]),
        words=f"characters that training never saw: {clause if unseen else 'none in the held-out text looked at'} "
        f"({row['model']}, {of}){cost}",
    )  # fmt: skip


def open_brackets(run: Run) -> Problem | None:
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
    near, far = (probed.bounded(best.iloc[place]) for place in (0, -1))
    drop = _difference(near, far)
    sign = sign_beyond(drop, 0.0)
    clause = {1: "it forgets what is open", -1: "it gets surer", 0: "which does not decide"}[sign]
    return Problem(
        name="open brackets", shown=sign, figure=f"probability of {what}, near minus far", value=drop,
        n=int(best["n"].sum()),
        words=f"brackets: the best of {plural(len(groups), 'model')} on {best.iloc[0]['corpus']} "
        f"({best.iloc[0]['cell']}) gives {what} {near.estimate:.2f} where it opened {best['at'].iloc[0]:g} back and "
        f"{far.estimate:.2f} at {best['at'].iloc[-1]:g} or more: {clause}{_quotes(run, str(most))}",
    )  # fmt: skip


def _quotes(run: Run, corpus_of_brackets: str) -> str:
    """Word how probable a due closing quote or bracket is in running text, where such a text was probed too."""
    groups = [part for part in _bracket_curves(run, "closing") if part.iloc[0]["corpus"] != corpus_of_brackets]
    if not groups:
        return ""
    best = max(groups, key=lambda part: part["value"].mean()).sort_values("at")
    ends = [
        f"{evidence.word_bounds(_share(probed.bounded(row)), 2)} at {row['at']:g}"
        for row in (best.iloc[0], best.iloc[-1])
    ]
    n, corpus = int(best["n"].sum()), best.iloc[0]["corpus"]
    return f" (in {corpus}'s quotes the due closing one gets {' and '.join(ends)}, n = {n})"


def _share(interval: Interval) -> Interval:
    """Return a share's interval without what no share can be."""
    return Interval(interval.estimate, max(0.0, interval.low), min(1.0, interval.high))


def _bracket_curves(run: Run, quantity: str) -> list[pd.DataFrame]:
    """Return a quantity by distance for each kind of model, where several distances have a handful of brackets."""
    curves = probed.curves(run, [quantity])
    curves = curves[(curves["n"] >= 5) & ~curves["is_baseline"].astype(bool)]
    return [part for _, part in curves.groupby("kind", sort=False) if len(part) > 1]


def time_by_length(run: Run) -> Problem | None:
    """Look for time that grows with the length: a line through its logarithm by that of the length."""
    curve = probed.curves(run, ["seconds"]).sort_values("at")
    curve = curve[curve["kind"] == curve["kind"].iloc[0]] if len(curve) else curve
    curve = curve[curve["value"] > 0]
    if len(curve) < 3:
        return None
    line = scipy.stats.linregress(np.log(curve["at"]), np.log(curve["value"]))
    margin = t_margin(line.stderr, len(curve) - 2)
    exponent = Interval(float(line.slope), float(line.slope - margin), float(line.slope + margin))
    sign = sign_beyond(exponent, 0.0)
    first, last = curve.iloc[0], curve.iloc[-1]
    clause = {1: "more than in proportion", -1: "less than in proportion", 0: "in proportion"}[
        sign_beyond(exponent, LINEAR)
    ]
    clause = clause if sign > 0 else "longer is faster" if sign < 0 else "which does not decide"
    return Problem(
        name="time by length", shown=sign, figure="exponent of time by length", value=exponent, n=int(curve["n"].sum()),
        words=f"time: a pass forward and back takes {last['value'] / first['value']:.1f} times as long over "
        f"{last['at']:g} tokens as over {first['at']:g}, {clause} (exponent {evidence.word_interval(exponent, 2)}, "
        "numpy)",
    )  # fmt: skip


def chance(run: Run) -> Problem | None:
    """Look for a spread over seeds: what chance alone makes of one setting."""
    trials = learnt(run)
    kinds = trials.groupby("kind", sort=False)
    seeds = kinds["seed"].nunique()
    if seeds.empty or seeds.max() < 2:
        return None
    perplexity = trials["valid_perplexity"].astype(float).groupby(trials["kind"], sort=False)
    spreads = (perplexity.max() - perplexity.min()) / perplexity.mean()
    typical, widest = float(spreads.median()), int(spreads.idxmax())
    few, many = int(seeds.min()), int(seeds.max())
    under = plural(many, "seed") if few == many else f"{few} to {many} seeds"
    most = f", at most {spreads[widest]:.1%} ({_name(trials, widest)})" if len(spreads) > 1 else ""
    return Problem(
        name="chance", shown=1 if typical > SPREAD else -1,
        figure="(largest − smallest) / mean perplexity over seeds, median over kinds of model",
        value=Interval(typical, math.nan, math.nan), n=few,
        words=f"chance: the same model under {under} ends {typical:.1%} apart in perplexity (median of "
        f"{plural(len(spreads), 'kind')} of model{most})",
    )  # fmt: skip
