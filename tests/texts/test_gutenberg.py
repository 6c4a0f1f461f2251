import pytest

from harness.errors import CorpusError
from harness.texts.gutenberg import strip_boilerplate

HEADER = "The Project Gutenberg EBook of X, by Y\n\nTitle: X\n\n"
LICENCE = "\n\n***** This file should be named 1.txt *****\n\n*** START: FULL LICENSE ***\n\nThe licence\n"


@pytest.mark.parametrize("article", ["THIS", "THE"])
@pytest.mark.parametrize("space", [" ", ""])
def test_header_credits_and_licence_are_taken_off(article: str, space: str) -> None:
    text = (
        f"{HEADER}***{space}START OF {article} PROJECT GUTENBERG EBOOK X{space}***\n\n\n"
        "Produced by Someone\nand Others\n\n\nX\n\nby Y\n\nIt began.\n\nIt ended.\n\n\n"
        f"End of the Project Gutenberg EBook of X,\nby Y\n\n***{space}END OF {article} PROJECT GUTENBERG EBOOK X ***"
        f"{LICENCE}"
    )
    assert strip_boilerplate(text, "x.txt") == "X\n\nby Y\n\nIt began.\n\nIt ended."


def test_a_title_that_runs_over_a_line_still_marks_the_start() -> None:
    text = (
        f"{HEADER}*** START OF THIS PROJECT GUTENBERG EBOOK A VERY\nLONG TITLE ***\n\nText.\n\n"
        "*** END OF THIS PROJECT GUTENBERG EBOOK A VERY LONG TITLE ***\n"
    )
    assert strip_boilerplate(text, "x.txt") == "Text."


@pytest.mark.parametrize(
    "text",
    [
        "  A text of one's own.\n\nProduced by hand.\n",
        "Nothing is in it but *** three stars.\n",
    ],
)
def test_a_text_without_markers_is_left_alone(text: str) -> None:
    assert strip_boilerplate(text, "x.txt") == text


@pytest.mark.parametrize(
    "credits",
    [
        "Produced by Someone\nand Others",
        "Transcribed from the 1910 edition by Someone",
        "This etext was created by Someone",
        "E-text prepared by Someone",
    ],
)
def test_credits_are_taken_off_and_a_first_sentence_is_not(credits: str) -> None:
    marked = "*** START OF THE PROJECT GUTENBERG EBOOK X ***\n\n{}*** END OF THE PROJECT GUTENBERG EBOOK X ***"
    assert strip_boilerplate(marked.format(f"{credits}\n\n\nIt began.\n\n"), "x.txt") == "It began."
    assert strip_boilerplate(marked.format("It was produced by him.\n\nIt ended.\n"), "x.txt") == (
        "It was produced by him.\n\nIt ended."
    )


def test_a_book_without_its_end_marker_is_refused() -> None:
    text = "*** START OF THIS PROJECT GUTENBERG EBOOK X ***\n\nbut no end"
    with pytest.raises(CorpusError, match=r"x\.txt has Project Gutenberg's start line and no end line.*cut off"):
        strip_boilerplate(text, "x.txt")


def test_a_licence_without_a_start_marker_is_taken_off() -> None:
    text = f"It began.\n\nIt ended.\n\n*** END OF THIS PROJECT GUTENBERG EBOOK X ***{LICENCE}"
    assert strip_boilerplate(text, "x.txt") == "It began.\n\nIt ended."
