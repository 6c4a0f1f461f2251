"""Which code makes a trial's losses: the revision of its cell, backend and implementation, or of its baseline."""

from collections.abc import Iterable

from harness.errors import PluginError
from harness.plugins.registry import Registry
from harness.plugins.source import Sources
from harness.worker.trial import Trial

_Subject = tuple[str, str, str]


class Revisions:
    """The revisions of a run's trials, as they are when each is first asked for.

    A run is of one revision of everything: what is edited while it goes on is noticed, and not mixed into it.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.sources = plugin_sources(registry)
        self._first: dict[_Subject, str] = {}

    def of(self, trial: Trial) -> str:
        """Return the revision of the code that trains a trial; empty where a part is not here or has no source."""
        subject = (trial.cell, trial.backend, trial.implementation)
        if subject not in self._first:
            self._first[subject] = self._now(trial)
        return self._first[subject]

    def of_text(self, corpus: str) -> str:
        """Return the revision of what makes or reads a corpus's text; empty for a text of no plugin's."""
        name = corpus if corpus in self._registry.corpora else corpus.partition(":")[0]
        known = self._registry.corpora.get(name)
        return self.sources.digest(*_modules([known.loader])) if known else ""

    def is_edited(self, trial: Trial) -> bool:
        """Return whether a trial's code is no longer what it was when it was first asked for."""
        return self._now(trial) != self.of(trial)

    def _now(self, trial: Trial) -> str:
        try:
            return self.sources.digest(*modules_of(self._registry, trial))
        except PluginError:
            return ""


def modules_of(registry: Registry, trial: Trial) -> list[str]:
    """Return the modules that train a trial. Raises: PluginError where one of its plugins is not here."""
    if trial.is_baseline:
        if trial.cell not in registry.baselines:
            raise PluginError(f"There is no baseline {trial.cell!r}.")
        targets = [registry.baselines[trial.cell].target]
    else:
        implementation = registry.implementation_target(trial.cell, trial.backend, trial.implementation)
        backend = registry.backend(trial.backend).target
        targets = [registry.cell(trial.cell).equations, backend, *([implementation] if implementation else [])]
    return list(_modules(targets))


def plugin_sources(registry: Registry) -> Sources:
    """Return the reader of the plugins' source: of one plugin's code another's may be a part."""
    targets = [*registry.targets(), *(baseline.target for baseline in registry.baselines.values())]
    return Sources(registry.module_paths, {module.partition(".")[0] for module in _modules(targets)})


def _modules(targets: Iterable[str]) -> Iterable[str]:
    return (target.partition(":")[0] for target in targets)
