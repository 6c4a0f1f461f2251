"""Matches the trials of two runs by their settings: all that decides a trial but its seed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from harness.analysis.frames import SETTINGS, Run, varying
from harness.analysis.one_text import BASELINE_FACTORS, DIGEST, TEXT, is_baseline
from harness.analysis.wording import FACTORS, SEPARATOR, label

_OF_THE_TEXT = ("corpus_digest", "vocab_size", "train_tokens")
"""Settings that follow from the text's bytes: where they alone differ, the text was another one."""
_ALWAYS_NAMED = ("cell", "num_layers")


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The trials of one model and setting in both runs, one row a seed."""

    name: str
    before: pd.DataFrame
    after: pd.DataFrame
    refusal: str = ""
    """Why nothing of theirs may be compared; empty where it may."""


@dataclass(frozen=True, kw_only=True)
class Matched:
    """What both runs have, and what only one of them has."""

    pairs: list[Pair]
    only_before: list[str]
    only_after: list[str]


def match(before: Run, after: Run) -> Matched:
    """Match the runs' trials, in the order of the first run's plan."""
    together = pd.concat([before.trials, after.trials], keys=(0, 1))
    together["name"] = _names(together)
    groups = [_by_settings(together.loc[side], SETTINGS) for side in (0, 1)]
    shared = [key for key in groups[0] if key in groups[1]]
    pairs = [Pair(name=_name(groups[0][key]), before=groups[0][key], after=groups[1][key]) for key in shared]
    left = [{key: group for key, group in groups[i].items() if key not in groups[1 - i]} for i in (0, 1)]
    return Matched(
        pairs=[*pairs, *_on_other_texts(left)],
        only_before=[_name(group) for group in left[0].values()],
        only_after=[_name(group) for group in left[1].values()],
    )


def _by_settings(trials: pd.DataFrame, settings: Sequence[str]) -> dict[tuple[object, ...], pd.DataFrame]:
    return dict(iter(trials.groupby(list(settings), sort=False, dropna=False)))


def _on_other_texts(left: Sequence[dict[tuple[object, ...], pd.DataFrame]]) -> Iterator[Pair]:
    """Yield what is the same model on a text that has changed, and take it out of what is left."""
    rest = [name for name in SETTINGS if name not in _OF_THE_TEXT]
    keys: list[dict[tuple[object, ...], list[tuple[object, ...]]]] = [{}, {}]
    for by_key, side in zip(keys, left, strict=True):
        for key, group in side.items():
            by_key.setdefault(tuple(group[rest].iloc[0]), []).append(key)
    for shared, mine in keys[0].items():
        theirs = keys[1].get(shared, [])
        # Several budgets of one text cannot be told apart once the text is another one.
        if len(mine) == len(theirs) == 1:
            before, after = left[0].pop(mine[0]), left[1].pop(theirs[0])
            yield Pair(name=_name(before), before=before, after=after, refusal=_other_text(before, after))


def _other_text(before: pd.DataFrame, after: pd.DataFrame) -> str:
    digests = [frame["corpus_digest"].iloc[0] for frame in (before, after)]
    if digests[0] == digests[1]:
        budgets = [int(frame["train_tokens"].iloc[0]) for frame in (before, after)]
        return f"trained on {budgets[0]:,} tokens in A and on {budgets[1]:,} in B"
    return f"the texts differ (digest {digests[0][:12]} in A, {digests[1][:12]} in B)"


def _name(group: pd.DataFrame) -> str:
    return str(group["name"].iloc[0])


def _names(trials: pd.DataFrame) -> pd.Series:
    """Name each trial by what tells it from the others, its seed left out."""
    trained = trials[~is_baseline(trials)]
    differing = {*varying(trained, FACTORS), *varying(trials, BASELINE_FACTORS), *_ALWAYS_NAMED} - {"seed", DIGEST}
    own = label(trials, [name for name in differing if name in BASELINE_FACTORS])
    names = label(trials, [name for name in FACTORS if name in differing]).where(~is_baseline(trials), own)
    for name in varying(trials, TEXT):
        names = names + SEPARATOR + trials[name].astype(str)
    return names
