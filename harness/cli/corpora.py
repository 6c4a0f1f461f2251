"""The `harness corpora` commands."""

import sys
from pathlib import Path

import click

from harness.cli.options import FOLDER, Text, corpora_dir, plugins_dir, registry_of, say
from harness.grid import parsing

_encoding = click.option(
    "--encoding",
    type=Text("name", parsing.encoding),
    default="utf-8",
    show_default=True,
    help="Of text files, as in windows-1252 or shift_jis.",
)


@click.group()
def corpora() -> None:
    """List, describe, download and add texts."""


@corpora.command("list")
@corpora_dir
@plugins_dir
def corpora_list(corpora_dir: Path | None, plugins_dir: Path | None) -> None:
    """List the texts known by name, and which are here."""
    from harness.machine.terminal import lines_console
    from harness.texts import listing as texts
    from harness.texts import sources

    request = sources.request(corpora_dir, show_progress=False)
    lines_console().print(texts.table(registry_of(plugins_dir).corpora.values(), request))


@corpora.command("show")
@click.argument("name", metavar="NAME[:BOOK+BOOK]|FILE|FOLDER")
@_encoding
@corpora_dir
@plugins_dir
def corpora_show(name: str, encoding: str, corpora_dir: Path | None, plugins_dir: Path | None) -> None:
    """Describe one text, or some books of one: sizes, authors, vocabulary, entropy, licence and source."""
    from harness.texts import listing as texts
    from harness.texts import sources

    request = sources.request(corpora_dir, show_progress=False, encoding=encoding)
    for line in texts.describe(name, registry_of(plugins_dir).corpora, request):
        say(line)


@corpora.command("fetch")
@click.argument("names", metavar="NAME[:BOOK+BOOK]...", nargs=-1, required=True)
@corpora_dir
@plugins_dir
def corpora_fetch(names: tuple[str, ...], corpora_dir: Path | None, plugins_dir: Path | None) -> None:
    """Download texts and check every byte; a download that broke off goes on where it ended."""
    from harness.texts import listing as texts
    from harness.texts import sources

    request = sources.request(corpora_dir, show_progress=sys.stderr.isatty())
    known = registry_of(plugins_dir).corpora
    for name in names:
        texts.require_known(name, known)
    for name in names:
        say(texts.fetch(name, known, request))


@corpora.command("add")
@click.argument("path", metavar="FILE|FOLDER", type=FOLDER)
@click.option("--name", required=True, help="What --corpus shall call it: lower-case letters, digits, hyphens.")
@click.option("--author", default="", help="The author of all of it. [a folder's sub-folders are authors]")
@_encoding
@plugins_dir
def corpora_add(path: Path, name: str, author: str, encoding: str, plugins_dir: Path | None) -> None:
    """Give a text of yours a name; it stays where it is, and a later change to it is noticed."""
    from harness.plugins import registry
    from harness.texts import own

    entry = own.add(path, name, author.strip(), registry.load(plugins_dir).corpora, encoding)
    say(f"{name}: {entry.size}, by {', '.join(entry.authors)} (sha256 {entry.sha256[:12]}…).")
    say(f"harness run --corpus {name}")


@corpora.command("remove")
@click.argument("name")
def corpora_remove(name: str) -> None:
    """Forget a text you added; its files stay where they are."""
    from harness.texts import own

    own.remove(name)
    say(f"{name}: removed")
