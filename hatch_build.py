"""Declares each built-in plugin once, by its folder: with a `plugin.py` it is an entry point of the group `harness`."""

from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

SOURCE_ROOTS = ("plugins", "corpora")


class EntryPoints(MetadataHookInterface):  # type: ignore[misc]
    """Fills in `[project.entry-points]`, as `dynamic` in pyproject.toml promises."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add an entry point for each plugin's folder: `harness_rnn` is `rnn`."""
        modules = [path for root in SOURCE_ROOTS for path in sorted(Path(self.root, root).glob("*/plugin.py"))]
        names = {path.parent.name.removeprefix("harness_"): f"{path.parent.name}.plugin" for path in modules}
        metadata["entry-points"] = {"harness": names}
