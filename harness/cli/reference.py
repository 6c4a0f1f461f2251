"""Every command and option as a page of the docs: `python -m harness.cli.reference > docs/options.md`."""

from collections.abc import Iterator

import click

from harness.cli import COMMANDS, main


def page() -> str:
    """Return the page, in Markdown."""
    root = click.Context(main, info_name="harness")
    lines = ["# Every option", "", _MADE, ""]
    for name in COMMANDS:
        command = main.get_command(root, name)
        assert command is not None
        lines += _section(command, click.Context(command, info_name=name, parent=root), level=2)
    return "\n".join(lines).rstrip() + "\n"


_MADE = "Made from the commands themselves by `python -m harness.cli.reference`; the same words stand in `--help`."


def _section(command: click.Command, context: click.Context, *, level: int) -> Iterator[str]:
    usage = " ".join(command.collect_usage_pieces(context))
    yield from (f"{'#' * level} {context.command_path}", "", f"`{context.command_path} {usage}`", "")
    yield from (_plain(command.help), "")
    records = (option.get_help_record(context) for option in command.params)
    rows = [record for record in records if record and record[1]]
    yield from ("| option | |", "|---|---|")
    yield from (f"| `{_cell(names)}` | {_cell(text)} |" for names, text in rows)
    # click's own option is made when it is first asked for, and named as that asker's context has it.
    yield from ("| `-h, --help` | Show this message and exit. |", "")
    if command.epilog:
        yield from (_plain(command.epilog), "")
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _section(inner, click.Context(inner, info_name=name, parent=context), level=level + 1)


def _plain(text: str | None) -> str:
    paragraphs = (text or "").replace("\b", "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    click.echo(page(), nl=False)
