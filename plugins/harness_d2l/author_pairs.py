"""Sets models of one author beside models of several: which of them answer which question about combining."""

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd

from harness.analysis import evidence, nuisances
from harness.analysis.frames import Run

SAME_BUDGET = 0.02
"""How far apart two training budgets may be, as a share, and still count as equal."""
SAME_UPDATES = 0.15
"""How far apart two numbers of updates may be, as a share: epochs are whole numbers."""
ADDED_UPDATES, ADDED_EPOCHS = "added, as many updates", "added, as many epochs"
MIXED, FOREIGN, DROWNED = "mixed, same budget", "another's instead", "proportional beside equal mix"
OWN_WORDS, SHARED_WORDS = "added: words only this author uses", "added: all other words"
WORDS = {OWN_WORDS: "own words of {}", SHARED_WORDS: "shared words of {}"}
"""What is probed of them, by author: bits a letter."""
_VARIED = ("authors", "corpus_digest", "vocab_size", "mix", "train_tokens", "num_epochs", *nuisances.UNASKED)
_SHARED = ["seed", *evidence.settings_without(*_VARIED), "evaluated_on"]
"""What a model has in common with the one it is held against."""
_SIDE = ["trial_id", "trained_on", "train_tokens", "num_epochs", "mix", "bits_per_char", "share"]


def figures(run: Run) -> pd.DataFrame:
    """Return the finished models' bits on each author's held-out text, each model at its best nuisance settings.

    With the column share: the tokens of the evaluated author among those that trained, NaN where that is not known.
    """
    usable = nuisances.best_of_values(evidence.cells(evidence.finished(run)))["trial_id"]
    known = run.transfer[run.transfer["trial_id"].isin(set(usable))]
    known = known[np.isfinite(known["bits_per_char"].astype(float))]
    return known.assign(share=_shares(known))


def _shares(known: pd.DataFrame) -> list[float]:
    own = known[known["trained_on"] == known["evaluated_on"]]
    sizes = own.groupby(["corpus", "evaluated_on"])["train_tokens"].max().astype(float).to_dict()
    # A model is evaluated on every author of its text: an exercise's run has texts of other authors beside it.
    authors_of = known.groupby("trial_id")["evaluated_on"].unique()
    columns = ("trial_id", "trained_on", "corpus", "evaluated_on", "mix", "train_tokens")
    return [
        _share(list(authors_of[trial_id]) if trained_on == "all" else trained_on.split("+"), sizes, *values)
        for trial_id, trained_on, *values in zip(*(known[name] for name in columns), strict=True)
    ]


def _share(
    members: list[str], sizes: dict[tuple[str, str], float], corpus: str, author: str, mix: str, tokens: float
) -> float:
    if author not in members:
        return 0.0
    if mix == "equal" or len(members) == 1:
        return float(tokens) / len(members)
    total = sum(sizes.get((corpus, member), math.nan) for member in members)
    return float(tokens) * sizes.get((corpus, author), math.nan) / total


def is_combined(frame: pd.DataFrame) -> pd.Series:
    """Return which models several authors trained, the evaluated one among them."""
    return (frame["share"] > 0) & (frame["share"] < frame["train_tokens"])


def pairs(known: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each question with its pairs: columns end in ``_first`` (what is tried) and ``_second`` (beside what)."""
    own = known[known["trained_on"] == known["evaluated_on"]]
    whole = own[own["train_tokens"] == own.groupby("evaluated_on")["train_tokens"].transform("max")]
    # Of several numbers of epochs the largest is what one's own text gives.
    whole = whole[whole["num_epochs"] == whole.groupby("evaluated_on")["num_epochs"].transform("max")]
    combined, foreign = known[is_combined(known)], known[known["share"] == 0]
    added = _beside(combined, whole)
    added = added[added["share_first"] >= (1 - SAME_BUDGET) * added["share_second"]]
    added = _preferring(added, "proportional")
    yield ADDED_UPDATES, _nearest(added)
    yield ADDED_EPOCHS, added[added["num_epochs_first"] == added["num_epochs_second"]]
    yield MIXED, _preferring(_same_budget(_beside(combined, own)), "equal")
    yield FOREIGN, _same_budget(_beside(foreign, own))
    yield DROWNED, _drowned(combined, whole)


def _beside(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    columns = [*_SHARED, *_SIDE]
    return first[columns].merge(second[columns], on=_SHARED, suffixes=("_first", "_second"))


def _same_budget(both: pd.DataFrame) -> pd.DataFrame:
    apart = (both["train_tokens_first"] / both["train_tokens_second"]).astype(float) - 1
    return both[(apart.abs() <= SAME_BUDGET) & (both["num_epochs_first"] == both["num_epochs_second"])]


def _preferring(both: pd.DataFrame, mix: str) -> pd.DataFrame:
    """Return the pairs of this mixture where an author has any, else all."""
    has = (both["mix_first"] == mix).groupby(both["evaluated_on"]).transform("any")
    return both[~has.astype(bool) | (both["mix_first"] == mix)]


def _updates(both: pd.DataFrame) -> pd.Series:
    """Return the first's updates over the second's: their batches are alike."""
    sides = [(both[f"train_tokens_{side}"] * both[f"num_epochs_{side}"]).astype(float) for side in ("first", "second")]
    return sides[0] / sides[1]


def _nearest(both: pd.DataFrame) -> pd.DataFrame:
    """Return, for each author, the pairs whose numbers of updates are nearest, where they are near enough."""
    apart = np.log(_updates(both)).abs()
    near = both[apart <= math.log1p(SAME_UPDATES)]
    apart = apart[near.index]
    return near[apart <= apart.groupby(near["evaluated_on"]).transform("min") + 1e-9]


def _drowned(combined: pd.DataFrame, whole: pd.DataFrame) -> pd.DataFrame:
    """Return authors whose whole text is in both mixtures: the proportional one first, with as many updates."""
    sizes = whole.groupby("evaluated_on")["train_tokens"].max().astype(float)
    full = combined[combined["share"] >= (1 - SAME_BUDGET) * combined["evaluated_on"].map(sizes)]
    by_mix = {mix: full[full["mix"] == mix] for mix in ("proportional", "equal")}
    both = _nearest(_beside(by_mix["proportional"], by_mix["equal"]))
    return both[both["share_first"] / both["train_tokens_first"] < both["share_second"] / both["train_tokens_second"]]


def by_words(run: Run, both: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield these pairs again, with the bits a letter in the author's own words, and in all others, where probed."""
    probed = run.probes.set_index(["trial_id", "quantity"])[["value", "n"]]
    probed = probed[~probed.index.duplicated()]
    for test, quantity in WORDS.items():
        of = both.copy()
        for side in ("first", "second"):
            keys = [
                (name, quantity.format(author))
                for name, author in zip(of[f"trial_id_{side}"], of["evaluated_on"], strict=True)
            ]
            values = (
                probed.reindex(pd.MultiIndex.from_tuples(keys, names=probed.index.names)) if keys else probed.head(0)
            )
            of[f"bits_per_char_{side}"], of["letters"] = values["value"].to_numpy(), values["n"].to_numpy()
        yield test, of.dropna(subset=["bits_per_char_first", "bits_per_char_second"])
