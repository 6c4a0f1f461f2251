"""The `harness env` commands."""

from pathlib import Path
from typing import Any

import click

from harness.cli.options import plugins_dir, say


@click.group()
def env() -> None:
    """Build, check and remove the isolated environments of backends."""


_backend_names = click.argument("backends", metavar="[BACKEND]...", nargs=-1)


@env.command("list")
@plugins_dir
def env_list(plugins_dir: Path | None) -> None:
    """List each backend's interpreter, or the command that makes one."""
    from harness.environments import listing
    from harness.machine.terminal import lines_console
    from harness.plugins import registry

    lines_console(width=240).print(listing.environments(registry.load(plugins_dir)))


@env.command("create")
@_backend_names
@plugins_dir
def env_create(backends: tuple[str, ...], plugins_dir: Path | None) -> None:
    """Build the environments of BACKENDs, or of all that have no interpreter here."""
    from harness.environments import building, interpreter_for
    from harness.environments.progress import installing
    from harness.machine.terminal import Terminal
    from harness.plugins import registry

    console = Terminal()
    registered = registry.load(plugins_dir)
    for name in backends or _without_interpreter(registered):
        with installing(console, name) as say:
            building.create(registered.backend(name), registered, say)
        console.print(f"{name}: {interpreter_for(registered.backend(name)).python}", highlight=False, soft_wrap=True)


@env.command("check")
@_backend_names
@plugins_dir
def env_check(backends: tuple[str, ...], plugins_dir: Path | None) -> None:
    """Import each BACKEND's framework and run a small model; exit 1 where one is not well."""
    from harness.environments import health, interpreter_for
    from harness.plugins import registry

    registered = registry.load(plugins_dir)
    chosen = backends or tuple(name for name in registered.backends if name not in _without_interpreter(registered))
    sick = False
    for name in chosen:
        backend = registered.backend(name)
        problem = health.problem(backend, interpreter_for(backend), registered)
        say(f"{name}: {problem or 'well'}")
        sick = sick or bool(problem)
    raise SystemExit(1 if sick else 0)


@env.command("remove")
@click.argument("backends", metavar="BACKEND...", nargs=-1, required=True)
@plugins_dir
def env_remove(backends: tuple[str, ...], plugins_dir: Path | None) -> None:
    """Delete the built environments of BACKENDs."""
    from harness.environments import building
    from harness.plugins import registry

    registered = registry.load(plugins_dir)
    for name in backends:
        removed = building.remove(registered.backend(name), say)
        say(f"{name}: {'removed' if removed else 'there was none'}")


def _without_interpreter(registered: Any) -> list[str]:
    from harness.environments import why_not

    return [name for name, backend in registered.backends.items() if why_not(backend)]
