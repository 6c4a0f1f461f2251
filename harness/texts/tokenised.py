"""A tokenised corpus as the planner and the workers see it: files of ids, and the figures that describe them."""

from dataclasses import dataclass
from pathlib import Path

from harness.contracts.corpora import Entropy
from harness.errors import CorpusError
from harness.texts.split import Mix
from harness.worker.job import HeldOutPart

_PARTS = {"valid": "validation", "test": "test"}


@dataclass(frozen=True, kw_only=True)
class TokenisedCorpus:
    """One corpus under one preprocessing, one choice of authors and one training budget."""

    name: str
    authors: str
    """'all', or names joined by '+'."""
    text: str
    tokens: str
    digest: str
    """Hash of the vocabulary and of all token arrays: what trains, what validates, every author's held-out parts."""
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
    mix: Mix = "proportional"
    """What several authors give to a budget: the same number of tokens each, or as much as they have."""
    available_tokens: int = 0
    """The largest budget: what the smallest of the authors' selections compared can give, or this one has in full."""
    smallest: str = ""
    """The selection that is the smallest, where several are compared and cut to it."""
    held_out: tuple[HeldOutPart, ...] = ()
    """Every author's validation and test part."""
    duplicate_share: float = 0.0
    """Of the held-out parts' passages, those that stand in a training part too, word for word."""
    lost_share: float = 0.0
    """Of the text's letters, those that its preparation drops."""
    prefix: str = ""
    """What samples begin with: the first words of the validation part."""
    entropy: Entropy | None = None
    """Of the source of the text, where it is known: the floor under every model's bits per character."""


def check_predictable(corpus: TokenisedCorpus) -> None:
    """Check that every held-out part has a token to predict and one before it, which is all that a baseline needs.

    Raises: CorpusError.
    """
    parts = [(part.author, part.part, part.num_tokens) for part in corpus.held_out]
    for author, part, num_tokens in (*parts, (corpus.authors, "valid", corpus.valid_tokens)):
        if num_tokens < 2:
            raise CorpusError(
                f"Corpus {corpus.name!r}: the {_PARTS[part]} part of {author} is a single token, with none before it "
                "to predict it from; give this author more text."
            )


def check_long_enough(corpus: TokenisedCorpus, batch_size: int, num_steps: int, partition: str = "sequential") -> None:
    """Check that the parts that train and validate hold a whole minibatch, and every author's held-out part a window.

    Of windows at stride 1, one window is enough everywhere.

    Raises: CorpusError, naming the tokens there and the tokens needed.
    """
    # A minibatch's targets lie one token further; training starts at a random offset of up to num_steps.
    for part, available, offset in (("train", corpus.train_tokens, num_steps), ("validate", corpus.valid_tokens, 0)):
        needed = num_steps + 1 if partition == "windows" else batch_size * num_steps + 1 + offset
        if available < needed:
            raise CorpusError(
                f"Corpus {corpus.name!r} (authors {corpus.authors}) has {available:,} tokens to {part} on; "
                f"--batch-size {batch_size} and --steps {num_steps} need {needed:,}. Lower one of them, or take more "
                "text."
            )
    for held_out in corpus.held_out:
        if held_out.num_tokens < num_steps + 1:
            raise CorpusError(
                f"Corpus {corpus.name!r}: the {_PARTS[held_out.part]} part of {held_out.author} has "
                f"{held_out.num_tokens:,} tokens; --steps {num_steps} needs {num_steps + 1:,}. Lower it, or give this "
                "author more text."
            )
