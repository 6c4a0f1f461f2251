"""The compressors: sizes against the libraries' own one-call functions, and what they should and should not learn."""

import bz2
import importlib.util
import lzma
import math
import zlib

import numpy as np
import pytest

from harness.contracts.baselines import TrainingText
from harness.testing import BaselineContract
from harness.worker.targets import resolve
from harness_compressors import compression

NAMES = [
    "bz2",
    "lzma",
    pytest.param(
        "zstd",
        marks=pytest.mark.skipif(not importlib.util.find_spec("zstandard"), reason="zstandard is not installed"),
    ),
]
LETTERS = ["<unk>", *"abcdefghijklmnopqrstuvwxyz"]


class TestBz2(BaselineContract):
    target = "harness_compressors.compression:bz2"


class TestLzma(BaselineContract):
    target = "harness_compressors.compression:lzma"


@pytest.mark.skipif(not importlib.util.find_spec("zstandard"), reason="zstandard is not installed")
class TestZstd(BaselineContract):
    target = "harness_compressors.compression:zstd"


def silent(fraction: float) -> None:
    """Tell nobody."""


def random_letters(count, num_letters=26, seed=0):
    return np.random.default_rng(seed).integers(1, num_letters + 1, count).astype(np.uint8)


def fitted(name, ids, symbols=LETTERS, tokens="char"):
    text = TrainingText(ids=ids, symbols=symbols, tokens=tokens)
    return resolve(f"harness_compressors.compression:{name}")(text, silent)


def bits_per_token(evaluation):
    return evaluation.loss / math.log(2)


@pytest.mark.parametrize("name", NAMES)
def test_a_random_text_takes_its_entropy_and_a_little_more(name):
    found = bits_per_token(fitted(name, random_letters(200_000)).evaluate(random_letters(50_000, seed=1), silent))
    assert math.log2(26) <= found < 1.06 * math.log2(26)


@pytest.mark.parametrize("name", NAMES)
def test_a_text_that_was_trained_on_costs_next_to_nothing(name):
    train = random_letters(100_000)
    model = fitted(name, train)
    assert bits_per_token(model.evaluate(train[:50_000], silent)) < (0.05 if name != "bz2" else 3.5)
    assert bits_per_token(model.training) > math.log2(26)


@pytest.mark.parametrize(("name", "compress"), [("bz2", lambda b: bz2.compress(b, 9)), ("lzma", lzma.compress)])
def test_a_size_is_the_library_s_own(name, compress):
    train, valid = random_letters(30_000, 5), random_letters(9000, 5, seed=1)
    model = fitted(name, train)

    def size(ids):
        return len(compress("".join(LETTERS[i] for i in ids).encode()))

    expected = 8 * (size(np.concatenate([train, valid])) - size(train)) / len(valid)
    # lzma.compress has another preset.
    assert bits_per_token(model.evaluate(valid, silent)) == pytest.approx(expected, rel=0.02 if name == "lzma" else 0)


@pytest.mark.parametrize("name", NAMES)
def test_words_and_letters_beyond_ascii_are_compressed_as_their_text(name):
    words = ["<unk>", "größe", "über", "maß"]
    model = fitted(name, random_letters(3000, 3), words, "word")
    assert 0 < bits_per_token(model.evaluate(random_letters(3000, 3, seed=1), silent)) < 8
    unknown = fitted(name, random_letters(3000), LETTERS)
    assert math.isfinite(unknown.evaluate(np.zeros(500, np.uint8), silent).loss)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_part_s_size_is_that_of_one_stream_over_both_texts(name):
    train, *parts = random_letters(60_000, 9), random_letters(9000, 9, seed=1), random_letters(800), random_letters(0)
    open_stream = getattr(compression, f"_open_{name}")

    def size(*texts):
        stream = open_stream(1 << 20)
        return sum(len(stream.compress("".join(LETTERS[i] for i in text).encode())) for text in texts) + len(
            stream.flush()
        )

    model = fitted(name, train)
    assert model.training.loss == 8 * size(train) * math.log(2) / len(train)
    for part in (*parts, *parts):
        expected = 8 * (size(train, part) - size(train)) * math.log(2) / max(1, len(part))
        assert model.evaluate(part, silent).loss == expected


def test_the_training_text_is_compressed_once_however_many_parts_follow():
    opened = []

    def open_stream(window):
        opened.append(window)
        return zlib.compressobj()

    text = TrainingText(ids=random_letters(5000), symbols=LETTERS, tokens="char")
    model = compression.Compressed(open_stream, text, silent)
    for seed in range(3):
        model.evaluate(random_letters(500, seed=seed), silent)
    assert len(opened) == 1


def test_a_long_part_gives_signs_of_life(monkeypatch):
    monkeypatch.setattr(compression, "_SIGN_OF_LIFE_SECONDS", 0.001)
    model, said = fitted("lzma", random_letters(1000)), []
    model.evaluate(random_letters(100_000), said.append)
    assert said


def test_accuracy_is_not_a_compressor_s_to_have():
    found = fitted("bz2", random_letters(3000)).evaluate(random_letters(500), silent)
    assert found.others == {}
