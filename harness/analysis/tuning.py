"""What searches found: of each tuned model its budget, its space and the chosen point, and best-of-n curves."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis.best_of_n import curve
from harness.analysis.columns import BEST_OF_N, SETTINGS_OF_MODEL, TUNING
from harness.contracts.settings import Range
from harness.grid.edges import widened
from harness.grid.tuning import SEARCH_SEED
from harness.worker.trial import SETTINGS


def of_trials(
    searches: Sequence[Mapping[str, Any]], searched: Mapping[str, tuple[str, str]]
) -> dict[str, dict[str, Any]]:
    """Return what is known of each trial's search, by its id: role, search_id, tuned, num_points, space."""
    facts = {
        row["search_id"]: {
            "search_id": row["search_id"],
            "tuned": "+".join(row["space"]),
            "num_points": row["num_points"],
            "space": _word_space(_space(row)),
        }
        for row in searches
    }
    return {
        trial_id: {"role": role, **facts[search_id]}
        for trial_id, (search_id, role) in searched.items()
        if search_id in facts
    }


def _space(search: Mapping[str, Any]) -> dict[str, Range]:
    return {name: Range(**bounds) for name, bounds in search["space"].items()}


def _word_space(space: Mapping[str, Range]) -> str:
    return ", ".join(f"{SETTINGS[name].heading.lower()} {bounds}" for name, bounds in space.items())


def frame_tuning(searches: Sequence[Mapping[str, Any]], trials: pd.DataFrame) -> pd.DataFrame:
    """Return one row a search, in plan order; ``trials`` are those of the code of now, points among them."""
    points = trials[trials["role"] == "search"]
    # Final trials have other seeds than points.
    earlier = trials[(trials["role"] == "superseded") & (trials["seed"] == SEARCH_SEED)].groupby("search_id").size()
    rows = [
        _search(row, points[points["search_id"] == row["search_id"]], int(earlier.get(row["search_id"], 0)))
        for row in searches
    ]
    return pd.DataFrame([row for row in rows if row], columns=TUNING.names)


def _search(search: Mapping[str, Any], points: pd.DataFrame, num_earlier: int) -> dict[str, Any]:
    if points.empty:
        return {}
    space = _space(search)
    best = points[points["trial_id"] == search["best"]]
    known = len(best) > 0
    return {
        "search_id": search["search_id"],
        **points.iloc[0][list(SETTINGS_OF_MODEL)].to_dict(),
        "tuned": "+".join(space),
        "space": _word_space(space),
        "num_points": search["num_points"],
        "num_done": int(((points["status"] == "ok") & np.isfinite(points["valid_loss"])).sum()),
        "num_diverged": int((points["status"] == "diverged").sum()),
        "best_trial_id": search["best"] if known else "",
        "chosen": _values(best.iloc[0], space) if known else "",
        "search_valid_perplexity": float(best["valid_perplexity"].iloc[0]) if known else math.nan,
        "at_edge": _at_edge(search["best"], points, space) if known else "",
        "search_seconds": float(points["train_seconds"].sum()),
        "num_earlier_points": num_earlier,
    }


def _values(trial: pd.Series, space: Mapping[str, Range]) -> str:
    return ", ".join(SETTINGS[name].words.format(trial[name]) for name in space)


def _at_edge(best: str, points: pd.DataFrame, space: Mapping[str, Range]) -> str:
    ended = points[points["status"].isin(["ok", "diverged"])]
    losses = ended["valid_loss"].where(ended["status"] == "ok", np.inf).fillna(np.inf)
    place = ended["trial_id"].tolist().index(best)
    return widened({name: ended[name].tolist() for name in space}, losses.tolist(), place, space)


def frame_best_of_n(trials: pd.DataFrame, tuning: pd.DataFrame) -> pd.DataFrame:
    """Return the expected lowest validation perplexity by number of points, for each search whose points have ended."""
    parts = []
    for search_id, num_points in zip(tuning["search_id"], tuning["num_points"], strict=True):
        points = trials[(trials["role"] == "search") & (trials["search_id"] == search_id)]
        points = points[points["superseded"] == ""]
        points = points[points["status"].isin(["ok", "diverged"])]
        if len(points) == num_points and (points["status"] == "ok").any():
            parts.append(_curve(search_id, points))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=BEST_OF_N.names)


def _curve(search_id: str, points: pd.DataFrame) -> pd.DataFrame:
    perplexities = points["valid_perplexity"].where(points["status"] == "ok", np.inf)
    best = curve(perplexities)
    return pd.DataFrame(
        {
            "search_id": search_id,
            "n": best["n"],
            "train_seconds": best["n"] * points["train_seconds"].mean(),
            "valid_perplexity": best["loss"],
            "valid_perplexity_low": best["low"],
            "valid_perplexity_high": best["high"],
        }
    )
