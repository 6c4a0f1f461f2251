"""Certified trials that end apart on two backends are explained; those that do not, or have other reasons, are not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from invented_runs import finish, trial

from harness.analysis.frames import read_run
from harness.analysis.one_text import compare
from harness.record.parity import Certificate
from harness.report.parted import explain_parted

CERTIFICATE = Certificate(parity_certified=True, parity_max_rel_diff=1e-6, parity_steps=5)


@pytest.fixture
def explained(build_run: Callable[..., Path]) -> Callable[..., str]:
    def explain(*finished: tuple[Any, float]) -> str:
        def record(ledger: Any) -> None:
            for each, perplexity in finished:
                finish(ledger, each, (perplexity,))
                ledger.certified(each.trial_id, CERTIFICATE)

        (comparison,) = compare(read_run(build_run([each for each, _ in finished], record)))
        return explain_parted(comparison)

    return explain


def test_trials_that_began_alike_and_ended_apart_are_named_with_both_figures(explained: Callable[..., str]) -> None:
    numpy, torch = (trial("gru", backend=backend, learning_rate=2.0) for backend in ("numpy", "torch"))
    said = explained((numpy, 10.88), (torch, 12.23))
    assert (
        "gru with 1 layer, seed 0 and learning rate 2 ends at 10.880 on numpy (scratch) against 12.230 on torch" in said
    )
    assert "the first 5 steps" in said
    assert "chaotic" in said


@pytest.mark.parametrize(
    ("changes", "perplexity"),
    [({}, 10.9), ({"seed": 1}, 12.23), ({"dropout": 0.5}, 12.23), ({"num_hiddens": 64}, 12.23)],
)
def test_rounding_alone_or_trials_that_differ_in_more_are_no_chaos(
    changes: dict[str, Any], perplexity: float, explained: Callable[..., str]
) -> None:
    alike = {"dropout": changes["dropout"]} if "dropout" in changes else {}
    assert explained((trial(backend="numpy", **alike), 10.88), (trial(backend="torch", **changes), perplexity)) == ""
