"""Imports from folders of single-file plugins: always by their source as it is now.

Python takes bytecode for current whose source has the same size and the same second of change: a plugin that is edited
and run again at once would run as it was before.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, ExtensionFileLoader, FileFinder, SourceFileLoader
from pathlib import Path
from typing import Any, NoReturn


class SourceLoader(SourceFileLoader):
    """Compiles a module each time, and leaves no bytecode."""

    def path_stats(self, path: str) -> NoReturn:
        """Say that there is nothing that bytecode could be compared with."""
        raise OSError(path)


def add_module_folders(folders: Sequence[str]) -> None:
    """Let imports look into these folders, last."""
    find = FileFinder.path_hook((ExtensionFileLoader, EXTENSION_SUFFIXES), (SourceLoader, SOURCE_SUFFIXES))

    def find_in_folders(path: str) -> Any:
        if not any(Path(path).is_relative_to(folder) for folder in folders):
            raise ImportError(path)
        return find(path)

    sys.path_hooks.insert(0, find_in_folders)
    sys.path.extend(folders)
