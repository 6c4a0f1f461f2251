"""What samples of a text begin with: its own words, which a model of it knows."""

from collections.abc import Sequence

_BOOK_S = "time traveller"
"""Where the text has these words, samples begin as Dive into Deep Learning's do (`sec_rnn-scratch`)."""
_NUM_WORDS = 3
_NUM_CHARACTERS = 12
"""Of a text that has no spaces."""


def opening(symbols: Sequence[str], tokens: str) -> str:
    """Return the first whole words of a stretch of text, given as its tokens."""
    text = ("" if tokens == "char" else " ").join(symbols)
    if _BOOK_S in text:
        return _BOOK_S
    # A stretch begins anywhere, so that its first word may be the end of one.
    words = text[: 100 * _NUM_WORDS].split() if tokens == "char" else list(symbols[: _NUM_WORDS + 1])
    if len(words) <= _NUM_WORDS:
        return text[:_NUM_CHARACTERS]
    return " ".join(words[1 : _NUM_WORDS + 1])
