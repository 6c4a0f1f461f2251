"""Baselines that are no distribution: each is caught by the check meant for it, with its sentence."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from built_in import built_in

from harness.worker.baseline_checks import problem_of

TINY = Path(__file__).parents[1] / "tiny_plugins"


@pytest.fixture(autouse=True)
def tiny_plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(TINY))
    yield
    sys.modules.pop("cheating_baselines", None)


@pytest.mark.parametrize("name", sorted(built_in().baselines))
def test_every_built_in_baseline_passes(name: str) -> None:
    assert problem_of(built_in().baselines[name].target) == ""


def test_an_honest_one_passes_that_says_nothing_of_single_tokens() -> None:
    assert problem_of("cheating_baselines:Unigram") == ""


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("Generous", "its probabilities sum to more than one: a text drawn from a known source takes it"),
        ("Silent", "evaluate gives a loss of nan on the training text"),
        ("TwoFaced", "the probabilities it is evaluated by sum to 1.02 on average"),
        ("Missing", "it cannot be fitted"),
    ],
)
def test_what_is_no_distribution_is_caught(kind: str, sentence: str) -> None:
    assert sentence in problem_of(f"cheating_baselines:{kind}")


def test_the_least_excess_that_is_seen_is_a_few_percent_of_a_good_model() -> None:
    assert "sum to more than one" in problem_of("cheating_baselines:Flattering")
