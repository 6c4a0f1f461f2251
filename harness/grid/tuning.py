"""Tuning: each model gets the same points of one printed space, its best is trained again under fresh seeds.

What models are compared in is scientific; what has a range in its row is a nuisance, and is tuned for each of them.

Source: Godbole et al. 2023, "Deep Learning Tuning Playbook" (scientific and nuisance parameters, quasi-random search);
Dahl et al. 2023, AlgoPerf, arXiv:2306.07179 (equal budgets of one space); Melis et al. 2018, arXiv:1707.05589.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from harness.contracts.network import Structure
from harness.contracts.settings import Range, Searched, Setting, rows, setting, values
from harness.contracts.training import Training
from harness.errors import UsageError
from harness.grid import parsing
from harness.worker.trial import DEFAULTS, SETTINGS, Trial

NUISANCES: Mapping[str, Setting] = {
    name: row for name, row in {**rows(Structure), **rows(Training)}.items() if row.search is not None
}
"""The settings that can be tuned, by their fields."""
_FIELDS = {row.option.removeprefix("--"): name for name, row in NUISANCES.items()}
FINAL_SEEDS = (0, 1, 2, 3, 4)
"""Of the chosen model, where none are given."""
SEARCH_SEED = 1_000_000
"""Of every point: no final seed, so that what was chosen by luck shows."""
_SCRAMBLING = 20_260
"""Of the sequence; another one is another set of points, and no search could be continued."""


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """How much is tuned, and what: each field is an option."""

    tune: int = setting(
        0,
        heading="Points",
        description="Points that are tried for each model.",
        option="--tune",
        values=values("count", "points", low=1, high=10_000),
        typed="",
        help="Tune each model: train so many points of one space, then the best by validation under fresh seeds (five "
        "unless --seeds says otherwise), which alone are ranked.",
    )
    tune_over: tuple[Searched, ...] = setting(
        (Searched("lr"),),
        heading="Tuned",
        description="Settings that are tuned.",
        option="--tune-over",
        values=values("searched", "names", known=tuple(_FIELDS)),
        typed="lr",
        help=f"What --tune tunes, of {', '.join(_FIELDS)}; with other bounds as in lr=0.0001:1,dropout.",
    )

    @property
    def names(self) -> list[str]:
        """Return the fields that are tuned; none where nothing is."""
        return [_FIELDS[searched.name] for searched in self.tune_over] if self.tune else []

    def space(self, settings: Mapping[str, Any]) -> dict[str, Range]:
        """Return the range of each field that is tuned, beside a trial's other settings. Raises: UsageError."""
        return {_FIELDS[searched.name]: _range(searched, settings) for searched in self.tune_over}


TUNING_OPTIONS: Mapping[str, Setting] = rows(Tuning)


def _range(searched: Searched, settings: Mapping[str, Any]) -> Range:
    row = NUISANCES[_FIELDS[searched.name]]
    usual = row.range_beside(settings)
    if searched.bounds is None:
        return usual
    low, high = searched.bounds
    if usual.scale == "log" and low <= 0:
        raise UsageError(f"--tune-over {searched} cannot be used: its values are searched by their logarithm, above 0.")
    for bound in searched.bounds:
        parsing.value(row, str(usual.written(bound)), f"--tune-over {searched}:")
    return replace(usual, low=low, high=high)


def shares(num_points: int, num_settings: int) -> Sequence[Sequence[float]]:
    """Return scrambled quasi-random points of the unit cube; fewer of them are the first of more."""
    import numpy as np  # both are imported where something is tuned
    from scipy.stats import qmc

    points: list[list[float]] = (
        qmc.Halton(num_settings, seed=np.random.default_rng(_SCRAMBLING)).random(num_points).tolist()
    )
    return points


def points(space: Mapping[str, Range], num_points: int) -> list[dict[str, Any]]:
    """Return the values of each point of a space."""
    return [
        {name: bounds.at(share) for (name, bounds), share in zip(space.items(), point, strict=True)}
        for point in shares(num_points, len(space))
    ]


@dataclass(frozen=True, kw_only=True)
class Search:
    """One model's search: its points, and under which seeds the best of them is trained again."""

    space: Mapping[str, Range]
    trials: tuple[Trial, ...]
    """One a point, in their order."""
    seeds: tuple[int, ...]

    @property
    def search_id(self) -> str:
        """Return a readable name that ends in the hash of what the points share, and of what is tuned.

        Neither the number of points nor the bounds are in it: both can grow.
        """
        first = self.trials[0]
        shared = {name: value for name, value in asdict(first).items() if name not in (*self.space, "seed")}
        canonical = json.dumps([shared, sorted(self.space)], sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(canonical.encode()).hexdigest()[:10]
        return f"{first.cell}-{first.num_layers}-{first.backend}-{first.implementation}-tuned-{digest}"

    def finals(self, best: Trial) -> tuple[Trial, ...]:
        """Return the trials of a point under the fresh seeds."""
        return tuple(replace(best, seed=seed) for seed in self.seeds)

    def options(self, trial: Trial) -> str:
        """Word the values of a point, as in 'learning rate 0.0123, clip 1.2'."""
        return ", ".join(SETTINGS[name].words.format(getattr(trial, name)) for name in self.space)

    def words(self) -> str:
        """Word the space, as in 'learning rate 0.0003 to 0.1 (log)'."""
        return ", ".join(f"{SETTINGS[name].heading.lower()} {bounds}" for name, bounds in self.space.items())


def check(tuning: Tuning, settings: Mapping[str, Sequence[Any]]) -> None:
    """Check that what is tuned has not several values too, that it can have its bounds, and that fresh seeds are fresh.

    Raises: UsageError.
    """
    if not tuning.tune and tuning.tune_over != Tuning().tune_over:
        raise UsageError("--tune-over names what --tune tunes: add the number of points, as in --tune 16.")
    for name in tuning.names:
        if len(settings.get(name) or ()) > 1:
            option = NUISANCES[name].option
            raise UsageError(
                f"{option} has several values and is tuned: leave {option} out, or name other settings with "
                "--tune-over."
            )
    if tuning.tune:
        tuning.space(DEFAULTS)
    if tuning.tune and SEARCH_SEED in (settings.get("seed") or ()):
        raise UsageError(f"Seed {SEARCH_SEED} is that of every search: choose other seeds for the final trials.")
