"""Preprocessing: from a document's text to its tokens, as D2L makes them or as they stand."""

import re
import string
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np

_BLOCK_CHARACTERS = 1 << 18
_END = (re.compile(r"\n(?=[A-Za-z])"), re.compile(r"\n"))

_REPORTED_LOSS = 0.001
"""From this share of letters that the preparation drops on it is said; an accent here and there stays below it."""

Tokens: TypeAlias = str | list[str]
"""A list of words, or a string, which is a sequence of one-character tokens."""


def _letters_table() -> bytes:
    table = bytearray(b" " * 256)
    for letter in string.ascii_letters:
        table[ord(letter)] = ord(letter.lower())
    table[ord("\n")] = ord("\n")
    return bytes(table)


# Of UTF-8, every byte beyond ASCII is part of a non-letter, so a table over bytes is enough.
_LETTERS = _letters_table()


_ASCII_LETTERS = string.ascii_letters.encode()
_ASCII = bytes(range(128))


def lost_letters(text: str, kind: str) -> float:
    """Return the share of a text's letters that its preparation drops: all beyond a to z, unless it stays raw."""
    if kind == "raw" or text.isascii():
        return 0.0
    left = lost = 0
    for start in range(0, len(text), _BLOCK_CHARACTERS):  # a long text is not copied whole
        data = text[start : start + _BLOCK_CHARACTERS].encode()
        left += len(data) - len(data.translate(None, _ASCII_LETTERS))
        lost += sum(map(str.isalpha, data.translate(None, _ASCII).decode()))
    return lost / (lost + left) if lost else 0.0


def remark_on_loss(name: str, kind: str, share: float) -> str:
    """Return what a user should know of a text that lost this share of its letters; nothing where that is little."""
    if share <= _REPORTED_LOSS:
        return ""
    return (
        f"{name}: --text {kind} keeps the letters a to z alone, and so {share:.1%} of this text's letters are dropped; "
        "--text raw keeps them all."
    )


def blocks(text: str, kind: str) -> Iterator[str]:
    """Return the text in parts: their tokens one after the other are the text's.

    A part ends where a line does, and where a letter follows, so that no run of non-letters is cut.
    """
    start = 0
    while start < len(text):
        end = _END[kind == "raw"].search(text, start + _BLOCK_CHARACTERS - 1)
        stop = end.end() if end else len(text)
        yield text[start:stop]
        start = stop


def split_tokens(text: str, kind: str, tokens: str) -> Tokens:
    """Return the tokens of one document.

    'd2l': of each line, every run of non-letters becomes one space, stripped, lower-cased; lines follow
    one another with nothing between. 'raw': the text as it is, its words parted by white space. 'd2l-1.0': of the
    whole text at once, every run of non-letters becomes one space, lower-cased.

    Source: Dive into Deep Learning 0.17, `load_corpus_time_machine`, and 1.0, `TimeMachine._preprocess`
    (sec_text-sequence).
    """
    if kind == "raw":
        return text if tokens == "char" else text.split()
    lines = text.encode("utf-8").translate(_LETTERS)
    if tokens == "word":
        return lines.decode("ascii").split()
    if kind == "d2l-1.0":
        return _squeeze_spaces(lines.replace(b"\n", b" ")).decode("ascii")
    lines = _squeeze_spaces(lines)
    lines = lines.replace(b" \n", b"\n").replace(b"\n ", b"\n").strip(b" ")
    return lines.replace(b"\n", b"").decode("ascii")


def _squeeze_spaces(line: bytes) -> bytes:
    """Return the bytes with every run of spaces made one; a third of a regular expression's time."""
    characters = np.frombuffer(line, np.uint8)
    is_space = characters == ord(" ")
    repeats = np.zeros_like(is_space)
    repeats[1:] = is_space[1:] & is_space[:-1]
    squeezed: bytes = characters[~repeats].tobytes()
    return squeezed
