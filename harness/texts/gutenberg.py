"""What Project Gutenberg puts around a book: its header, its licence, and the credits between them."""

import re

from harness.errors import CorpusError

_MARKER = r"^\*\*\* ?{} OF (?:THE|THIS) PROJECT GUTENBERG E(?:BOOK|TEXT)\b[^*]*\*\*\*"
_START = re.compile(_MARKER.format("START"), re.MULTILINE | re.IGNORECASE)
_END = re.compile(_MARKER.format("END"), re.MULTILINE | re.IGNORECASE)
_CREDITS = re.compile(
    r"(?:This (?:Project Gutenberg )?E-?text was |E-?text )?(?:created|prepared|produced|transcribed)\b.*\bby\b",
    re.IGNORECASE,
)
_FAREWELL = re.compile(r"End of (?:the )?Project Gutenberg\b", re.IGNORECASE)


def strip_boilerplate(text: str, name: str) -> str:
    """Return the book alone, without header, licence and credits; a text without marker lines is returned unchanged.

    The licence stands at the end, where our validation part is: left in, it would be up to half of it.

    Raises: CorpusError where the start is marked and the end is not: then some of the book may be missing.
    """
    start = _START.search(text)
    end = _END.search(text, start.end() if start else 0)
    if start is None and end is None:
        return text
    if end is None:
        raise CorpusError(
            f"{name} has Project Gutenberg's start line and no end line, so it may be cut off: "
            "get the whole file, or take its start line out to use it as it is."
        )
    # Where the book begins and ends is found first, so that a long one is copied once.
    first, last = _inside(text, start.end() if start else 0, end.start())
    first = _after_credits(text, first, last)
    before = max(first, text.rfind("\n\n", first, last))
    if _FAREWELL.match(text[before:last].lstrip()):
        _, last = _inside(text, first, before)
    return text[first:last]


def strip_credits(book: str) -> str:
    """Return a book without the paragraph that says who made an electronic text of it."""
    return book[_after_credits(book, 0, len(book)) :]


def _after_credits(text: str, first: int, last: int) -> int:
    """Return where a book between two places begins, its credits left out."""
    end = text.find("\n\n", first, last)
    paragraph = text[first : end if end >= 0 else last]
    if not _CREDITS.match(paragraph):
        return first
    return _inside(text, end, last)[0] if end >= 0 else last


def _inside(text: str, first: int, last: int) -> tuple[int, int]:
    """Return a part's first and last place without the white space around it."""
    while first < last and text[first].isspace():
        first += 1
    while first < last and text[last - 1].isspace():
        last -= 1
    return first, last
