import math
import random
from collections import Counter

import pytest

from harness.texts.conditional_entropy import entropies


def counted(texts: list[str], order: int) -> float:
    """The definition, character by character."""
    blocks = Counter(text[i : i + order + 1] for text in texts for i in range(len(text) - order))
    contexts: Counter[str] = Counter()
    for block, count in blocks.items():
        contexts[block[:-1]] += count
    total = sum(blocks.values())
    return -sum(count / total * math.log2(count / contexts[block[:-1]]) for block, count in blocks.items())


@pytest.mark.parametrize("texts", [["abracadabra"], ["the cat", "sat on", "x", "the mat and the café — 猫"]])
def test_entropies_are_those_of_the_definition_and_no_window_crosses_texts(texts: list[str]) -> None:
    found = entropies(texts, 4)
    assert [entropy.order for entropy in found] == [0, 1, 2, 3, 4]
    assert [entropy.bits_per_char for entropy in found] == pytest.approx([counted(texts, n) for n in range(5)])


def test_an_order_no_text_is_long_enough_for_is_left_out() -> None:
    assert [entropy.order for entropy in entropies(["abc"], 4)] == [0, 1, 2]


def test_a_markov_source_has_its_entropy_rate_from_its_order_on() -> None:
    # Two states that change with probability 0.1: one bit at order 0, H(0.1) at order 1 and above.
    generator = random.Random(0)
    state, letters = 0, []
    for _ in range(200_000):
        state ^= generator.random() < 0.1
        letters.append("ab"[state])
    rate = -(0.1 * math.log2(0.1) + 0.9 * math.log2(0.9))
    found = [entropy.bits_per_char for entropy in entropies(["".join(letters)], 3)]
    assert found == pytest.approx([1, rate, rate, rate], abs=5e-3)


def test_the_bias_corrects_most_of_what_a_short_text_lacks() -> None:
    # Of 64 equally likely letters each has 6 bits, whatever comes before.
    generator = random.Random(0)
    found = entropies(["".join(chr(65 + generator.randrange(64)) for _ in range(40_000))], 1)
    for entropy in found:
        assert entropy.bits_per_char < 6
        assert entropy.bits_per_char + entropy.bias == pytest.approx(6, abs=0.02)
    assert found[1].bias > 0.05
