"""One row a setting: from it come its option, its axis, its keys in files, its column, and its words in a label."""

import csv
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from built_in import built_in
from click.testing import CliRunner

from harness.analysis.one_text import TEXT, differing_factors, label_models
from harness.cli import main
from harness.errors import UsageError
from harness.grid import experiments
from harness.grid.plan import plan_trials
from harness.grid.selection import AXES, OVERRIDABLE, Override, of_values, select
from harness.texts.reading import read_corpora
from harness.texts.selection import TextSelection
from harness.texts.tokenised import TokenisedCorpus
from harness.worker.trial import DEFAULTS, SETTINGS, Trial

SMALL = {"plugins": "gru,numpy", "hiddens": 8, "steps": 5, "batch-size": 4, "optimizer": "rmsprop", "lr-decay": 0.5}
"""Settings beside which every other one means something."""


def other(name: str) -> str:
    """Return a value as it is typed that is neither the default nor that of `SMALL`."""
    row, default = SETTINGS[name], DEFAULTS[name]
    assert row.values is not None
    known = row.values.bounds.get("known")
    if known:
        return str(known[0] if known[0] not in (default, SMALL["optimizer"]) else known[1])
    return {int: "3", float: "0.25", str: "normal:0.01"}[type(default)] if name != "seed" else "3,4"


def key(name: str) -> str:
    return SETTINGS[name].option.removeprefix("--")


@pytest.fixture
def corpora(here: Path) -> Sequence[TokenisedCorpus]:
    return read_corpora(TextSelection(corpora=("text.txt",)), built_in(), print)


@pytest.fixture
def trials(corpora: Sequence[TokenisedCorpus]) -> Callable[..., list[Trial]]:
    def trials(options: dict[str, Any], *overrides: Override) -> list[Trial]:
        selection, _ = select(options)
        values = {"plugins": selection.plugins, **selection.settings}
        return plan_trials(of_values(values, overrides)[0], built_in(), corpora).runnable

    return trials


@pytest.mark.parametrize("name", AXES)
def test_every_setting_is_an_axis(trials: Callable[..., list[Trial]], name: str) -> None:
    small = SMALL | {"layers": "2"} if name == "dropout" else SMALL  # which lies between layers
    (usual,) = trials(small)
    typed = f"{getattr(usual, name)},{other(name)}" if name != "seed" else "0,3"
    both = trials(small | {key(name): typed})
    assert [getattr(trial, name) for trial in both] == [getattr(usual, name), getattr(both[1], name)]
    assert len({trial.trial_id for trial in both}) == 2
    assert both[0].trial_id == usual.trial_id


@pytest.mark.parametrize("name", OVERRIDABLE)
def test_every_setting_can_be_overridden_in_a_file_and_the_manifest_holds_it(
    trials: Callable[..., list[Trial]], here: Path, name: str
) -> None:
    quoted = other(name) if isinstance(DEFAULTS[name], (int, float)) else f'"{other(name)}"'
    (here / "mine.toml").write_text(f'[run]\nhiddens = 8\n[[override]]\ncells = ["gru"]\n{key(name)} = {quoted}\n')
    experiment = experiments.read(here / "mine.toml")
    (changed,) = trials(SMALL, *experiment.overrides)
    (asked,) = trials(SMALL | {key(name): other(name)})
    assert changed == asked
    assert experiment.as_dict()["override"] == [{"cells": ["gru"], **tomllib.loads(f"{key(name)} = {quoted}")}]
    assert experiment.without([name]).overrides[0].settings == {}


def test_the_command_line_and_the_options_of_a_file_are_read_alike(
    trials: Callable[..., list[Trial]], here: Path
) -> None:
    options = SMALL | {key(name): other(name) for name in OVERRIDABLE} | {"plugins": "gru,numpy", "seeds": [3, 7]}
    words = [word for name, value in options.items() for word in (f"--{name}", str(value).strip("[]").replace(" ", ""))]
    result = CliRunner().invoke(main, ["run", *words, "--corpus", "text.txt", "--dry-run"])
    assert result.exit_code == 0, result.output
    printed = [line.split()[0] for line in result.output.splitlines() if ", seed " in line]
    assert printed == [trial.trial_id for trial in trials(options)]
    assert len(printed) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": 1}, "The exercise mine asks for an option 'layer'. Did you mean 'layers'?"),
        ({"layers": [0, 1]}, "--layers '0,1' begins below 1"),
        ({"optimizer": "adm"}, "There is no optimizer 'adm'. Did you mean 'adam'?"),
        ({"train-tokens": "many"}, "--train-tokens 'many' cannot be used"),
        ({"mix": "equal,proportional"}, "--mix 'equal,proportional' is several values: give one."),
        ({"dropout": 1}, "--dropout '1' cannot be used: give numbers from 0 and below 1, as in 0.003 or 1e-4."),
    ],
)
def test_options_are_checked_as_the_command_line_checks_them(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        select(options, "The exercise mine")
    assert message in str(raised.value)


def test_a_setting_that_means_nothing_beside_the_others_makes_no_trials(trials: Callable[..., list[Trial]]) -> None:
    grid = trials(SMALL | {"optimizer": "adam,rmsprop", "rmsprop-decay": "0.9,0.95"})
    assert [(trial.optimizer, trial.rmsprop_decay) for trial in grid] == [
        ("adam", 0.99), ("rmsprop", 0.9), ("rmsprop", 0.95),
    ]  # fmt: skip
    grid = trials(SMALL | {"lr-decay": "1,0.5", "lr-decay-after": "1,2"})
    assert [(trial.lr_decay, trial.lr_decay_after) for trial in grid] == [(1, 0), (0.5, 1), (0.5, 2)]


def test_a_rate_that_is_not_given_is_the_overridden_optimizer_s_own(trials: Callable[..., list[Trial]]) -> None:
    (trial,) = trials(SMALL, Override(cells=("gru",), settings={"optimizer": "sgd"}))
    assert (trial.optimizer, trial.learning_rate) == ("sgd", 1.0)


@pytest.mark.parametrize("name", [name for name in SETTINGS if name not in (*TEXT, "vocab_size")])
def test_two_trials_that_differ_in_a_setting_are_never_labelled_alike(name: str) -> None:
    text = {"corpus": "tiny", "authors": "all", "text": "raw", "tokens": "char", "train_tokens": 100}
    model = {
        "cell": "gru",
        "backend": "numpy",
        "implementation": "fused",
        "vocab_size": 9,
        "corpus_digest": "abcdefghi",
    }
    usual = asdict(Trial(**text, **model))  # type: ignore[arg-type]
    near = {int: 10_000_001, float: 0.123456789, str: "one way"}[type(usual[name])]
    pairs = [
        (usual[name], near),
        (near, near[:-1] if isinstance(near, str) else near * (1 + 1e-9) + (type(near) is int)),
    ]
    for values in pairs:
        frame = pd.DataFrame([usual | {name: value} for value in values])
        assert label_models(frame, list(differing_factors(frame))).nunique() == 2, values


@pytest.mark.slow
def test_two_commands_into_one_folder_that_differ_in_a_setting_are_told_apart_on_the_page(
    harness: Callable[..., Any], here: Path
) -> None:
    small = ("--plugins", "rnn,numpy", "--hiddens", "4", "--steps", "5", "--batch-size", "4", "--epochs", "1")
    for decay in ("0.9", "0.95"):
        command = ("run", *small, "--corpus", "text.txt", "--optimizer", "rmsprop", "--rmsprop-decay", decay)
        assert harness(*command, "--timing", "off", "--out", "out").returncode == 0
    page = (here / "out/index.html").read_text()
    assert "RMSprop decay 0.9" in page
    assert "RMSprop decay 0.95" in page
    rows = list(csv.DictReader((here / "out/summary.csv").open()))
    assert [row["rmsprop_decay"] for row in rows] == ["0.9", "0.95"]


ON_LITTLE_TEXT = ("--corpus", "text.txt", "--steps", "5", "--batch-size", "4")


def test_the_plan_that_is_printed_says_in_which_settings_its_trials_differ(harness: Callable[..., Any]) -> None:
    asked = ("--optimizer", "rmsprop", "--rmsprop-decay", "0.9,0.99", "--init", "uniform,normal:0.05")
    done = harness("run", "--plugins", "rnn,numpy", *ON_LITTLE_TEXT, *asked, "--dry-run")
    lines = [line.partition("  ")[2] for line in done.stdout.splitlines() if line.startswith("rnn-")]
    assert len(lines) == len(set(lines)) == 4


def test_a_setting_that_means_nothing_beside_the_others_is_said(harness: Callable[..., Any]) -> None:
    done = harness("run", "--plugins", "rnn,numpy", *ON_LITTLE_TEXT, "--rmsprop-decay", "0.9", "--dry-run")
    assert "--rmsprop-decay means nothing" in done.stdout
    used = ("--optimizer", "adam,rmsprop", "--rmsprop-decay", "0.9")
    assert "means nothing" not in harness("run", "--plugins", "rnn,numpy", *ON_LITTLE_TEXT, *used, "--dry-run").stdout


def test_dropout_between_layers_makes_no_second_model_of_one_layer(harness: Callable[..., Any]) -> None:
    options = ("run", "--plugins", "rnn,numpy", *ON_LITTLE_TEXT, "--layers", "1,2", "--dry-run")
    done = harness(*options, "--dropout", "0,0.5")
    assert sum(line.startswith("rnn-1-") for line in done.stdout.splitlines()) == 1
    assert sum(line.startswith("rnn-2-") for line in done.stdout.splitlines()) == 2
    assert "--dropout changes nothing in 1 of 3 trials" in done.stdout
    assert "--dropout" not in harness(*options).stdout
