"""Says in a few sentences what the numbers show, and no more than they show."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from harness.analysis import wording
from harness.analysis.frames import varying
from harness.analysis.one_text import Comparison, is_baseline
from harness.analysis.text_intervals import TextLosses, difference_over_texts


@dataclass(frozen=True)
class Finding:
    """One figure of note: what it is, its value, and whose it is."""

    name: str
    value: str
    detail: str
    whole: str = ""
    """The detail with every name in full, where that is too long to be read first."""


_PUBLISHED = {
    "train_perplexity": "Lowest training perplexity",
    "valid_minibatch_perplexity": "Lowest mean over minibatches of validation",
}
"""What heads a figure that an experiment's source reports and trials are not ranked by."""
MAX_DETAIL = 120
"""Characters of a detail that is read at a glance; a longer one is shortened, and stands whole behind a control."""


def title(trials: pd.DataFrame) -> list[str]:
    """Word what the run compares, in phrases: 'lstm and gru', '1–4 layers', 'on bronte'."""
    if trials.empty:
        return ["A run without trials"]
    trained = trials[~is_baseline(trials)]
    depths = [int(depth) for depth in trained["num_layers"].dropna().unique()]
    layers = "layer" if depths == [1] else "layers"
    parts = [wording.enumerate_names(trials["cell"].unique())]
    if depths:
        parts.append(f"{wording.enumerate_numbers(depths)} {layers}")
    if varying(trained, ["backend"]):
        parts.append(f"with {wording.enumerate_names(trained['backend'].unique())}")
    corpora = trials["corpus"].unique()
    if len(corpora) > 2:
        # Selections of one corpus's books are that corpus here: each is told where its trials are.
        corpora = pd.unique(trials["corpus"].str.partition(":")[0])
    parts.append(f"on {wording.enumerate_names(corpora)}")
    return parts


_NO_TEXTS: TextLosses = {}


def findings(comparison: Comparison, figure: str = "valid_perplexity", texts: TextLosses = _NO_TEXTS) -> list[Finding]:
    """Return what stands out among the ranked trials; ``figure`` is what the experiment's source reports."""
    ranked = comparison.ranked
    if ranked.empty:
        return [finding for finding in [_leakage(comparison)] if finding is not None]
    published = _published(ranked, figure) if figure in _PUBLISHED else None
    candidates = [
        _leakage(comparison),
        published,
        _best(ranked),
        _best_mean(comparison),
        _fastest(ranked),
        _baseline(ranked),
        _not_recurrent(comparison),
        *_over_texts(comparison, texts),
        _floor(comparison),
    ]
    return [finding for finding in candidates if finding is not None]


def caveat(comparison: Comparison) -> str:
    """Say what the numbers cannot show."""
    if comparison.ranked.empty:
        return "No trial has finished with a validation perplexity: there is nothing to rank."
    if len(comparison.ranked) == 1:
        return "One trial has finished: there is nothing to compare it with."
    if comparison.num_seeds == 1 and len(comparison.trained):
        return "Each model has one seed: there is no interval over seeds, and small differences may be chance."
    return ""


def _finding(name: str, value: str, whole: str, brief: str) -> Finding:
    """Return the finding with its whole detail where that is short, else the brief one before it."""
    if len(whole) <= MAX_DETAIL or whole == brief:
        return Finding(name, value, whole)
    return Finding(name, value, brief, whole)


def _brief(label: str) -> str:
    """Return the first two parts of a model's name, which say most of it: 'lstm · 1 layer · …'."""
    parts = label.split(wording.SEPARATOR)
    return wording.SEPARATOR.join([*parts[:2], "…"]) if len(parts) > 3 else label


def _tied(labels: pd.Series) -> tuple[str, str]:
    """Return who leads, in full and in brief."""
    if len(labels) == 1:
        return labels.iloc[0], _brief(labels.iloc[0])
    return f"{wording.enumerate_names(labels, 4)} tie", f"{wording.plural(len(labels), 'trial')} tie"


def _best(ranked: pd.DataFrame) -> Finding:
    first = ranked[ranked["rank"] == 1]
    value = wording.perplexity(first["valid_perplexity"].iloc[0])
    return _finding("Lowest validation perplexity", value, *_tied(first["label"]))


def _published(ranked: pd.DataFrame, figure: str) -> Finding | None:
    """Return the lowest of a figure that is not the one ranked by."""
    known = ranked.dropna(subset=[figure])
    if known.empty:
        return None
    best = known.sort_values(figure, kind="stable").iloc[0]
    rest = "in its last epoch: the figure this experiment's source reports"
    whole, brief = f"{best['label']}, {rest}", f"{_brief(best['label'])}, {rest}"
    return _finding(_PUBLISHED[figure], wording.perplexity(best[figure]), whole, brief)


def _best_mean(comparison: Comparison) -> Finding | None:
    """Return the model with the lowest mean over seeds, among those that have several."""
    several = comparison.summary[comparison.summary["num_seeds"] > 1].dropna(subset=["valid_perplexity_mean"])
    if several.empty:
        return None
    best = several.sort_values("valid_perplexity_mean", kind="stable").iloc[0]
    bounds = wording.bracket(best["valid_perplexity_mean_low"], best["valid_perplexity_mean_high"], wording.perplexity)
    seeds = wording.plural(int(best["num_seeds"]), "seed")
    rest = f", over {seeds}" + (f" (95 % interval {bounds})" if bounds else "")
    whole, brief = best["label"] + rest, _brief(best["label"]) + rest
    overlap = several[
        (several.index != best.name) & (several["valid_perplexity_mean_low"] <= best["valid_perplexity_mean_high"])
    ]
    if len(overlap):
        whole += f"; {wording.enumerate_names(overlap['label'], 3)} may be as good: the intervals overlap"
        brief += f"; {wording.plural(len(overlap), 'other model')} may be as good"
    return _finding("Lowest mean perplexity", wording.perplexity(best["valid_perplexity_mean"]), whole, brief)


def _fastest(ranked: pd.DataFrame) -> Finding | None:
    timed = ranked.dropna(subset=["tokens_per_s"]).sort_values("tokens_per_s", ascending=False, kind="stable")
    if timed.empty:
        return None
    words = timed["tokens_per_s"].map(wording.rate)
    first, same = timed.iloc[0], words == words.iloc[0]
    bounds = wording.bracket(first["tokens_per_s_low"], first["tokens_per_s_high"], wording.rate)
    rest = f" (95 % interval {bounds})" if bounds else ""
    whole, brief = (leading + rest for leading in _tied(timed.loc[same, "label"]))
    # Other seeds of the same model are no rivals.
    rivals = timed[~same & ((timed["series"] != first["series"]) | (timed["num_layers"] != first["num_layers"]))]
    overlap = rivals[rivals["tokens_per_s_high"] >= first["tokens_per_s_low"]]
    if len(overlap):
        whole += f"; {wording.enumerate_names(overlap['label'], 3)} may be as fast: the intervals overlap"
        brief += f"; {wording.plural(len(overlap), 'other trial')} may be as fast"
    if ranked["concurrency"].nunique() > 1:
        whole += "; trials ran at different concurrencies"
        brief += "; trials ran at different concurrencies"
    return _finding("Fastest training", f"{words.iloc[0]} tokens/s", whole, brief)


def _baseline(ranked: pd.DataFrame) -> Finding | None:
    """Return how many trials beat the unigram baseline, what a model without memory reaches."""
    known = ranked[~is_baseline(ranked)].dropna(subset=["unigram_valid_perplexity"])
    if known.empty:
        return None
    baselines = np.unique(known["unigram_valid_perplexity"])
    value = wording.perplexity(baselines[0])
    if len(baselines) > 1:
        value += f" to {wording.perplexity(baselines[-1])}"
    below = int((known["valid_perplexity"] < known["unigram_valid_perplexity"]).sum())
    return Finding(
        "Unigram baseline", value, f"{wording.count(below)} of {wording.plural(len(known), 'ranked trial')} below it"
    )


def _not_recurrent(comparison: Comparison) -> Finding | None:
    """Return the best of the baselines that take no training steps, and how many trained models beat it."""
    ranked, baselines = comparison.ranked, comparison.baselines
    trained = ranked[~is_baseline(ranked)]
    if baselines.empty or trained.empty:
        return None
    best = baselines.iloc[0]
    below = int((trained["valid_perplexity"] < best["valid_perplexity"]).sum())
    value = wording.perplexity(best["valid_perplexity"])
    rest = f"{wording.count(below)} of {wording.plural(len(trained), 'ranked trial')} below it"
    return _finding("Best baseline", value, f"{best['label']}; {rest}", f"{_brief(best['label'])}; {rest}")


def _over_texts(comparison: Comparison, texts: TextLosses) -> Iterator[Finding]:
    """Yield how far the lead of the best trained model depends on the text: over the next one, and over a baseline."""
    trained = comparison.ranked[~is_baseline(comparison.ranked)]
    if trained.empty:
        return
    best = trained.iloc[0]
    others = trained[(trained["series"] != best["series"]) | (trained["num_layers"] != best["num_layers"])]
    for name, rivals in (("the next model", others), ("the best baseline", comparison.baselines)):
        if rivals.empty:
            continue
        pairs = [(best["trial_id"], rivals.iloc[0]["trial_id"])]
        lead = difference_over_texts(texts, pairs, "valid", best["authors"])
        if np.isfinite(lead.low):
            whose = f"{rivals.iloc[0]['label']} (95 % interval over blocks of the validation text "
            rest = f"{lead.low:+.3f} to {lead.high:+.3f}; over other texts like it, one trial each)"
            yield _finding(f"The best less {name}", f"{lead.estimate:+.3f} nats a token", whose + rest, rest[:-1])


def _floor(comparison: Comparison) -> Finding | None:
    """Return the entropy rate of the text's source, and how near the best trial came."""
    known = comparison.ranked.dropna(subset=["excess_bits_per_char"])
    if known.empty:
        return None
    best = known.sort_values("excess_bits_per_char", kind="stable").iloc[0]
    whole, brief = (
        "bits per character, which no model can expect to go below; "
        f"{label} is nearest, {best['excess_bits_per_char']:+.3f}"
        for label in (best["label"], _brief(best["label"]))
    )
    return _finding("Entropy rate", wording.ratio(comparison.entropy_rate), whole, brief)


def _leakage(comparison: Comparison) -> Finding | None:
    """Return the trials that did better than the text allows."""
    suspected = comparison.suspected
    if suspected.empty:
        return None
    whole = f"better than the text allows: {wording.enumerate_names(suspected['label'], 4)}; not ranked"
    brief = "better than the text allows; not ranked"
    return _finding("Leakage", wording.plural(len(suspected), "trial"), whole, brief)
