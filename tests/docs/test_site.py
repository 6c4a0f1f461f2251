"""The docs do what they say: their commands are commands, what is generated is up to date, and the site builds."""

import csv
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from harness.cli import main
from harness.cli.reference import page

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES.remove(ROOT / "docs" / "options.md")  # generated
LOCAL = ("mine.toml", "diary.txt", "reports/latest/manifest.json", "reports/old", "reports/latest")
"""Files and folders that the pages' commands name and the reader has by then."""


def typed(text: str) -> list[list[str]]:
    """Return the words behind 'harness' of each command in a page's shell blocks."""
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)).replace("\\\n", " ")
    lines = [part for line in blocks.splitlines() for part in line.partition("  #")[0].split("&&")]
    matches = (re.match(r"\s*(?:\.venv/bin/)?harness ([^>]*)", line) for line in lines)
    return [shlex.split(match[1]) for match in matches if match]


def mentioned(text: str) -> list[list[str]]:
    """Return the words behind 'harness' of each command named in a sentence, perhaps without its arguments."""
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return [words.split() for words in re.findall(r"`harness ([a-z][^`\n]*)`", prose)]


def command_of(words: list[str]) -> tuple[click.Command, list[str]]:
    """Return the command that the first words name, and the others."""
    command: click.Command = main
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        inner = command.get_command(click.Context(main), words[0])
        if inner is None:
            break
        command, words = inner, words[1:]
    return command, words


def parse(words: list[str]) -> None:
    """Read a command as the terminal does, without running it. Raises: click.UsageError, HarnessError."""
    command, rest = command_of(words)
    assert command is not main, words
    command.make_context(command.name, list(rest))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_command_on_a_page_is_one(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in LOCAL:
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.suffix == "":
            target.mkdir(exist_ok=True)
        else:
            target.write_text("{}" if target.suffix == ".json" else "", encoding="utf-8")
    (tmp_path / "mine.toml").write_text("[run]\nlayers = 2\n", encoding="utf-8")
    (tmp_path / "reports/latest/manifest.json").write_text('{"experiment": {"run": {"layers": 2}}}', encoding="utf-8")
    text = path.read_text(encoding="utf-8")
    for words in typed(text):
        parse(words)
    for words in mentioned(text):
        command, rest = command_of(words)
        assert command is not main, words
        known = {name for parameter in command.params for name in parameter.opts} | {"--help"}
        assert {word for word in rest if word.startswith("--")} <= known, words


def test_a_command_with_a_mistyped_option_would_be_noticed() -> None:
    (words,) = typed("```sh\nharness run --layer 3   # three\n```")
    with pytest.raises(click.UsageError):
        parse(words)


def test_every_option_that_is_named_exists() -> None:
    options = set(re.findall(r"--[a-z][a-z-]+", (ROOT / "docs" / "options.md").read_text(encoding="utf-8")))
    others = {"--help", "--version", "--strict", "--fail-under", "--check", "--no-deps"}
    for path in PAGES:
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", path.read_text(encoding="utf-8")))
        unknown = {name for name in named if not name.startswith("--benchmark-")} - options - others
        assert not unknown, path.name


@pytest.mark.slow
def test_the_cell_of_the_page_on_plugins_trains_and_is_certified(tmp_path: Path, harness: Any) -> None:
    text = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(# leaky_rnn\.py.*?)```", text, re.DOTALL)
    assert code is not None
    (tmp_path / "leaky_rnn.py").write_text(code[1], encoding="utf-8")
    result = harness(
        *("run", "--plugins-dir", str(tmp_path), "--plugins", "leaky-rnn,numpy", "--train-tokens", "3k"),
        *("--epochs", "1", "--hiddens", "8", "--steps", "8", "--batch-size", "4", "--out", str(tmp_path / "run")),
    )
    assert result.returncode == 0, result.stderr + result.stdout
    with (tmp_path / "run" / "trials.csv").open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert row["parity_certified"] == "True"


def test_the_options_are_those_of_the_commands() -> None:
    assert page() == (ROOT / "docs" / "options.md").read_text(encoding="utf-8"), (
        "python -m harness.cli.reference > docs/options.md"
    )


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("zensical", reason="zensical is not installed: pip install 'rnn-harness[docs]'")
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "site" / "index.html").exists()
    named = set(re.findall(r'"([\w-]+)\.md"', (ROOT / "zensical.toml").read_text(encoding="utf-8")))
    assert named == {path.stem for path in (ROOT / "docs").glob("*.md")}, "every page is in the contents"
