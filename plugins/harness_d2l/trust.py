"""How far a learning curve may be trusted: its floor, its fit, and whether its models had learnt all they could."""

import math

import numpy as np
import pandas as pd

from harness.analysis.learning_curves import FittedCurve, held_out_error

TRUSTED = 0.1
"""Of the gain from the smallest text to the largest, how wrong the fit may be about a size it has not seen."""
SAME_TRAINING = 0.8
"""Tokens read in all, as a share of another model's, below which a model counts as trained less."""


def floor_is_known(fitted: FittedCurve) -> bool:
    """Return whether the curve falls, and the floor's interval is narrow beside it and does not begin at nothing."""
    floor = fitted.floor
    width = floor.high - floor.low
    falls = fitted.law.factor > 0
    return bool(falls and math.isfinite(width) and floor.low > 0.01 and width < 0.25 * floor.estimate)


def still_learning(curve: pd.DataFrame) -> bool:
    """Return whether most models of the largest text were still learning when they stopped, or none can tell.

    ``is_learning`` is a column of the curve: of `harness.analysis.recipes.are_learning`.
    """
    last = curve[curve["train_tokens"] == curve["train_tokens"].max()]
    return bool(last["is_learning"].fillna(True).mean() > 0.5)


def trained_less(curve: pd.DataFrame) -> bool:
    """Return whether the smallest text's models were still learning when they stopped, after fewer tokens in all.

    Then training is part of what the largest text's are better by.
    """
    ends = [curve[curve["train_tokens"] == size] for size in (curve["train_tokens"].min(), curve["train_tokens"].max())]
    first, last = (float((part["train_tokens"] * part["num_epochs_done"]).mean()) for part in ends)
    return still_learning(ends[0]) and first < SAME_TRAINING * last


def word_help(curve: pd.DataFrame) -> str:
    """Word that more text helps, and whether more training comes with it."""
    return "more text with more training helps" if trained_less(curve) else "more text helps"


def is_trusted(curve: pd.DataFrame) -> bool:
    """Return whether the fit foretells the largest text from the others, to a share of the whole gain."""
    share = held_out_share(losses_by_size(curve))
    return bool(share is not None and share < TRUSTED)


def held_out_share(losses: dict[float, list[float]]) -> float | None:
    """Return the error at the largest size, predicted from the others, as a share of the whole gain."""
    checked = held_out_error(losses)
    if checked is None:
        return None
    gain = float(np.mean(losses[min(losses)]) - np.mean(losses[max(losses)]))
    return abs(checked[0] / gain) if gain else math.inf


def losses_by_size(curve: pd.DataFrame) -> dict[float, list[float]]:
    """Return the bits of each training size's trials."""
    return {float(size): part["bits"].tolist() for size, part in curve.groupby("train_tokens")}


def word_trust(losses: dict[float, list[float]]) -> list[str]:
    """Say what the fit was worth where it can be checked: at the largest size, predicted from the others."""
    checked = held_out_error(losses)
    if checked is None:
        return []
    error, factor = checked
    share = held_out_share(losses) or 0.0
    trust = (
        "about that far it may be trusted" if share < TRUSTED else "beyond what was measured it is not to be trusted"
    )
    return [
        f"Fitted without the largest text and asked for it, {factor:.1f} times away, it is {abs(error):.3f} bits "
        f"too {'low' if error > 0 else 'high'}, {share:.0%} of the whole gain: {trust}."
    ]
