import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from built_in import built_in

from harness.contracts.executors import Gpu
from harness.contracts.optimization import OPTIMIZERS
from harness.errors import EnvironmentMissing, PluginError, UsageError
from harness.grid import choosing
from harness.grid import plan as planning
from harness.grid.plan import Plan
from harness.grid.selection import select
from harness.plugins import registry
from harness.plugins.registry import Registry
from harness.texts.reading import read_corpora
from harness.texts.selection import TextSelection
from harness.texts.tokenised import TokenisedCorpus
from harness_native.plugin import harness_implementations

PluginFolder = Callable[..., Path]
TINY = {"plugins": "rnn,numpy", "hiddens": 8, "steps": 5, "batch-size": 4}


OWN_LAYERS = [one.name for one in reversed(harness_implementations()) if one.cell == "gru"] + ["fused"]
"""Of the GRU on the numpy backend, the preferred first: compiled ones only where there is a compiler."""


@pytest.fixture
def corpora(here: Path) -> Sequence[TokenisedCorpus]:
    return read_corpora(TextSelection(corpora=("text.txt",)), built_in(), print)


@pytest.fixture
def expand(corpora: Sequence[TokenisedCorpus]) -> Callable[..., Plan]:
    def expand(loaded: Registry | None = None, **changes: Any) -> Plan:
        return planning.plan_trials(select(TINY | changes)[0], loaded or built_in(), corpora)

    return expand


def test_the_grid_is_the_product_of_the_axes_in_their_order(expand: Callable[..., Plan]) -> None:
    plan = expand(plugins=("gru", "lstm", "numpy"), layers=(3, 2), seeds=(3, 7), dropout=(0.0, 0.5))
    found = [(t.trial.cell, t.trial.num_layers, t.trial.dropout, t.trial.seed) for t in plan.trials]
    assert found == [
        (cell, layers, dropout, seed)
        for cell in ("gru", "lstm")
        for layers in (3, 2)
        for dropout in (0.0, 0.5)
        for seed in (3, 7)
    ]
    assert len({t.trial.trial_id for t in plan.trials}) == len(plan.trials)
    assert not plan.skips


def test_no_cell_is_every_cell_and_no_backend_the_best_that_can_run(corpora: Sequence[TokenisedCorpus]) -> None:
    plan = planning.plan_trials(replace(select(TINY)[0], plugins=()), built_in(), corpora)
    assert {t.trial.cell for t in plan.trials} == set(built_in().cells)
    assert {t.trial.backend for t in plan.trials} == {choosing.best_backend(built_in()).name}


@pytest.mark.parametrize(("preference", "best"), [(11, "telling"), (9, "numpy")])
def test_the_best_backend_is_the_preferred_one_that_can_run(
    plugin_folder: PluginFolder, preference: int, best: str
) -> None:
    loaded = registry.load(plugin_folder("needy", "telling"))
    preferences = {"needy": 1000, "telling": preference, "numpy": 10}
    loaded.backends = {name: replace(loaded.backends[name], preference=p) for name, p in preferences.items()}
    assert choosing.best_backend(loaded).name == best


def test_on_a_gpu_the_best_backend_is_one_that_uses_it(
    plugin_folder: PluginFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = registry.load(plugin_folder("telling"))
    loaded.backends = {name: loaded.backends[name] for name in ("numpy", "telling", "telling-gpu")}
    assert choosing.best_backend(loaded).name == "numpy"
    monkeypatch.setattr(choosing, "find_gpus", lambda: [Gpu(index=0, name="Pretended", memory_bytes=1 << 34)])
    assert choosing.best_backend(loaded).name == "telling-gpu"


def test_where_no_backend_can_run_every_reason_is_given(plugin_folder: PluginFolder) -> None:
    loaded = registry.load(plugin_folder("needy"))
    loaded.backends = {name: loaded.backends[name] for name in ("needy", "ancient")}
    with pytest.raises(EnvironmentMissing, match=r"No backend can run here\. .*no-such-library.*Python <3"):
        choosing.best_backend(loaded)


def test_a_backend_that_cannot_run_is_skipped_with_what_mends_it(
    expand: Callable[..., Plan], plugin_folder: PluginFolder
) -> None:
    plan = expand(registry.load(plugin_folder("needy")), plugins=("rnn", "needy", "numpy"), layers=(1, 2))
    ((reason, count),) = plan.skips.items()
    assert reason.startswith("The needy backend needs no-such-library>=1: pip install 'no-such-library>=1'")
    assert count == 2
    assert [trial.backend for trial in plan.runnable] == ["numpy", "numpy"]


def test_auto_is_the_backend_s_own_layers_where_it_has_them(expand: Callable[..., Plan]) -> None:
    plan = expand(plugins=("gru", "gru-textbook", "numpy"))
    implementations = {t.trial.cell: t.trial.implementation for t in plan.trials}
    assert implementations == {"gru": OWN_LAYERS[0], "gru-textbook": "scratch"}


def test_all_is_each_implementation_and_a_name_is_that_one(expand: Callable[..., Plan]) -> None:
    plan = expand(plugins=("gru", "gru-textbook", "numpy"), implementation="all")
    pairs = [(t.trial.cell, t.trial.implementation) for t in plan.trials]
    assert pairs == [*(("gru", own) for own in OWN_LAYERS), ("gru", "scratch"), ("gru-textbook", "scratch")]
    plan = expand(plugins=("gru", "gru-textbook", "numpy"), implementation="fused")
    assert [(t.trial.cell, t.trial.implementation) for t in plan.trials] == [("gru", "fused")]


def test_an_implementation_that_no_pair_has_is_told_with_those_there_are(expand: Callable[..., Plan]) -> None:
    with pytest.raises(
        UsageError, match=r"implementation 'fuzed' on numpy: .* auto, all, or one of (fused, )(native, )?scratch"
    ):
        expand(implementation="fuzed")


def test_each_optimizer_has_its_own_default_rate(expand: Callable[..., Plan]) -> None:
    plan = expand(optimizer=("sgd", "adam"))
    rates = [(t.trial.optimizer, t.trial.learning_rate) for t in plan.trials]
    assert rates == [(name, OPTIMIZERS[name].learning_rate) for name in ("sgd", "adam")]
    assert {t.trial.learning_rate for t in expand(optimizer=("sgd", "adam"), lr=(0.5,)).trials} == {0.5}


def test_two_budgets_beyond_the_text_are_one_trial(here: Path) -> None:
    texts = TextSelection(corpora=("text.txt",), train_tokens=(None, 10_000_000, 9_000_000, 1000))
    corpora = read_corpora(texts, built_in(), print)
    plan = planning.plan_trials(select(TINY)[0], built_in(), corpora)
    assert len(plan.trials) == 2


def test_an_unknown_name_is_a_plugin_error(expand: Callable[..., Plan]) -> None:
    with pytest.raises(PluginError, match=r"no cell, backend or baseline 'numpi'\. Did you mean 'numpy'\?"):
        expand(plugins=("rnn", "numpi"))


def test_a_slip_that_makes_a_huge_grid_is_told_and_not_built(
    expand: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="makes 99,980,001 trials, and one run takes at most 100,000"):
        expand(layers=tuple(range(1, 10_000)), seeds=tuple(range(9_999)))
    monkeypatch.setattr(planning, "MAX_TRIALS", 4)
    assert len(expand(seeds=(0, 1, 2, 3)).trials) == 4
    with pytest.raises(UsageError, match="makes 5 trials"):
        expand(seeds=(0, 1, 2, 3, 4))


def test_the_digest_is_of_the_trials_and_not_of_their_order(expand: Callable[..., Plan]) -> None:
    assert expand(layers=(1, 2)).digest == expand(layers=(2, 1)).digest
    assert expand(layers=(1, 2)).digest != expand(layers=(1, 3)).digest
    assert expand(seeds=(0,)).digest != expand(seeds=(1,)).digest


def test_the_slug_names_cells_depths_backends_and_corpora(expand: Callable[..., Plan]) -> None:
    assert expand(plugins=("lstm", "gru", "numpy"), layers=(1, 2, 4)).slug == "lstm+gru_1-4-layers_numpy_text.txt"
    assert expand().slug == "rnn_1-layers_numpy_text.txt"


def test_a_slug_is_a_plain_file_name_whatever_the_corpus_is_called(
    expand: Callable[..., Plan], corpora: list[TokenisedCorpus]
) -> None:
    corpora[0] = replace(corpora[0], name="../Ça va/\n?.txt")
    assert expand().slug == "rnn_1-layers_numpy_a-va---.txt"
    corpora[0] = replace(corpora[0], name="../..")
    assert expand().slug == "rnn_1-layers_numpy_text"


@pytest.mark.slow
def test_ten_thousand_trials_are_planned_in_seconds(expand: Callable[..., Plan]) -> None:
    since = time.process_time()
    plan = expand(plugins=("lstm", "gru", "numpy"), layers=(1, 2, 3, 4, 5), hiddens=(8, 16), seeds=tuple(range(500)))
    seconds = time.process_time() - since
    assert len(plan.trials) == 10_000
    # Less than a second; a pass that is quadratic in the trials takes a minute.
    assert seconds < 3
