"""A tokenised corpus as the planner and the workers see it: files of ids, and the figures that describe them."""

from dataclasses import dataclass
from pathlib import Path

from harness.corpus.entropy import Entropy
from harness.errors import CorpusError


@dataclass(frozen=True, kw_only=True)
class TokenisedCorpus:
    """One corpus under one preprocessing and one training budget."""

    name: str
    authors: str
    """'all', or names joined by '+'."""
    text: str
    tokens: str
    digest: str
    """Hash of the vocabulary and of both token arrays."""
    train_path: Path
    """``.npy``, one dimension, the smallest unsigned type that holds every id."""
    valid_path: Path
    vocabulary_path: Path
    """JSON: {"symbols": [...], "text": …, "tokens": …}; '<unk>' is one of them."""
    vocab_size: int
    train_tokens: int
    valid_tokens: int
    valid_chars_per_token: float
    """Characters of validation text behind each validation token; 1 for characters."""
    unigram_valid_perplexity: float
    """Of the training part's token frequencies (add-one smoothed) on the validation part: the figure a
    model without memory reaches."""
    entropy: Entropy | None = None
    """Of the source of the text, where it is known: the floor under every model's bits per character."""


def check_long_enough(corpus: TokenisedCorpus, batch_size: int, num_steps: int, partition: str = "sequential") -> None:
    """Check that both parts hold at least one whole minibatch; of windows at stride 1, one window is enough.

    Raises: CorpusError, naming the tokens there and the tokens needed.
    """
    # A minibatch's targets lie one token further; training starts at a random offset of up to num_steps.
    for part, there, offset in (("train", corpus.train_tokens, num_steps), ("validate", corpus.valid_tokens, 0)):
        needed = num_steps + 1 if partition == "windows" else batch_size * num_steps + 1 + offset
        if there < needed:
            raise CorpusError(
                f"Corpus {corpus.name!r} (authors {corpus.authors}) has {there:,} tokens to {part} on; --batch-size "
                f"{batch_size} and --steps {num_steps} need {needed:,}. Lower one of them, or take more text."
            )
