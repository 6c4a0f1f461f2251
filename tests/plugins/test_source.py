"""A revision is of what code computes: of all a module imports from its own, and of no comment."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.plugins.source import Sources

EQUATIONS = '''"""Equations."""
from bracket import halves
FACTOR = 2.0
def step(x):
    """One step."""
    return f"{x!r:>3}" * FACTOR  # no more
'''
Digest = Callable[[], str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "equations.py").write_text(EQUATIONS)
    (tmp_path / "bracket").mkdir()
    (tmp_path / "bracket" / "__init__.py").write_text("")
    (tmp_path / "bracket" / "halves.py").write_text("def half(x):\n    from . import parts\n    return parts.TWO / x\n")
    (tmp_path / "bracket" / "parts.py").write_text("TWO = 2\n")
    (tmp_path / "bracket" / "kernel.c").write_text('int f() { return 1; } /* one */ char *s = "//";\n')
    (tmp_path / "bracket" / "unused.py").write_text("THREE = 3\n")
    (tmp_path / "stranger.py").write_text("FOUR = 4\n")
    return tmp_path


@pytest.fixture
def digest(folder: Path) -> Digest:
    sources = Sources([str(folder)])
    return lambda: sources.digest("equations")


def edit(path: Path, old: str, new: str) -> None:
    content = path.read_text()
    assert old in content
    path.write_text(content.replace(old, new))


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("equations.py", "2.0", "2.5"),
        ("equations.py", "FACTOR =", "FACTOR2 = 1; FACTOR ="),
        ("bracket/__init__.py", "", "import sys"),
        ("bracket/halves.py", "/ x", "// x"),
        ("bracket/parts.py", "2", "3"),
        ("bracket/kernel.c", "return 1", "return 2"),
        ("bracket/kernel.c", '"//"', '"//2"'),
    ],
)
def test_an_edit_of_what_is_computed_makes_another_revision(
    folder: Path, digest: Digest, file: str, old: str, new: str
) -> None:
    before = digest()
    assert len(before) == 12
    edit(folder / file, old, new)
    assert digest() != before
    edit(folder / file, new, old)
    assert digest() == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("equations.py", "# no more", "# still no more"),
        ("equations.py", '"""One step."""', '"""A step, in other words."""'),
        ("equations.py", '"""Equations."""\n', "\n\n"),
        ("equations.py", "FACTOR = 2.0", "FACTOR = (\n    2.0\n)"),
        ("bracket/kernel.c", "/* one */", "/* a\n comment */ "),
        ("bracket/kernel.c", "{ return 1; }", "{   return 1; }"),
        ("bracket/unused.py", "3", "5"),
        ("stranger.py", "4", "5"),
    ],
)
def test_comments_layout_and_others_code_are_no_part_of_it(
    folder: Path, digest: Digest, file: str, old: str, new: str
) -> None:
    before = digest()
    edit(folder / file, old, new)
    assert digest() == before


def test_no_module_is_imported_to_be_read(folder: Path, digest: Digest) -> None:
    (folder / "equations.py").write_text("raise SystemExit")
    (folder / "bracket" / "__init__.py").write_text("raise SystemExit")
    assert digest()


def test_what_is_no_python_of_this_version_counts_byte_by_byte(folder: Path, digest: Digest) -> None:
    (folder / "equations.py").write_text("def f(:")
    before = digest()
    (folder / "equations.py").write_text("def f(:  # edited")
    assert before != digest() != ""


def test_what_is_not_there_has_no_digest(folder: Path) -> None:
    assert Sources([str(folder)]).digest("no_such_module") == ""
    assert Sources([str(folder)]).digest("equations", "bracket.no_such_module") == ""
    assert Sources().digest("sys") == ""


def test_another_plugin_s_code_counts_where_it_is_imported(folder: Path) -> None:
    sources = Sources(packages=["harness_native", "harness_numpy"])
    alone = Sources().digest("harness_native.model")
    assert sources.digest("harness_native.model") not in ("", alone)
    assert sources.digest("harness_gru.cell") != sources.digest("harness_lstm.cell")
