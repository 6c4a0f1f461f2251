"""From documents to tokenised corpora: split, vocabulary, ids and figures, kept in the cache."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.corpus import cache as kept
from harness.corpus.authors import ALL, authors_of
from harness.corpus.documents import Document
from harness.corpus.split import HELD_OUT, Split, share_budget
from harness.corpus.text import TEXTS, TOKEN_KINDS, Tokens, split_tokens
from harness.corpus.tokenised import TokenisedCorpus
from harness.corpus.vocabulary import ORDERS, Ids, build_vocabulary
from harness.errors import CorpusError, did_you_mean

FORMAT_VERSION = 1
"""Raise it whenever the same documents would come to other arrays or figures."""


@dataclass(frozen=True)
class _Recipe:
    text: str
    tokens: str
    split: Split
    vocabulary: str


@dataclass(frozen=True, kw_only=True)
class _Encoded:
    train: list[Ids]
    """One array an author."""
    valid: Ids
    vocabulary: bytes
    vocab_size: int
    valid_chars_per_token: float


def tokenise(
    documents: Sequence[Document],
    name: str,
    text: str,
    tokens: str,
    train_tokens: Sequence[int | None],
    cache: Path,
    valid_fraction: float = 0.1,
    *,
    authors: str = ALL,
    split: str = HELD_OUT,
    vocabulary: str = "train",
) -> list[TokenisedCorpus]:
    """Return one tokenised corpus a training budget (None: all), from the cache where it is there.

    The last tenth of each document validates, in one piece, so every author and every book is in both
    parts. Nothing leaks: the two parts are arrays of their own, which no window crosses, and the
    vocabulary comes from the training part alone. It is that of the full training part whatever the
    budget, so that perplexities compare across budgets. A published protocol may ask for another ``split`` or for
    the ``vocabulary`` of the whole text.

    A budget takes the beginning of each author's training part, in proportion to the author's size. One
    larger than the training part is cut to it: compare the result's ``train_tokens``.

    Raises: CorpusError on an unknown option or budget, or where a part would be empty.
    """
    recipe = _Recipe(text, tokens, Split(split, valid_fraction), vocabulary)
    _check(recipe, train_tokens)
    cache = cache.expanduser().absolute()
    fingerprint = _fingerprint(documents, recipe)
    keys = [f"{fingerprint}-{budget or ALL}" for budget in train_tokens]
    found = [kept.find(cache, key) for key in keys]
    if None in found:
        encoded = _encode(documents, name, recipe)
        found = [
            figures or _keep(cache, key, encoded, budget)
            for figures, key, budget in zip(found, keys, train_tokens, strict=True)
        ]
    return [_describe(figures, cache, name, authors, recipe) for figures in found if figures]


def _check(recipe: _Recipe, train_tokens: Sequence[int | None]) -> None:
    if recipe.text not in TEXTS:
        raise CorpusError(f"There is no preprocessing named {recipe.text!r}.{did_you_mean(recipe.text, TEXTS)}")
    if recipe.tokens not in TOKEN_KINDS:
        raise CorpusError(f"There are no tokens named {recipe.tokens!r}.{did_you_mean(recipe.tokens, TOKEN_KINDS)}")
    if recipe.vocabulary not in ORDERS:
        raise CorpusError(f"There is no vocabulary {recipe.vocabulary!r}.{did_you_mean(recipe.vocabulary, ORDERS)}")
    if not 0 < recipe.split.valid_fraction < 1:
        raise CorpusError(f"The part that validates must lie between 0 and 1; it is {recipe.split.valid_fraction}.")
    recipe.split.check()
    for budget in train_tokens:
        if budget is not None and budget < 1:
            raise CorpusError(f"A training budget must be at least one token; it is {budget}.")


def _fingerprint(documents: Sequence[Document], recipe: _Recipe) -> str:
    """Return the hash of all that decides the arrays, but for the budget."""
    options = [FORMAT_VERSION, recipe.text, recipe.tokens, recipe.split.valid_fraction]
    if (recipe.split.words, recipe.vocabulary) != (HELD_OUT, "train"):
        options += [recipe.split.words, recipe.vocabulary]
    content = hashlib.sha256(json.dumps(options).encode())
    for document in documents:
        data = document.text.encode("utf-8")
        # The length keeps one text's end apart from the next one's beginning.
        content.update(json.dumps([document.author, len(data)]).encode())
        content.update(data)
    return content.hexdigest()


def _encode(documents: Sequence[Document], name: str, recipe: _Recipe) -> _Encoded:
    train: dict[str, list[Tokens]] = {author: [] for author in authors_of(documents)}
    valid: dict[str, list[Tokens]] = {author: [] for author in train}
    whole: list[Tokens] = []
    for document in documents:
        split = split_tokens(document.text, recipe.text, recipe.tokens)
        whole.append(split)
        train_part, valid_part = recipe.split.parts(len(split))
        train[document.author].append(split[train_part])
        valid[document.author].append(split[valid_part])
    trains = [part for parts in train.values() for part in parts]
    valids = [part for parts in valid.values() for part in parts]
    _check_parts(trains, valids, name, recipe)
    vocabulary = build_vocabulary(
        trains if recipe.vocabulary == "train" else whole, alphabetical=recipe.vocabulary == "alphabetical"
    )
    symbols = {"symbols": vocabulary.symbols, "text": recipe.text, "tokens": recipe.tokens}
    return _Encoded(
        train=[np.concatenate([vocabulary.encode(part) for part in parts]) for parts in train.values()],
        valid=np.concatenate([vocabulary.encode(part) for part in valids]),
        vocabulary=json.dumps(symbols, ensure_ascii=False).encode("utf-8"),
        vocab_size=len(vocabulary),
        valid_chars_per_token=_chars_per_token(valids),
    )


def _check_parts(trains: Sequence[Tokens], valids: Sequence[Tokens], name: str, recipe: _Recipe) -> None:
    num_train, num_valid = sum(map(len, trains)), sum(map(len, valids))
    if not num_train + num_valid and recipe.text != "raw":
        raise CorpusError(f"Corpus {name!r} has no letter from A to Z, and d2l keeps no others; use --text raw.")
    if not num_train or not num_valid:
        raise CorpusError(
            f"Corpus {name!r} is too short: {num_train} tokens would train and {num_valid} validate; "
            "select a longer text."
        )


def _chars_per_token(parts: Sequence[Tokens]) -> float:
    """Return the characters a token stands for: a word's letters and the one space that parts it from the next."""
    words = [word for part in parts if not isinstance(part, str) for word in part]
    return 1.0 + sum(map(len, words)) / len(words) if words else 1.0


def _keep(cache: Path, key: str, encoded: _Encoded, budget: int | None) -> kept.Figures:
    sizes = [len(part) for part in encoded.train]
    shares = sizes if budget is None else share_budget(budget, sizes)
    train = np.concatenate([part[:share] for part, share in zip(encoded.train, shares, strict=True)])
    arrays = kept.Arrays(train=train, valid=encoded.valid, vocabulary=encoded.vocabulary)
    figures = kept.Figures(
        digest=arrays.digest,
        vocab_size=encoded.vocab_size,
        train_tokens=len(train),
        valid_tokens=len(encoded.valid),
        valid_chars_per_token=encoded.valid_chars_per_token,
        unigram_valid_perplexity=_unigram_perplexity(train, encoded.valid, encoded.vocab_size),
    )
    kept.keep(cache, key, arrays, figures)
    return figures


def _unigram_perplexity(train: Ids, valid: Ids, vocab_size: int) -> float:
    """Return the perplexity on valid of train's frequencies, each counted once more than it was seen."""
    probability = (np.bincount(train, minlength=vocab_size) + 1) / (len(train) + vocab_size)
    occurrences = np.bincount(valid, minlength=vocab_size)
    return math.exp(-float(occurrences @ np.log(probability)) / len(valid))


def _describe(figures: kept.Figures, cache: Path, name: str, authors: str, recipe: _Recipe) -> TokenisedCorpus:
    digest = figures.digest
    return TokenisedCorpus(
        name=name,
        authors=authors,
        text=recipe.text,
        tokens=recipe.tokens,
        digest=digest,
        train_path=kept.train_path(cache, digest),
        valid_path=kept.valid_path(cache, digest),
        vocabulary_path=kept.vocabulary_path(cache, digest),
        vocab_size=figures.vocab_size,
        train_tokens=figures.train_tokens,
        valid_tokens=figures.valid_tokens,
        valid_chars_per_token=figures.valid_chars_per_token,
        unigram_valid_perplexity=figures.unigram_valid_perplexity,
    )
