import random
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from harness.texts.vocabulary import UNKNOWN, Coder, Vocabulary


def build_vocabulary(parts: Sequence[str | list[str]], *, alphabetical: bool = False) -> Vocabulary:
    coder = Coder()
    return coder.rank([ids for part in parts for ids in coder.encode(part)], alphabetical=alphabetical)


def d2l_symbols(tokens: list[str]) -> list[str]:
    """The oracle: D2L 0.17's Vocab, written again from the book."""
    frequencies = sorted(Counter(tokens).items(), key=lambda item: item[1], reverse=True)
    return ["<unk>", *(token for token, _ in frequencies if token != "<unk>")]


def test_symbols_come_by_falling_frequency_and_ties_by_first_appearance() -> None:
    assert build_vocabulary(["cbbaax"]).symbols == (UNKNOWN, "b", "a", "c", "x")
    assert build_vocabulary([["to", "be", "or", "not", "to", "be"]]).symbols == (UNKNOWN, "to", "be", "or", "not")


def test_several_parts_count_as_one_text() -> None:
    assert build_vocabulary(["zay", "", "yb"]).symbols == build_vocabulary(["zayyb"]).symbols
    assert build_vocabulary([["b", "a"], ["a"]]).symbols == (UNKNOWN, "a", "b")


@pytest.mark.parametrize("alphabet", ["abc xyz", "aé日𝄞\n\0 ", [chr(0x4E00 + i) for i in range(500)]])
def test_characters_are_ordered_and_encoded_as_d2l_does(alphabet: list[str]) -> None:
    text = "".join(random.Random(3).choices(alphabet, k=2_000))
    vocabulary = build_vocabulary([text])
    assert list(vocabulary.symbols) == d2l_symbols(list(text))
    ids = vocabulary.encode(text)
    assert ids.tolist() == [vocabulary.symbols.index(character) for character in text]
    assert "".join(vocabulary.decode(ids)) == text


def test_the_order_of_first_appearance_holds_across_a_text_of_many_blocks() -> None:
    text = "ab" * 1_500_000 + "z" + "y" + "b" * 5 + "a" * 5  # z and y appear in the third block only
    assert build_vocabulary([text]).symbols == (UNKNOWN, "a", "b", "z", "y")
    assert build_vocabulary([text]).encode(text)[-12:].tolist() == [3, 4, *[2] * 5, *[1] * 5]


def test_what_the_vocabulary_has_not_seen_is_unknown() -> None:
    assert build_vocabulary(["ab"]).encode("a𝄞éb").tolist() == [1, 0, 0, 2]
    assert build_vocabulary([["to", "be"]]).encode(["to", "sleep"]).tolist() == [1, 0]


def test_a_text_that_spells_out_the_unknown_symbol_means_it() -> None:
    vocabulary = build_vocabulary([["<unk>", "the", "<unk>", "N"]])
    assert vocabulary.symbols == (UNKNOWN, "the", "N")
    assert vocabulary.encode(["the", "<unk>"]).tolist() == [1, 0]


@pytest.mark.parametrize(("num_words", "dtype"), [(255, np.uint8), (256, np.uint16), (65_536, np.uint32)])
def test_ids_take_the_smallest_unsigned_type_that_holds_every_one(num_words: int, dtype: type) -> None:
    words = [f"w{i}" for i in range(num_words)]  # with <unk>, num_words is the largest id
    ids = build_vocabulary([words]).encode(words)
    assert ids.dtype == dtype
    assert ids.max() == num_words


@pytest.mark.parametrize("empty", ["", []])
def test_no_tokens_are_no_ids(empty: str | list[str]) -> None:
    ids = build_vocabulary(["ab"]).encode(empty)
    assert ids.size == 0
    assert ids.dtype == np.uint8


def test_an_alphabetical_vocabulary_is_d2l_1_0_s() -> None:
    text = "the time machine by h g wells"
    # D2L 1.0's Vocab: list(sorted(set(["<unk>"] + reserved_tokens + [token for token, freq in self.token_freqs])))
    expected = sorted({"<unk>", *text})
    vocabulary = build_vocabulary([text], alphabetical=True)
    assert list(vocabulary.symbols) == expected
    assert vocabulary.symbols.index(UNKNOWN) == 1
    assert vocabulary.decode(vocabulary.encode("time?")) == ["t", "i", "m", "e", UNKNOWN]
    words = build_vocabulary([["b", "a"]], alphabetical=True)
    assert words.decode(words.encode(["a", "z", "b"])) == ["a", UNKNOWN, "b"]
