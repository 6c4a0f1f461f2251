"""Text generation: the prefix, the seed, the temperature."""

import numpy as np
import pytest

from harness.worker.job import SampleRequest
from harness.worker.sampling import generate

VOCABULARY = ["<unk>", "a", "b", "c"]


class Cycling:
    """Predicts the next letter of abcabc with certainty, from the last token alone."""

    def initial_state(self, batch_size):
        return batch_size

    def logits(self, X, state):
        return np.eye(4)[X % 3 + 1] * 20.0, state


class Undecided(Cycling):
    def logits(self, X, state):
        return np.log(np.array([1e-9, 0.7, 0.2, 0.1])) + np.zeros((*X.shape, 4)), state


def request(**changes):
    return SampleRequest(**{"prefix": "ab", "num_tokens": 6, "temperature": 0.0, "seed": 0} | changes)


def test_the_text_continues_the_prefix():
    assert generate(Cycling(), VOCABULARY, "char", request()) == "abcabcab"


def test_words_are_joined_by_spaces():
    assert generate(Cycling(), VOCABULARY, "word", request(prefix="a b", num_tokens=2)) == "a b c a"


def test_an_unknown_symbol_is_shown_as_given_and_read_as_unknown():
    assert generate(Cycling(), VOCABULARY, "char", request(prefix="zb", num_tokens=1)) == "zbc"


@pytest.mark.slow
def test_the_seed_decides_and_the_temperature_spreads():
    def shares(temperature):
        text = generate(Undecided(), VOCABULARY, "char", request(temperature=temperature, num_tokens=4000))[2:]
        return [text.count(letter) / 4000 for letter in "abc"]

    assert shares(1.0) == shares(1.0)
    assert np.allclose(shares(1.0), [0.7, 0.2, 0.1], atol=0.03)
    squared = np.array([0.49, 0.04, 0.01])
    assert np.allclose(shares(0.5), squared / squared.sum(), atol=0.03)
    assert shares(0) == [1, 0, 0]


def test_an_empty_prefix_is_refused():
    with pytest.raises(ValueError, match="the prefix is empty"):
        generate(Cycling(), VOCABULARY, "char", request(prefix=""))
