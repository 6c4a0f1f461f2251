"""The floor under bits per character where a text's source is known, and results that cannot lie below it honestly."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from harness.record.manifest import Manifest
from harness.record.yardstick import is_suspect

SURE = 3.0
"""Standard errors below the entropy rate that chance is allowed: an honest model is beyond once in a thousand texts."""
COLUMNS = ("entropy_rate", "excess_bits_per_char", "lowest_honest_bits_per_char")
"""What is added to trials.csv, beside ``leakage_suspected``: bits per character, empty where the source is unknown."""


@dataclass(frozen=True, kw_only=True)
class Floor:
    """A source's entropy rate, bits per character, and what chance may make of it on one held-out text."""

    rate: float
    lowest: float
    """The rate's own lower end, less `SURE` standard errors of the source's −log₂ p on the held-out text."""


def floors(manifest: Manifest) -> dict[str, Floor]:
    """Return the floor of each corpus whose source is known, by digest; what cannot be read is left out."""
    known = {}
    for corpus in manifest.corpora:
        digest, floor = corpus.get("digest"), _floor(corpus)
        if isinstance(digest, str) and floor is not None:
            known[digest] = floor
    return known


def _floor(corpus: dict[str, Any]) -> Floor | None:
    entropy = corpus.get("entropy")
    if not isinstance(entropy, dict):
        return None
    values = [entropy.get("low"), entropy.get("high"), entropy.get("deviation"), corpus.get("valid_tokens")]
    if not all(isinstance(value, (int, float)) and math.isfinite(value) for value in values):
        return None
    low, high, deviation, num_chars = map(float, values)  # type: ignore[arg-type]
    if num_chars < 1:
        return None
    return Floor(rate=(low + high) / 2, lowest=low - SURE * deviation / math.sqrt(num_chars))


def with_floor(trials: pd.DataFrame, manifest: Manifest) -> pd.DataFrame:
    """Return the trials with `COLUMNS` and whether each is suspected of leakage."""
    known = floors(manifest)
    rate = trials["corpus_digest"].map({digest: floor.rate for digest, floor in known.items()}).astype(np.float64)
    lowest = trials["corpus_digest"].map({digest: floor.lowest for digest, floor in known.items()}).astype(np.float64)
    reached = trials["valid_bits_per_char"].astype(np.float64)
    beneath = (reached < lowest).where(lowest.notna() & reached.notna()).astype("boolean")
    return trials.assign(
        entropy_rate=rate,
        excess_bits_per_char=reached - rate,
        lowest_honest_bits_per_char=lowest,
        leakage_suspected=_either(beneath, _far_below_yardstick(trials)),
    )


def _far_below_yardstick(trials: pd.DataFrame) -> pd.Series:
    """Return whether a trial's loss on validation or test text is suspect; NA where no yardstick was fitted."""
    yardstick = trials["yardstick_valid_loss"].astype(np.float64)
    losses = trials[["valid_loss", "test_loss", "best_epoch_test_loss"]].astype(np.float64).min(axis=1)
    return is_suspect(losses, yardstick).where(yardstick.notna() & losses.notna()).astype("boolean")


def _either(one: pd.Series, other: pd.Series) -> pd.Series:
    """Return whether one is so, as far as they are known."""
    return (one.fillna(value=False) | other.fillna(value=False)).where(one.notna() | other.notna())
