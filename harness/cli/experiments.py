"""Experiments on the command line: a file or a preset gives `harness run` its defaults, and a run is written as one."""

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from harness.contracts.visible import visible
from harness.errors import UsageError, did_you_mean
from harness.grid import parsing

_ELSEWHERE = frozenset(
    (
        *("out", "devices", "jobs", "per_device", "executor", "timing", "num_sessions", "timeout", "stall_timeout"),
        *("dry_run", "trust", "anew", "plugins_dir", "corpora_dir", "preset", "help"),
    )
)
"""Parameters that say where and how a run goes, and decide none of its figures."""
_META = "harness.experiment"


def _use_file(ctx: click.Context, _: click.Parameter, path: str | None) -> None:
    if path is not None:
        from harness.grid import experiments

        _use(ctx, experiments.read(Path(path)), path)


def _use_preset(ctx: click.Context, _: click.Parameter, name: str | None) -> None:
    if name is not None:
        from harness.grid import experiments

        _use(ctx, experiments.preset(name), f"--preset {name}")


def _use(ctx: click.Context, experiment: Any, name: str) -> None:
    if _META in ctx.meta:
        raise UsageError("An experiment's file and --preset were both given: keep one of them.")
    ctx.meta[_META] = experiment
    # click takes them where the command line says nothing, and reads them as it reads the command line.
    ctx.default_map = {**(ctx.default_map or {}), **_defaults(ctx.command, experiment.options, name)}


experiment_file = click.argument(
    "experiment", metavar="[EXPERIMENT]", required=False, is_eager=True, expose_value=False, callback=_use_file
)
preset = click.option(
    "--preset",
    is_eager=True,
    expose_value=False,
    callback=_use_preset,
    help="A published protocol, as 'harness presets list' names it; other options win.",
)


def _defaults(command: click.Command, options: Any, name: str) -> dict[str, str]:
    known = {option: parameter.name for option, parameter in _options(command).items()}
    defaults: dict[str, str] = {}
    for option, value in options.items():
        # One seed in a list is that seed; to the option --seeds, one number is how many.
        key = "seed" if option == "seeds" and isinstance(value, list) and len(value) == 1 else option
        if key not in known:
            raise UsageError(f"{name}: [run] has no option {option!r}.{did_you_mean(option, known)}")
        values = value if isinstance(value, list) else [value]
        if not values or any(isinstance(item, bool) or not isinstance(item, (str, int, float)) for item in values):
            raise UsageError(f"{name}: {option} = {value!r} cannot be used; give a number, a text or a list of them.")
        defaults[str(known[key])] = parsing.typed(value)
    return defaults


def _options(command: click.Command) -> dict[str, click.Parameter]:
    """Return the options an experiment may set, by their names without dashes."""
    return {
        parameter.opts[-1].removeprefix("--"): parameter
        for parameter in command.params
        if isinstance(parameter, click.Option) and parameter.name not in _ELSEWHERE
    }


def current(ctx: click.Context, plugins: Sequence[str] = ()) -> Any:
    """Return the experiment the command amounts to: its file's or preset's, the command line's options put in.

    ``plugins`` are the cells and backends that were chosen where none were named.
    """
    from harness.grid.experiments import Experiment

    typed = {name for name in ctx.params if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    options = {}
    for name, parameter in _options(ctx.command).items():
        value = _plain(ctx.params.get(str(parameter.name)), is_list=name == "seeds")
        if value is not None:
            options[name] = value
    for name, other in (("single_seed", "seed"), ("seed", "single_seed")):
        if name in typed and other not in typed:
            options.pop({"seed": "seeds", "single_seed": "seed"}[other], None)
    if "seeds" not in options and "tune" not in options:
        options.setdefault("seed", 0)
    if plugins:
        options["plugins"] = list(plugins)
    read = ctx.meta.get(_META, Experiment(options={}))
    return replace(read.without(typed), options=options)


def require_consent(ctx: click.Context, corpora: Sequence[str]) -> None:
    """Ask before texts outside the current folder are read because an experiment's file names them.

    It may be someone else's, and what it trains on shows in samples. Raises: UsageError without an answer, or for no.
    """
    if ctx.get_parameter_source("corpora") is not ParameterSource.DEFAULT_MAP:
        return
    outside = [visible(str(path)) for name in corpora if (path := _outside(name)) is not None]
    if not outside:
        return
    named = f"The experiment names texts outside the current folder: {', '.join(outside)}."
    if not (sys.stdin.isatty() and click.confirm(f"{named} Read them?", err=True)):
        raise UsageError(f"{named} Where they are meant to be read, add --trust.")


def _outside(name: str) -> Path | None:
    """Return the path a corpus's name leads to, where that is outside the current folder; some books may be chosen."""
    for text in (name, name.partition(":")[0]):
        # What cannot even be looked at is not read either: who reads it says why.
        with contextlib.suppress(OSError, RuntimeError, ValueError):
            path = Path(text).expanduser()
            if path.exists() and not path.resolve().is_relative_to(Path.cwd().resolve()):
                return path.resolve()
    return None


def with_seeds(ctx: click.Context, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options with one seed or several, however they were given. Raises: UsageError."""
    for name, other in (("single_seed", "seed"), ("seed", "single_seed")):
        sources = [ctx.get_parameter_source(each) for each in (name, other)]
        # --seed of the command line wins over a file's seeds, and --seeds over its seed.
        if sources[0] is ParameterSource.COMMANDLINE and sources[1] is not ParameterSource.COMMANDLINE:
            options[other] = None
    single = options.pop("single_seed")
    if single is not None and options["seed"] is not None:
        raise UsageError("--seed and --seeds were both given: keep one of them.")
    return options | {"seed": options["seed"] or (() if single is None else (single,))}


def _plain(value: Any, *, is_list: bool) -> Any:
    """Return a parameter's value as a file holds it; None where there is none."""
    if not isinstance(value, tuple):
        return value
    items = ["all" if item is None else item if isinstance(item, (int, float)) else str(item) for item in value]
    if not items:
        return None
    return items[0] if len(items) == 1 and not is_list else items
