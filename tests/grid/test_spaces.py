"""What is tuned: the points of a space, equal for all models, and what of a command line makes no sense."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from built_in import built_in

from harness.contracts.settings import Range
from harness.errors import UsageError
from harness.grid import edges
from harness.grid.edges import widened
from harness.grid.plan import Plan, idle_settings, join_plans, plan_trials
from harness.grid.selection import select
from harness.grid.tuning import NUISANCES, SEARCH_SEED, shares
from harness.texts.reading import read_corpora
from harness.texts.selection import TextSelection
from harness.texts.tokenised import TokenisedCorpus

TINY = {"plugins": "rnn,gru,numpy", "hiddens": 8, "steps": 5, "batch-size": 4}


@pytest.fixture
def corpora(here: Path) -> Sequence[TokenisedCorpus]:
    return read_corpora(TextSelection(corpora=("text.txt",)), built_in(), print)


@pytest.fixture
def expand(corpora: Sequence[TokenisedCorpus]) -> Callable[..., Plan]:
    def expand(**options: Any) -> Plan:
        named = {name.replace("_", "-"): value for name, value in options.items()}
        return plan_trials(select(TINY | named)[0], built_in(), corpora)

    return expand


def rates(plan: Plan, place: int = 0) -> list[float]:
    return [trial.learning_rate for trial in plan.searches[place].trials]


def test_every_model_gets_the_same_points_under_one_seed(expand: Callable[..., Plan]) -> None:
    plan = expand(tune=6, layers=(1, 2))
    assert len(plan.searches) == 4
    assert len(plan.trials) == 24
    assert {tuple(rates(plan, place)) for place in range(4)} == {tuple(rates(plan))}
    assert {planned.trial.seed for planned in plan.trials} == {SEARCH_SEED}
    assert all(0.0003 <= rate <= 0.1 and rate == float(f"{rate:.3g}") for rate in rates(plan))


def test_more_points_begin_with_the_fewer_ones_and_are_the_same_run(expand: Callable[..., Plan]) -> None:
    fewer, more, wider = expand(tune=4), expand(tune=9), expand(tune=4, tune_over="lr=0.0001:1")
    assert rates(more)[:4] == rates(fewer)
    assert {plan.digest for plan in (fewer, more, wider)} == {fewer.digest}
    assert fewer.digest != expand(tune=4, tune_over="lr,clip").digest
    assert rates(wider) != rates(fewer)


def test_the_points_fill_the_cube_evenly_and_are_the_same_tomorrow() -> None:
    assert [round(share, 6) for (share,) in shares(4, 1)] == [0.952049, 0.452049, 0.702049, 0.202049]
    for column in np.array(shares(16, 3)).T[:1]:
        assert sorted((column * 16).astype(int)) == list(range(16))


def test_the_best_is_trained_again_under_five_seeds_or_those_asked_for(expand: Callable[..., Plan]) -> None:
    search = expand(tune=2).searches[0]
    finals = search.finals(search.trials[1])
    assert [trial.seed for trial in finals] == [0, 1, 2, 3, 4]
    assert {trial.learning_rate for trial in finals} == {search.trials[1].learning_rate}
    assert expand(tune=2, seeds=(7, 9)).searches[0].seeds == (7, 9)


def test_what_searches_will_find_is_part_of_the_expected_cost(expand: Callable[..., Plan]) -> None:
    plan = expand(tune=3, seeds=2, plugins="rnn,numpy,ngram-2")
    assert len(plan.runnable) == 4
    assert [trial.cell for trial in plan.results] == ["ngram-2"]
    assert len(plan.expected) == 6


@pytest.mark.parametrize("name", NUISANCES)
def test_every_nuisance_can_be_tuned_and_has_values_its_option_takes(expand: Callable[..., Plan], name: str) -> None:
    option = NUISANCES[name].option.removeprefix("--")
    plan = expand(tune=4, tune_over=option, optimizer="rmsprop", plugins="rnn,numpy", layers=2)
    values = [getattr(trial, name) for trial in plan.searches[0].trials]
    assert len(set(values)) == 4
    assert plan_trials_of(expand, option, values) == values


def plan_trials_of(expand: Callable[..., Plan], option: str, values: Sequence[Any]) -> list[Any]:
    grid = expand(**{option: tuple(values)}, optimizer="rmsprop", plugins="rnn,numpy", layers=2)
    (name,) = (name for name, row in NUISANCES.items() if row.option == f"--{option}")
    return [getattr(planned.trial, name) for planned in grid.trials]


def test_each_optimizer_is_searched_where_it_learns(expand: Callable[..., Plan]) -> None:
    plan = expand(tune=3, optimizer="sgd,adam", plugins="rnn,numpy")
    assert max(rates(plan, 1)) < 0.1 <= min(rates(plan, 0))
    same = expand(tune=3, optimizer="sgd,adam", plugins="rnn,numpy", tune_over="lr=0.01:1")
    assert rates(same, 0) == rates(same, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": "0.1,1"}, "--lr has several values and is tuned: leave --lr out"),
        ({"tune-over": "hiddens"}, "There is no tune-over 'hiddens'"),
        ({"tune-over": "lr=1:0.1"}, "give a range as its lowest and highest value"),
        ({"tune-over": "lr=0:1"}, "above 0"),
        ({"tune-over": "lr=-1:1"}, "give a range as its lowest and highest value"),
        ({"tune-over": "lr=0.1:1_0"}, "give a range as its lowest and highest value"),
        ({"tune-over": "lr=0.1:inf"}, "give a range as its lowest and highest value"),
        ({"tune-over": "dropout=0:1.5"}, "--tune-over dropout=0:1.5: '1.5' cannot be used"),
        ({"tune-over": "lr,lr=0.1:1"}, "names a setting twice"),
        ({"tune": "0"}, "--tune '0' begins below 1"),
        ({"tune": "8,9"}, "--tune '8,9' cannot be read: give one whole number"),
        ({"seeds": [SEARCH_SEED]}, "is that of every search"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        select(TINY | {"tune": 4} | options)
    assert message in str(raised.value)


def test_what_is_to_be_tuned_needs_a_number_of_points() -> None:
    with pytest.raises(UsageError, match="--tune-over names what --tune tunes: add the number of points"):
        select(TINY | {"tune-over": "lr=0.01:1"})


def test_a_value_of_what_is_tuned_is_left_aside_and_that_is_said(expand: Callable[..., Plan]) -> None:
    selection, _ = select(TINY | {"tune": 2, "lr": 0.25})
    (remark,) = idle_settings(selection, expand(tune=2))
    assert remark == "--lr is tuned, and what was asked for is left aside: learning rate 0.25."


def test_a_setting_that_means_nothing_is_not_tuned(expand: Callable[..., Plan]) -> None:
    with pytest.raises(UsageError, match="--tune-over rmsprop-decay means nothing beside the other settings"):
        expand(tune=4, tune_over="lr,rmsprop-decay")


def test_two_plans_of_one_model_are_its_larger_search_under_all_seeds(expand: Callable[..., Plan]) -> None:
    both = join_plans([expand(tune=2, seeds=(0, 1)), expand(tune=4, seeds=(0, 5)), expand(layers=2, seeds=1)])
    assert [len(search.trials) for search in both.searches] == [4, 4]
    assert both.searches[0].seeds == (0, 1, 5)
    assert [(trial.num_layers, trial.seed) for trial in both.results] == [(2, 0), (2, 0)]


def test_two_searches_that_a_larger_one_of_another_space_takes_in_are_gone(expand: Callable[..., Plan]) -> None:
    wider = expand(tune=4, tune_over="lr=0.0001:1")
    both = join_plans([expand(tune=2), expand(tune=2, seeds=7), wider])
    assert [planned.trial for planned in both.trials] == [planned.trial for planned in wider.trials]


# --- the edge of a space ----------------------------------------------------------------------------------


def edge_of(losses: Sequence[float], rates: Sequence[float] | None = None) -> str:
    rates = rates or [0.001 * 2**place for place in range(len(losses))]
    space = {"learning_rate": Range(low=0.001, high=0.1)}
    return widened({"learning_rate": rates}, losses, int(np.argmin(losses)), space)


def test_a_best_point_at_an_end_is_at_the_edge_and_the_option_that_widens_it_is_named() -> None:
    assert edge_of([3.2, 3.0, 2.9, 2.7, 2.5, 2.4, 2.3, 2.2]) == "widen it by --tune-over lr=0.001:1"
    assert edge_of([2.2, 2.3, 2.4, 2.5, 2.7, 2.9, 3.0, 3.2]) == "widen it by --tune-over lr=0.0001:0.1"


def test_of_few_points_no_edge_is_told() -> None:
    assert edge_of([3.0, 2.9, 2.7, 2.5, 2.4, 2.3, 2.2]) == ""


@pytest.mark.parametrize("num_points", [3, 4, 5, 6, 7])
def test_of_few_points_an_optimum_within_would_often_be_called_an_edge(
    num_points: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edges, "FEWEST_POINTS", 2)
    generator = np.random.default_rng(3)
    within = [simulated(optimum, generator, num_points, 1) for optimum in np.linspace(0.15, 0.85, 200)]
    assert 0.2 < np.mean([bool(edge) for edge in within]) < 0.6


def test_a_neighbour_that_is_no_clear_worse_shows_no_optimum_behind_it() -> None:
    assert edge_of([3.2, 3.0, 2.9, 2.7, 2.5, 2.4, 2.2, 2.205]) == "widen it by --tune-over lr=0.001:1"
    assert edge_of([3.2, 3.0, 2.9, 2.7, 2.5, 2.4, 2.2, 2.3]) == ""


def test_a_point_that_diverged_is_worse() -> None:
    assert edge_of([3.2, 3.0, 2.9, 2.7, 2.5, 2.4, 2.2, np.inf]) == ""


def test_no_space_is_widened_to_where_a_setting_has_no_values() -> None:
    dropouts = [0.0, 0.07, 0.14, 0.21, 0.28, 0.35, 0.42, 0.5]
    falling = [2.7, 2.6, 2.5, 2.4, 2.3, 2.2, 2.1, 2.0]
    space = {"dropout": Range(low=0.0, high=0.5, scale="linear")}
    assert widened({"dropout": dropouts}, falling[::-1], 0, space) == ""
    wider = widened({"dropout": dropouts}, falling, 7, space)
    assert wider == "widen it by --tune-over dropout=0:0.75"


def simulated(optimum: float, generator: np.random.Generator, num_points: int, num_settings: int) -> str:
    """Return what is said of a search whose loss is a parabola of its first setting, 1 nat over the whole space."""
    names = ["learning_rate", "grad_clip", "dropout"][:num_settings]
    points = np.array(shares(num_points, num_settings))
    losses = (points[:, 0] - optimum) ** 2 + generator.normal(0, 0.005, num_points)
    space = {name: Range(low=0.01, high=0.5) for name in names}
    values = {name: (0.01 * 50 ** points[:, place]).tolist() for place, name in enumerate(names)}
    return widened(values, losses.tolist(), int(np.argmin(losses)), space)


@pytest.mark.parametrize("num_settings", [1, 3])
@pytest.mark.parametrize("num_points", [8, 16, 32])
def test_in_simulation_edges_are_found_and_optima_within_are_left_alone(num_points: int, num_settings: int) -> None:
    generator = np.random.default_rng(3)
    within = [simulated(optimum, generator, num_points, num_settings) for optimum in np.linspace(0.15, 0.85, 200)]
    outside = [
        simulated(optimum, generator, num_points, num_settings)
        for optimum in (*np.linspace(-0.6, -0.1, 100), *np.linspace(1.1, 1.6, 100))
    ]
    assert np.mean([bool(edge) for edge in within]) < 0.15
    assert np.mean(["lr=" in edge for edge in outside]) > 0.9
