"""What Project Gutenberg puts around a book: its header, its licence, and the credits between them.

Only what is certainly the publisher's is taken off: a text that lies beside marked books, or quotes a marker, stays.
"""

import re
from collections.abc import Iterator

from harness.errors import CorpusError

Span = tuple[int, int]
"""A stretch of a text: its first place, and the place after its last."""

_MARKER = r"^\*\*\* ?{} OF (?:THE|THIS) PROJECT GUTENBERG E(?:BOOK|TEXT)\b(?:(?!\*\*\*|\n\s*\n)[\s\S]){{0,400}}\*\*\*"
"""A title may run over a line and have asterisks of its own, but no three, and no empty line."""
_START = re.compile(_MARKER.format("START"), re.MULTILINE | re.IGNORECASE)
_END = re.compile(_MARKER.format("END"), re.MULTILINE | re.IGNORECASE)
_SMALL_PRINT_END = re.compile(r"^\*END\*? ?THE SMALL PRINT![^\n]*$", re.MULTILINE | re.IGNORECASE)
"""Of files of before 2004, whose header ends with it."""
_TITLE = re.compile(
    r"^\W*(?:(?:The )?Project Gutenberg(?:['’]s)? (?:E-?book|E-?text|of)\b|Project Gutenberg['’]s )",
    re.MULTILINE | re.IGNORECASE,
)
"""A header's first line."""
_TERMS = re.compile(r"^\W*This e-?book is for the use\b", re.MULTILINE | re.IGNORECASE)
"""Which stands soon behind it."""
_TITLE_CHARS = 1000
_LICENCE = re.compile(
    r"^(?:\*\*\* ?START: FULL LICENSE|\*+ ?This file should be named|Updated editions will replace the previous one"
    r"|THE FULL PROJECT GUTENBERG LICENSE|Section 1\. +General Terms of Use)",
    re.MULTILINE | re.IGNORECASE,
)
_LICENCE_END = re.compile(r"hear\s+about\s+new\s+e-?books\.?", re.IGNORECASE)
"""Its last words, in all versions since 2004."""
_CREDITS = re.compile(
    r"(?:This (?:Project Gutenberg )?E-?text was |E-?text )(?:created|prepared|produced|scanned|transcribed)\b"
    r"|(?:Created|Prepared|Produced|Transcribed)\b(?: from the (?:\w+ )?\d{4} [^.\n]{0,60})? by ",
    re.IGNORECASE,
)
_BY_PUBLISHER = re.compile(
    r"e-?text|e-?book|gutenberg|proofread|pgdp|volunteer|internet archive|digiti[sz]ed|scanned|transcri|html|http|@",
    re.IGNORECASE,
)
"""What nobody's first sentence has: 'Prepared by long practice, …' is how a book may begin."""
_NAMES = re.compile(r"(?:(?:[^\W\d_a-z][\w.'’-]*|and|of|the|for|in|by|at|von|van|de|&),?\s*)+\.?")
_FAREWELL = re.compile(r"^\W*End of (?:the |this )?Project Gutenberg\b[^\n]*$", re.IGNORECASE | re.MULTILINE)


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
        starts = [match for pattern in (_START, _SMALL_PRINT_END) if (match := pattern.search(text, since))]
        start = min(starts, key=lambda match: match.start(), default=None)
        first = start.end() if start else since
        end = _END.search(text, first)
        another = _next_start(text, first)
        if start and start.re is _SMALL_PRINT_END:
            last, after = _farewell(text, first, another, name)
        elif start and (end is None or another < end.start()):
            raise CorpusError(
                f"{name} has Project Gutenberg's start line and no end line, so it may be cut off: "
                "get the whole file, or take its start line out to use it as it is."
            )
        elif end is None:
            return
        else:
            last, after = end.start(), end.end()
        yield (start.start() if start else since, after), (first, last)
        since = after


def _next_start(text: str, first: int) -> int:
    """Return where the next book's header begins; one that is quoted has none."""
    ends = (start.start() for pattern in (_START, _SMALL_PRINT_END) for start in pattern.finditer(text, first))
    return min((header for end in ends if (header := _header(text, first, end)) < end), default=len(text))


def _farewell(text: str, first: int, limit: int, name: str) -> Span:
    """Return the line that ends a book of before 2004, the last one that does before a limit."""
    farewells = list(_FAREWELL.finditer(text, first, limit))
    if not farewells:
        raise CorpusError(
            f"{name} has Project Gutenberg's small print and no line 'End of the Project Gutenberg Etext', so it may "
            "be cut off: get the whole file, or take the small print out to use it as it is."
        )
    return farewells[-1].span()


def _outside(text: str, first: int, last: int) -> Iterator[Span]:
    """Yield what stands beside marked books and is not the publisher's."""
    licence = _LICENCE.search(text, first, last)
    if licence:
        yield from _filled(text, first, licence.start())
        ends = list(_LICENCE_END.finditer(text, licence.end(), last))
        # Of an unknown licence all is taken off, up to the next book's header.
        first = ends[-1].end() if ends else _header(text, licence.end(), last)
    yield from _filled(text, first, _header(text, first, last) if last < len(text) else last)


def _filled(text: str, first: int, last: int) -> Iterator[Span]:
    first, last = _inside(text, first, last)
    if first < last:
        yield first, last


def _header(text: str, first: int, last: int) -> int:
    """Return where the header begins that ends at a place; that place where there is none."""
    titles = list(_TITLE.finditer(text, first, last))
    terms = [match.start() for match in _TERMS.finditer(text, first, last)]
    if not terms:
        # The header of before 2004 names its publisher many times over.
        return titles[0].start() if titles else last
    near = [title for title in titles if terms[-1] - _TITLE_CHARS <= title.start() < terms[-1]]
    if not near:
        return terms[-1]
    # Some have the book's title alone on a line before it.
    line = text[near[-1].start() : text.find("\n", near[-1].end())]
    return first if text[first : near[-1].start()].strip() in line else near[-1].start()


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
    credits = _CREDITS.match(paragraph)
    # A name, or what none but the publisher says.
    if not credits or not (_BY_PUBLISHER.search(paragraph) or _NAMES.fullmatch(paragraph[credits.end() :].strip())):
        return first
    return _inside(text, end, last)[0] if end >= 0 else last


def _inside(text: str, first: int, last: int) -> Span:
    """Return a stretch's first and last place without the white space around it."""
    while first < last and text[first].isspace():
        first += 1
    while first < last and text[last - 1].isspace():
        last -= 1
    return first, last
