import random
import re
import time

import pytest

from harness.texts.preprocessing import split_tokens


def d2l_lines(text: str) -> list[str]:
    """The oracle: D2L 0.17's read_time_machine, written again from the book."""
    return [re.sub("[^A-Za-z]+", " ", line).strip().lower() for line in text.split("\n")]


def d2l_tokens(text: str, tokens: str) -> list[str]:
    lines = d2l_lines(text)
    return [token for line in lines for token in (line.split() if tokens == "word" else list(line))]


@pytest.mark.parametrize(
    "text",
    [
        "The Time Machine, by H. G. Wells [1898]\n\n\n\n\nI\n\n\nThe Time Traveller (for so\nit will be)",
        "  leading and trailing  \n   \n...\n a -- b \n",
        "naïve café — ÉCLAIR\u2028still the same line\x0bthis too\n日本語 only here\nend",
        "",
        "\n\n",
        "no end of line",
        "12 34",
        " ",
    ],
)
@pytest.mark.parametrize("tokens", ["char", "word"])
def test_d2l_preprocessing_is_that_of_the_book(text: str, tokens: str) -> None:
    assert list(split_tokens(text, "d2l", tokens)) == d2l_tokens(text, tokens)


@pytest.mark.parametrize("tokens", ["char", "word"])
def test_d2l_preprocessing_is_that_of_the_book_on_any_mixture_of_characters(tokens: str) -> None:
    dice = random.Random(7)
    for _ in range(300):
        text = "".join(dice.choices("aBz  \n\n.,1éß—\t\r日", k=dice.randrange(60)))
        assert list(split_tokens(text, "d2l", tokens)) == d2l_tokens(text, tokens), repr(text)


def test_raw_characters_are_the_text_itself() -> None:
    text = "Ünd  so\n\tweiter…\n"
    assert split_tokens(text, "raw", "char") == text


def test_raw_words_keep_their_case_and_punctuation() -> None:
    assert split_tokens("“Don’t,”  he\nsaid.", "raw", "word") == ["“Don’t,”", "he", "said."]


def test_a_large_text_is_preprocessed_in_no_time() -> None:
    text = "The  quick brown fox -- it jumps;\n  over the lazy dog.\n\n" * 100_000  # 5.4 MB
    start = time.process_time()
    split_tokens(text, "d2l", "char")
    # A Python loop over its characters takes seconds; this takes a twentieth of one.
    assert time.process_time() - start < 1.5
