from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import CorpusError
from harness.texts.tokenised import TokenisedCorpus, check_long_enough
from harness.worker.job import HeldOutPart


def make_corpus(train_tokens: int, valid_tokens: int) -> TokenisedCorpus:
    return TokenisedCorpus(
        name="tiny",
        authors="Ann",
        text="d2l",
        tokens="char",
        digest="0",
        train_path=Path("train.npy"),
        valid_path=Path("valid.npy"),
        vocabulary_path=Path("vocabulary.json"),
        vocab_size=28,
        train_tokens=train_tokens,
        valid_tokens=valid_tokens,
        valid_chars_per_token=1.0,
        unigram_valid_perplexity=17.0,
    )


# 32 sequences of 35 steps, one token further for the targets; 35 more where training starts at an offset.
def test_one_whole_minibatch_in_each_part_is_enough() -> None:
    check_long_enough(make_corpus(1_156, 1_121), batch_size=32, num_steps=35)


def test_a_training_part_too_short_for_the_largest_offset_is_refused() -> None:
    message = r"'tiny' \(authors Ann\) has 1,155 tokens to train on; --batch-size 32 and --steps 35 need 1,156\. Lower"
    with pytest.raises(CorpusError, match=message):
        check_long_enough(make_corpus(1_155, 9_999), batch_size=32, num_steps=35)


def test_a_validation_part_too_short_is_refused() -> None:
    with pytest.raises(CorpusError, match=r"has 1,120 tokens to validate on; .* need 1,121\."):
        check_long_enough(make_corpus(9_999, 1_120), batch_size=32, num_steps=35)


@pytest.mark.parametrize(("part", "name"), [("valid", "validation"), ("test", "test")])
def test_an_author_s_held_out_part_shorter_than_a_window_is_refused(part: Any, name: str) -> None:
    held_out = HeldOutPart(author="Ben", part=part, path="held-out.npy", start=100, stop=135, chars_per_token=1.0)
    corpus = replace(make_corpus(9_999, 9_999), held_out=(held_out,))
    message = rf"'tiny': the {name} part of Ben has 35 tokens; --steps 35 needs 36\. Lower it, or give this author more"
    with pytest.raises(CorpusError, match=message):
        check_long_enough(corpus, batch_size=32, num_steps=35)
    check_long_enough(corpus, batch_size=32, num_steps=34)
