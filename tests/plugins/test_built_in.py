"""Every built-in plugin is declared by its folder alone, and announced as a third party's would be."""

import importlib.metadata
from pathlib import Path

import pytest

from harness.plugins import registry

ROOT = Path(__file__).parents[2]
FOLDERS = [path.parent for root in ("plugins", "corpora") for path in sorted((ROOT / root).glob("*/plugin.py"))]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_folder_with_a_plugin_file_is_an_entry_point(folder: Path) -> None:
    announced = {point.value for point in importlib.metadata.entry_points(group="harness")}
    assert f"{folder.name}.plugin" in announced, "install again: an editable install's entry points are of its day"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_plugin_says_what_it_is(folder: Path) -> None:
    assert (folder / "__init__.py").read_text(encoding="utf-8").startswith('"""')


def test_no_built_in_plugin_is_broken() -> None:
    assert registry.load().broken == []


def test_pyproject_names_none_of_them() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert [folder.name for folder in FOLDERS if folder.name in text] == []
