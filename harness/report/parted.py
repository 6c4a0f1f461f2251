"""Explains certified trials of one seed that end apart on two backends: their training is chaotic, not their cells."""

import math

from harness.analysis import wording
from harness.analysis.columns import SETTINGS
from harness.analysis.one_text import Comparison

APART = math.log(1.01)
"""Of losses: perplexities that differ by more than 1 % from the same seed."""
_WHO = ("backend", "implementation")


def explain_parted(comparison: Comparison) -> str:
    """Say which certified trials end apart though they began alike, and why; nothing where none do."""
    ranked = comparison.ranked
    # Masks of dropout differ from backend to backend: such trials are no copies of one another.
    alike = ranked[ranked["parity_certified"].fillna(value=False).astype(bool) & (ranked["dropout"] == 0)]
    keys = [name for name in (*SETTINGS, "seed") if name not in _WHO]
    groups = alike.groupby(keys, sort=False, dropna=False)["valid_loss"]
    spread = groups.transform("max") - groups.transform("min")
    parted = alike[spread > APART]
    if parted.empty:
        return ""
    first = parted.loc[spread[parted.index].idxmax()]
    pair = parted[(parted[keys] == first[keys]).all(axis=1)].sort_values("valid_loss", kind="stable").iloc[[0, -1]]
    ends = " against ".join(
        f"{wording.perplexity(row['valid_perplexity'])} on {row['backend']} ({row['implementation']})"
        for _, row in pair.iterrows()
    )
    number = parted.groupby(keys, sort=False, dropna=False).ngroups
    others = f", as {wording.plural(number - 1, 'other')} do" if number > 1 else ""
    return (
        f"{first['cell']} with {wording.plural(int(first['num_layers']), 'layer')}, seed {first['seed']} and learning "
        f"rate {first['learning_rate']:g} ends at {ends}{others}, though both are certified: the certificate is of the "
        f"first {int(first['parity_steps'])} steps. Where a step is so large that training is chaotic, differences of "
        "rounding grow until the runs part; each figure is then one draw of many, and says nothing of a backend."
    )
