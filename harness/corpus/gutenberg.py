"""What Project Gutenberg puts around a book: its header, its licence, and the credits between them."""

import re

_MARKER = r"^\*\*\* ?{} OF (?:THE|THIS) PROJECT GUTENBERG E(?:BOOK|TEXT)\b[^*]*\*\*\*"
_START = re.compile(_MARKER.format("START"), re.MULTILINE | re.IGNORECASE)
_END = re.compile(_MARKER.format("END"), re.MULTILINE | re.IGNORECASE)
_CREDITS = re.compile(
    r"(?:This (?:Project Gutenberg )?E-?text was |E-?text )?(?:created|prepared|produced|transcribed)\b.*\bby\b",
    re.IGNORECASE,
)
_FAREWELL = re.compile(r"End of (?:the )?Project Gutenberg\b", re.IGNORECASE)


def strip_boilerplate(text: str) -> str:
    """Return the book alone where both of the publisher's marker lines are there, else the text unchanged.

    The licence stands at the end, where our validation part is: left in, it would be up to half of it.
    """
    start = _START.search(text)
    end = _END.search(text, start.end()) if start else None
    if start is None or end is None:
        return text
    book = text[start.end() : end.start()].strip()
    first, _, rest = book.partition("\n\n")
    if _CREDITS.match(first):
        book = rest.lstrip()
    before, _, last = book.rpartition("\n\n")
    if _FAREWELL.match(last):
        book = before.rstrip()
    return book
