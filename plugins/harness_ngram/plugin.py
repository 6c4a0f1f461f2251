"""Announces the n-gram models of orders one to six."""

from collections.abc import Sequence

from harness.contracts.hooks import Baseline, hookimpl


@hookimpl
def harness_baselines() -> Sequence[Baseline]:
    """Return one baseline an order: 'ngram-3' sees two tokens before the one it predicts."""
    return [
        Baseline(
            name=f"ngram-{order}",
            title=f"{order}-gram, interpolated Kneser-Ney",
            source="Chen and Goodman 1998, TR-10-98; D2L sec_language_model",
            target=f"harness_ngram.orders:order_{order}",
            family="ngram",
            is_yardstick=order == 6,
        )
        for order in range(1, 7)
    ]
