"""Chooses the plugins of a selection: its cells, backends and baselines, the defaults, and the implementations."""

from collections.abc import Sequence

from harness.contracts.descriptors import SCRATCH, Backend, Baseline
from harness.environments import why_not
from harness.errors import EnvironmentMissing, PluginError, UsageError
from harness.machine.devices import find_gpus
from harness.plugins.registry import Registry


def choose_pairs(names: Sequence[str], implementation: str, registry: Registry) -> dict[tuple[str, str, str], str]:
    """Return each chosen cell on each chosen backend by each implementation, with why it cannot run, or nothing.

    Raises: PluginError for an unknown name; EnvironmentMissing where no backend was named and none can run; UsageError
    where no pair has the implementation.
    """
    cells, backends = choose_plugins(names, registry)
    skips = {backend.name: why_not(backend) for backend in backends}
    pairs = {
        (cell, backend.name, each): skips[backend.name]
        for backend in backends
        for cell in cells
        for each in _implementations(registry, cell, backend.name, implementation)
    }
    if cells and not pairs:
        raise UsageError(_no_such_implementation(registry, cells, backends, implementation))
    return pairs


def choose_plugins(names: Sequence[str], registry: Registry) -> tuple[list[str], list[Backend]]:
    """Sort the selected names into cells and backends, with the defaults where one kind is not named.

    Raises: PluginError for an unknown name; EnvironmentMissing where no backend was named and none can run.
    """
    cells = [name for name in names if name in registry.cells]
    backends = [registry.backends[name] for name in names if name in registry.backends]
    baselines = choose_baselines(names, registry)
    known = registry.cells | registry.backends
    for name in names:
        if name not in known and not registry.baselines_named(name):
            families = {baseline.family: baseline for baseline in registry.baselines.values() if baseline.family}
            registry.reject_unknown(name, "cell, backend or baseline", known | registry.baselines | families)
    if baselines and not cells and not backends:
        return [], []
    if not registry.cells or not registry.backends:
        kind = "backend" if registry.cells else "cell"
        raise PluginError(f"No plugin brings a {kind}: 'harness plugins' says what is broken; reinstall rnn-harness.")
    chosen = cells or list(registry.cells), backends or [best_backend(registry)]
    for cell in chosen[0]:
        registry.reject_contested("cell", cell)
    for backend in chosen[1]:
        registry.reject_contested("backend", backend.name)
    return chosen


def choose_baselines(names: Sequence[str], registry: Registry) -> list[Baseline]:
    """Return the baselines selected, by their own names or their family's, each once."""
    chosen = {baseline.name: baseline for name in names for baseline in registry.baselines_named(name)}
    for name in chosen:
        registry.reject_contested("baseline", name)
    return list(chosen.values())


def best_backend(registry: Registry) -> Backend:
    """Return the backend with the largest preference among those that can run here, on a GPU where there is one.

    Raises: EnvironmentMissing.
    """
    has_gpu = bool(find_gpus())
    by_preference = sorted(registry.backends.values(), key=lambda b: (not (has_gpu and b.uses_gpus), -b.preference))
    reasons = [why_not(backend) for backend in by_preference]
    for backend, reason in zip(by_preference, reasons, strict=True):
        if not reason:
            return backend
    raise EnvironmentMissing(f"No backend can run here. {' '.join(reasons)}")


def _implementations(registry: Registry, cell: str, backend: str, wanted: str) -> list[str]:
    names = registry.implementation_names(cell, backend)
    if wanted == "all":
        return names
    if wanted == "auto":
        return names[:1]
    return [name for name in names if name == wanted]


def _no_such_implementation(registry: Registry, cells: list[str], backends: list[Backend], wanted: str) -> str:
    names = sorted({n for cell in cells for b in backends for n in registry.implementation_names(cell, b.name)})
    return (
        f"No selected cell has an implementation {wanted!r} on {', '.join(b.name for b in backends)}: "
        f"--implementation takes auto, all, or one of {', '.join(names or [SCRATCH])}."
    )
