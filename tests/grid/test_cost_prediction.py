import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.grid.cost import START_SECONDS, Prediction, flops_per_token, predict

Prepare = Callable[..., Any]


def test_flops_are_six_for_each_weight_used_and_none_for_the_one_hot_product(prepare: Prepare) -> None:
    prepared = prepare("rnn,lstm,gru,numpy", layers=(1, 2))
    trials = {(trial.cell, trial.num_layers): trial for trial in prepared.plan.runnable}
    vocabulary = trials["rnn", 1].vocab_size
    for cell, gates in (("rnn", 1), ("gru", 3), ("lstm", 4)):
        one, two = (flops_per_token(trials[cell, layers], prepared.registry) for layers in (1, 2))
        assert one == 6 * (gates * 8 * 8 + vocabulary * 8)
        assert two - one == 6 * 2 * gates * 8 * 8


def test_a_larger_trial_is_predicted_to_take_longer(prepare: Prepare) -> None:
    prepared = prepare("lstm,numpy", hiddens=(64,), layers=(1, 4), epochs=2)
    short, long = prepared.prediction.trial_seconds
    assert START_SECONDS < short < long
    (longer,) = prepare("lstm,numpy", hiddens=(64,), layers=(4,), epochs=200).prediction.trial_seconds
    assert longer - START_SECONDS > 20 * (long - START_SECONDS)


def test_a_run_lasts_as_long_as_its_fullest_slot() -> None:
    prediction = Prediction((5.0, 1.0, 2.0, 2.0))
    assert prediction.wall_seconds(1) == 10.0
    assert prediction.wall_seconds(2) == 5.0
    assert prediction.wall_seconds(100) == 5.0
    assert Prediction(()).wall_seconds(2) == 0.0


@pytest.mark.slow
def test_a_model_far_too_large_is_predicted_without_its_memory(prepare: Prepare) -> None:
    (seconds,) = prepare("lstm,numpy", hiddens=(10_000_000,)).prediction.trial_seconds
    assert seconds > 1e6


@pytest.mark.parametrize("equations", ["import no_such_framework", "import sys; sys.exit(3)", "pass"])
def test_a_cell_that_cannot_be_loaded_is_predicted_all_the_same(
    prepare: Prepare, here: Path, monkeypatch: pytest.MonkeyPatch, equations: str
) -> None:
    prepared = prepare("tiny,numpy", "tiny_cell")
    (here / "heavy_equations.py").write_text(equations)
    monkeypatch.syspath_prepend(str(here))
    monkeypatch.delitem(sys.modules, "heavy_equations", raising=False)
    cells = prepared.registry.cells
    cells["tiny"] = replace(cells["tiny"], equations="heavy_equations")
    assert predict(prepared.plan.runnable, prepared.registry, prepared.corpora).trial_seconds[0] >= START_SECONDS
