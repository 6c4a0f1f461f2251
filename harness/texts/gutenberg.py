"""What Project Gutenberg puts around a book: its header, its licence, and the credits between them.

Only what is certainly the publisher's is taken off: a text that lies beside marked books, or quotes a marker, stays.
"""

import re
from collections.abc import Iterator

from harness.errors import CorpusError

Span = tuple[int, int]
"""A stretch of a text: its first place, and the place after its last."""

_MARKER = r"^\*\*\* ?{} OF (?:THE|THIS) PROJECT GUTENBERG E(?:BOOK|TEXT)\b[^*]*\*\*\*"
_START = re.compile(_MARKER.format("START"), re.MULTILINE | re.IGNORECASE)
_END = re.compile(_MARKER.format("END"), re.MULTILINE | re.IGNORECASE)
_SMALL_PRINT_END = re.compile(r"^\*END\*? ?THE SMALL PRINT![^\n]*$", re.MULTILINE | re.IGNORECASE)
"""Of files of before 2004, whose header ends with it."""
_HEADER = re.compile(
    r"^\W*(?:(?:The )?Project Gutenberg(?:'s)? (?:E-?book|E-?text|of)\b|Project Gutenberg's "
    r"|This e-?book is for the use)",
    re.MULTILINE | re.IGNORECASE,
)
_LICENCE = re.compile(
    r"^(?:\*\*\* ?START: FULL LICENSE|\*+ ?This file should be named|Updated editions will replace the previous one"
    r"|THE FULL PROJECT GUTENBERG LICENSE|Section 1\. +General Terms of Use)",
    re.MULTILINE | re.IGNORECASE,
)
_CREDITS = re.compile(
    r"(?:This (?:Project Gutenberg )?E-?text was |E-?text )(?:created|prepared|produced|scanned|transcribed)\b"
    # By a name or by volunteers: 'Prepared by long practice, …' is how a book may begin.
    r"|(?:Created|Prepared|Produced|Transcribed)\b(?: from the (?:\w+ )?\d{4} [^.\n]{0,60})? by "
    r"(?:(?-i:[A-Z])|an anonymous|volunteers)",
    re.IGNORECASE,
)
_FAREWELL = re.compile(r"End of (?:the |this )?Project Gutenberg\b", re.IGNORECASE)


def strip_boilerplate(text: str, name: str) -> str:
    """Return a file's books without header, licence and credits; a text without marker lines is returned unchanged.

    The licence stands at the end, where our validation part is: left in, it would be up to half of it.

    Raises: CorpusError where a start is marked and its end is not: then some of the book may be missing.
    """
    books = list(_books(text, name))
    if not books:
        return text
    parts, since = [], 0
    for (before, after), (first, last) in books:
        parts += [*_outside(text, since, before), _without_credits(text, first, last)]
        since = after
    parts += _outside(text, since, len(text))
    # A long book alone, as nearly all are, is copied once.
    return text[slice(*parts[0])] if len(parts) == 1 else "\n\n".join(text[first:last] for first, last in parts)


def strip_credits(book: str) -> str:
    """Return a book without the paragraph that says who made an electronic text of it."""
    return book[_after_credits(book, 0, len(book)) :]


def _books(text: str, name: str) -> Iterator[tuple[Span, Span]]:
    """Yield each marked book of a file with its marker lines, and without; several may have been joined into one."""
    since = 0
    while True:
        start = _START.search(text, since) or _SMALL_PRINT_END.search(text, since)
        first = start.end() if start else since
        end = _END.search(text, first)
        another = _START.search(text, first)
        if start and (end is None or (another and another.start() < end.start())):
            last = _farewell(text, first)
            if start.re is _SMALL_PRINT_END and last:
                yield (start.start(), len(text)), (first, last)
                return
            raise CorpusError(
                f"{name} has Project Gutenberg's start line and no end line, so it may be cut off: "
                "get the whole file, or take its start line out to use it as it is."
            )
        if end is None:
            return
        yield (start.start() if start else since, end.end()), (first, end.start())
        since = end.end()


def _farewell(text: str, first: int) -> int:
    """Return where a book of before 2004 ends: before the last line that says so; 0 where there is none."""
    farewells = [match.start() for match in _FAREWELL.finditer(text, first)]
    return farewells[-1] if farewells else 0


def _outside(text: str, first: int, last: int) -> Iterator[Span]:
    """Yield what stands beside marked books, unless it is empty or the publisher's."""
    first, last = _inside(text, first, last)
    if first < last and not (_HEADER.search(text, first, last) or _LICENCE.search(text, first, last)):
        yield first, last


def _without_credits(text: str, first: int, last: int) -> Span:
    first, last = _inside(text, first, last)
    first = _after_credits(text, first, last)
    before = max(first, text.rfind("\n\n", first, last))
    if _FAREWELL.match(text[before:last].lstrip()):
        _, last = _inside(text, first, before)
    return first, last


def _after_credits(text: str, first: int, last: int) -> int:
    """Return where a book between two places begins, its credits left out."""
    end = text.find("\n\n", first, last)
    paragraph = text[first : end if end >= 0 else last]
    if not _CREDITS.match(paragraph):
        return first
    return _inside(text, end, last)[0] if end >= 0 else last


def _inside(text: str, first: int, last: int) -> Span:
    """Return a stretch's first and last place without the white space around it."""
    while first < last and text[first].isspace():
        first += 1
    while first < last and text[last - 1].isspace():
        last -= 1
    return first, last
