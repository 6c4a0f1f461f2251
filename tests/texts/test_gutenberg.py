import pytest

from harness.errors import CorpusError
from harness.texts.gutenberg import strip_boilerplate, strip_credits

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
        "Produced by an anonymous Project Gutenberg volunteer",
        "Produced by Ryan, Kirstin, Linda and Rick Trapp in Loving\nMemory of Ivan Louis Reese",
        "Produced by D. O'Neill and the Online Distributed Proofreading\nTeam at http://www.pgdp.net",
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


def marked(book: str, title: str = "X") -> str:
    """Return a book as the publisher's file has it."""
    return (
        f"{HEADER}*** START OF THE PROJECT GUTENBERG EBOOK {title} ***\n\n{book}\n\n"
        f"*** END OF THE PROJECT GUTENBERG EBOOK {title} ***{LICENCE}"
    )


def test_all_books_of_a_file_stay() -> None:
    joined = marked("It began.", "X") + marked("It went on.", "Y") + marked("It ended.", "Z")
    assert strip_boilerplate(joined, "x.txt") == "It began.\n\nIt went on.\n\nIt ended."


def test_one_s_own_text_beside_a_marked_book_stays() -> None:
    text = f"A foreword of my own.\n\n{marked('It began.').removeprefix(HEADER)}\n"
    assert strip_boilerplate(text, "x.txt") == "A foreword of my own.\n\nIt began."


OWN = "My own words, of some length.\n\nAnd more of them."
TERMS = "This ebook is for the use of anyone anywhere\nat no cost\n\n"
WHOLE_LICENCE = f"{LICENCE}\nSection 5.\n\nsubscribe to our email newsletter to hear about new eBooks.\n\n"


@pytest.mark.parametrize(
    "text",
    [
        f"{OWN}\n\n{marked('It began.')}",
        f"{OWN}\n\n{HEADER}{TERMS}{marked('It began.').removeprefix(HEADER)}",
        f"Project Gutenberg's books are dear to me.\n\n{OWN}\n\n{HEADER}{TERMS}"
        f"{marked('It began.').removeprefix(HEADER)}",
    ],
)
def test_one_s_own_text_before_a_header_stays(text: str) -> None:
    stripped = strip_boilerplate(text, "x.txt")
    assert stripped.endswith(f"{OWN}\n\nIt began.")
    assert "Title: X" not in stripped


def test_one_s_own_text_behind_a_licence_stays() -> None:
    book = marked("It began.").removesuffix(LICENCE) + WHOLE_LICENCE
    assert strip_boilerplate(f"{book}{OWN}", "x.txt") == f"It began.\n\n{OWN}"
    assert strip_boilerplate(f"{book}{OWN}\n\n{HEADER}{TERMS}{marked('It ended.')}", "x.txt") == (
        f"It began.\n\n{OWN}\n\nIt ended."
    )


def test_a_title_with_asterisks_marks_a_book() -> None:
    assert strip_boilerplate(marked("It began.", "M*A*S*H"), "x.txt") == "It began."


def test_a_start_line_that_a_book_quotes_is_text() -> None:
    quoting = "He read:\n*** START OF THE PROJECT GUTENBERG EBOOK Z ***\nand laughed."
    assert strip_boilerplate(marked(quoting), "x.txt") == quoting


def test_a_text_that_quotes_an_end_line_loses_no_more_than_the_line() -> None:
    text = "I read to the line\n*** END OF THE PROJECT GUTENBERG EBOOK X ***\nand put the book away."
    assert strip_boilerplate(text, "x.txt") == "I read to the line\n\nand put the book away."


@pytest.mark.parametrize(
    "opening",
    [
        "Created long ago by the sea, the dunes moved.",
        "Prepared by long practice, he leapt.",
        "Produced by night.",
        "Prepared by John for the voyage, the ship lay.",
        "Produced by God in six days, the world was young.",
    ],
)
def test_a_first_paragraph_that_only_sounds_like_credits_stays(opening: str) -> None:
    assert strip_boilerplate(marked(f"{opening}\n\nIt ended."), "x.txt") == f"{opening}\n\nIt ended."
    assert strip_credits(f"{opening}\n\nIt ended.") == f"{opening}\n\nIt ended."


def small_print(book: str) -> str:
    """Return a book as a file of before 2004 has it."""
    return (
        "The Project Gutenberg Etext of X, by Y\n\n***START**THE SMALL PRINT!**FOR PUBLIC DOMAIN ETEXTS**START***\n"
        "Why is this here?\n\n*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*\n\n\n"
        f"{book}\n\n\nEnd of the Project Gutenberg Etext of X, by Y\n"
    )


def test_the_small_print_of_old_files_goes() -> None:
    text = small_print("It began.\n\nIt ended.")
    assert strip_boilerplate(text, "x.txt") == "It began.\n\nIt ended."
    assert strip_boilerplate(text + small_print("Another."), "x.txt") == "It began.\n\nIt ended.\n\nAnother."
    assert strip_boilerplate(f"{text}\n{OWN}", "x.txt") == f"It began.\n\nIt ended.\n\n{OWN}"
    assert strip_boilerplate(text + marked("Newer."), "x.txt") == "It began.\n\nIt ended.\n\nNewer."
    three = text + small_print("Another.") + marked("Newer.")
    assert strip_boilerplate(three, "x.txt") == "It began.\n\nIt ended.\n\nAnother.\n\nNewer."


def test_small_print_without_its_last_line_is_refused_as_what_it_is() -> None:
    with pytest.raises(CorpusError, match=r"small print and no line 'End of the Project Gutenberg Etext'"):
        strip_boilerplate(small_print("It began.").partition("End of")[0], "x.txt")


def test_the_second_of_two_books_without_its_end_is_refused() -> None:
    cut_off = marked("It went on.", "Y").partition("*** END")[0]
    with pytest.raises(CorpusError, match="no end line"):
        strip_boilerplate(marked("It began.") + cut_off, "x.txt")
