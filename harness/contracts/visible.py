"""How text from anywhere is shown: no character of it acts on a terminal, a page or a table.

Names, prefixes, samples and workers' words are shown in the terminal, in CSV files and on the page, each through here.
"""

import re

_INVISIBLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
"""Control characters act on a terminal; direction marks and separators make a text look like another one."""
_SURROGATES = re.compile(r"[\ud800-\udfff]+")
_LINE_CHARS = 300


def visible(text: str) -> str:
    """Return the text with control characters and direction marks shown as ⟨U+202E⟩, and decoded as `decoded` does."""
    return _INVISIBLE.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", decoded(text))


def decoded(name: str) -> str:
    """Return a name from the operating system as text that can be stored: bytes that are not UTF-8 as ⟨E9⟩.

    Where the locale's encoding is not UTF-8, Python carries the bytes beyond ASCII as lone surrogates.
    """
    return name if name.isascii() else _SURROGATES.sub(lambda match: _text_of(match[0]), name)


def one_line(text: str) -> str:
    """Return the first line of a text that may hold anything, printable and not too long for a table's cell."""
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    printable = visible(first)
    return printable if len(printable) <= _LINE_CHARS else printable[: _LINE_CHARS - 1] + "…"


def _text_of(surrogates: str) -> str:
    data = surrogates.encode("utf-8", "surrogatepass" if _is_other(surrogates) else "surrogateescape")
    return re.sub(r"\\x(..)", lambda match: f"⟨{match[1].upper()}⟩", data.decode("utf-8", "backslashreplace"))


def _is_other(surrogates: str) -> bool:
    """Return whether these are halves of UTF-16, which stand for no byte of a name."""
    return any(not "\udc80" <= each <= "\udcff" for each in surrogates)
