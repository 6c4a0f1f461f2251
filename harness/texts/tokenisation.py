"""From documents to tokenised corpora: division, vocabulary, ids and figures, kept in the cache."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.contracts.corpora import Document
from harness.errors import CorpusError, did_you_mean
from harness.texts import token_cache
from harness.texts.authors import authors_of, choose_authors, label
from harness.texts.duplicates import PASSAGE_TOKENS, duplicate_share
from harness.texts.opening import opening
from harness.texts.pieces import Pieces, Recoded
from harness.texts.preprocessing import blocks, split_tokens
from harness.texts.selection import ORDERS, TEXTS, TOKEN_KINDS, Preparation
from harness.texts.split import AUTHOR_BUDGETS, MIXES, Split, available_tokens, largest_budgets, resolve, share
from harness.texts.tokenised import TokenisedCorpus
from harness.texts.vocabulary import UNKNOWN, Coder
from harness.worker.job import HeldOutPart

FORMAT_VERSION = 2
"""Raise it whenever the same documents would come to other arrays or figures."""

_HASHED_CHARACTERS = 1 << 20
_LOOKED_AT_TOKENS = 1 << 16
"""Of the validation part, for the words that samples begin with."""


@dataclass
class _Read:
    """The documents in provisional ids, divided; by author, in order of first appearance."""

    coder: Coder
    train: dict[str, list[Pieces]]
    """Of each author, one a document; as is valid and test."""
    valid: dict[str, list[Pieces]]
    test: dict[str, list[Pieces]]
    whole: dict[str, list[Pieces]]
    """Of each author, one a document, the gaps included."""

    def all(self, *parts: Mapping[str, list[Pieces]]) -> list[Pieces]:
        """Return these parts of all documents."""
        return [pieces for part in parts for documents in part.values() for pieces in documents]


def tokenise(
    documents: Sequence[Document],
    name: str,
    preparation: Preparation,
    cache: Path,
    split: Split | None = None,
) -> list[TokenisedCorpus]:
    """Return a tokenised corpus for each choice of authors and training budget, from the cache where it is there.

    The end of each document is held out, in one piece: a tenth validates and the last tenth tests, so every
    author and every book is in all parts. Nothing leaks: the parts are arrays of their own with a gap between
    them, and the vocabulary comes from the training parts alone.

    One vocabulary serves all choices of authors and all budgets: that of the full training parts of all the
    authors here, so that perplexities compare, also those on one author's text of a model that read another.
    A published protocol may ask for another split, or for the vocabulary of the whole text; ``split`` overrules the
    preparation's words.

    A budget takes the beginning of each author's training part; its mix says how much of each. One larger
    than what there is is cut to it. Where several choices of authors are compared, all have the same budgets,
    at most what the smallest of them can give, unless ``author_budget`` is 'full': see ``available_tokens``.

    Raises: CorpusError on an unknown option, author or budget, or where a part would be empty.
    """
    split = split or Split(preparation.split)
    _check(preparation, split)
    known = authors_of(documents)
    chosen = choose_authors(known, preparation.authors, name)
    cache = cache.expanduser().absolute()
    key = _fingerprint(documents, preparation, split, chosen)
    corpora = token_cache.find(cache, key)
    if corpora is None:
        entries = list(_Encoding(_read(documents, preparation, split), preparation, name).corpora(chosen))
        token_cache.keep(cache, key, entries)
        corpora = [figures for _, figures in entries]
    return [_describe(figures, cache, name, preparation) for figures in corpora]


def _check(preparation: Preparation, split: Split) -> None:
    for what, name, known in (
        ("preprocessing", preparation.text, TEXTS),
        ("kind of token", preparation.tokens, TOKEN_KINDS),
        ("mix", preparation.mix, MIXES),
        ("author budget", preparation.author_budget, AUTHOR_BUDGETS),
        ("vocabulary", preparation.vocabulary, ORDERS),
    ):
        if name not in known:
            raise CorpusError(f"There is no {what} {name!r}.{did_you_mean(name, known)}")
    split.check()
    for budget in preparation.train_tokens:
        if isinstance(budget, int) and budget < 1:
            raise CorpusError(f"A training budget must be at least one token; it is {budget}.")


def _fingerprint(
    documents: Sequence[Document], preparation: Preparation, split: Split, chosen: Sequence[Sequence[str]]
) -> str:
    """Return the hash of all that decides the arrays and figures."""
    options: list[object] = [
        FORMAT_VERSION, preparation.text, preparation.tokens, asdict(split), preparation.vocabulary, preparation.mix,
        chosen, list(map(repr, preparation.train_tokens)),
    ]  # fmt: skip
    # What is equal as ever keeps the place that earlier versions gave it.
    options += [preparation.author_budget] if preparation.author_budget != "equal" else []
    content = hashlib.sha256(json.dumps(options).encode())
    for document in documents:
        # The length keeps one text's end apart from the next one's beginning.
        content.update(json.dumps([document.author, len(document.text)]).encode())
        for start in range(0, len(document.text), _HASHED_CHARACTERS):
            content.update(document.text[start : start + _HASHED_CHARACTERS].encode("utf-8"))
    return content.hexdigest()


def _read(documents: Sequence[Document], preparation: Preparation, split: Split) -> _Read:
    authors = authors_of(documents)
    train, valid, test, whole = ({author: list[Pieces]() for author in authors} for _ in range(4))
    read = _Read(Coder(), train, valid, test, whole)
    for document in documents:
        pieces = (
            split_tokens(block, preparation.text, preparation.tokens)
            for block in blocks(document.text, preparation.text)
        )
        ids = Pieces(tuple(array for block in pieces for array in read.coder.encode(block)))
        division = split.parts(len(ids))
        read.whole[document.author].append(ids)
        read.train[document.author].append(ids[division.train])
        read.valid[document.author].append(ids[division.valid])
        read.test[document.author].append(ids[division.test])
    return read


@dataclass
class _Encoding:
    """What all choices of authors and budgets of one corpus share."""

    read: _Read
    preparation: Preparation
    name: str

    def __post_init__(self) -> None:
        self._check_parts()
        counted = self._trains if self.preparation.vocabulary == "train" else self.read.all(self.read.whole)
        arrays = (array for part in counted for array in part.arrays)
        self.vocabulary = self.read.coder.rank(arrays, alphabetical=self.preparation.vocabulary == "alphabetical")
        self.table = self.read.coder.recoding(self.vocabulary)

    def corpora(self, chosen: Sequence[tuple[str, ...]]) -> Iterator[tuple[token_cache.Arrays, token_cache.Figures]]:
        """Yield each choice's corpora, one a budget."""
        sizes = {author: sum(map(len, parts)) for author, parts in self.read.train.items()}
        available = [available_tokens([sizes[each] for each in authors], self.preparation.mix) for authors in chosen]
        largest = largest_budgets(available, self.preparation.author_budget)
        is_cut = len(chosen) > 1 and self.preparation.author_budget == "equal"
        smallest = label(chosen[available.index(min(available))], list(sizes)) if is_cut else ""
        for authors, most in zip(chosen, largest, strict=True):
            for budget in resolve(self.preparation.train_tokens, most):
                shares = share(budget, [sizes[author] for author in authors], self.preparation.mix)
                parts = zip(authors, shares, strict=True)
                train = Pieces.join(Pieces.join(self.read.train[author])[:tokens] for author, tokens in parts)
                yield self._corpus(authors, train, most, smallest)

    def _corpus(
        self, authors: Sequence[str], train: Pieces, available: int, smallest: str
    ) -> tuple[token_cache.Arrays, token_cache.Figures]:
        valid = Pieces.join(part for author in authors for part in self.read.valid[author])
        if not len(valid) or not len(train):
            raise self._too_short(len(train), len(valid))
        arrays = token_cache.Arrays(
            train=Recoded(train, self.table),
            valid=Recoded(valid, self.table),
            held_out=Recoded(Pieces.join(part for _, _, part in self._held_out), self.table),
            vocabulary=self._vocabulary_file,
        )
        figures = token_cache.Figures(
            digest=arrays.digest,
            authors=label(authors, list(self.read.train)),
            # One author alone is not mixed with any: the same trial under either.
            mix=self.preparation.mix if len(authors) > 1 else "proportional",
            vocab_size=len(self.vocabulary),
            train_tokens=len(train),
            valid_tokens=len(valid),
            valid_chars_per_token=self._chars_per_token(valid),
            unigram_valid_perplexity=self._unigram_perplexity(train, valid),
            available_tokens=available,
            smallest=smallest,
            duplicate_share=self._duplicate_share,
            prefix=self._opening(valid),
            held_out=self._spans(),
        )
        return arrays, figures

    @property
    def _trains(self) -> list[Pieces]:
        return self.read.all(self.read.train)

    @cached_property
    def _held_out(self) -> list[tuple[str, str, Pieces]]:
        """Author, kind and ids of each held-out part, in the order of their file."""
        return [
            (author, kind, Pieces.join(documents))
            for kind, parts in (("valid", self.read.valid), ("test", self.read.test))
            for author, documents in parts.items()
            if sum(map(len, documents))
        ]

    def _opening(self, valid: Pieces) -> str:
        """Return the words a sample of this text begins with."""
        ids = (number for array in Recoded(valid[:_LOOKED_AT_TOKENS], self.table) for number in array.tolist())
        known = [symbol for symbol in map(self.vocabulary.symbols.__getitem__, ids) if symbol != UNKNOWN]
        return opening(known or self.vocabulary.symbols[-1:], self.preparation.tokens)

    def _spans(self) -> list[list[object]]:
        stops = np.cumsum([len(part) for _, _, part in self._held_out]).tolist()
        return [
            [author, kind, stop - len(part), stop, self._chars_per_token(part)]
            for (author, kind, part), stop in zip(self._held_out, stops, strict=True)
        ]

    @cached_property
    def _vocabulary_file(self) -> bytes:
        symbols = {"symbols": self.vocabulary.symbols, "text": self.preparation.text, "tokens": self.preparation.tokens}
        return json.dumps(symbols, ensure_ascii=False).encode("utf-8")

    @cached_property
    def _duplicate_share(self) -> float:
        held_out = self.read.all(self.read.valid, self.read.test)
        return duplicate_share(self._trains, held_out, PASSAGE_TOKENS[self.preparation.tokens])

    @cached_property
    def _symbol_lengths(self) -> npt.NDArray[np.int64]:
        return np.array([len(symbol) for symbol in self.read.coder.symbols])

    def _chars_per_token(self, part: Pieces) -> float:
        """Return the characters a token stands for: a word's letters and the one space that parts it from the next."""
        if self.preparation.tokens == "char":
            return 1.0
        return 1.0 + float(part.counts(self.read.coder.size) @ self._symbol_lengths) / len(part)

    def _unigram_perplexity(self, train: Pieces, valid: Pieces) -> float:
        """Return the perplexity on valid of train's frequencies, each counted once more than it was seen."""
        size = len(self.vocabulary)
        seen, occurrences = (
            np.bincount(self.table, weights=part.counts(self.read.coder.size), minlength=size)
            for part in (train, valid)
        )
        probability = (seen + 1) / (len(train) + size)
        return math.exp(-float(occurrences @ np.log(probability)) / len(valid))

    def _check_parts(self) -> None:
        num_train, num_valid, num_test = (
            sum(map(len, self.read.all(part))) for part in (self.read.train, self.read.valid, self.read.test)
        )
        if not num_train + num_valid + num_test and self.preparation.text != "raw":
            raise CorpusError(
                f"Corpus {self.name!r} has no letter from A to Z, and d2l keeps no others; use --text raw."
            )
        if not num_train or not num_valid:
            raise self._too_short(num_train, num_valid)

    def _too_short(self, num_train: int, num_valid: int) -> CorpusError:
        return CorpusError(
            f"Corpus {self.name!r} is too short: {num_train} tokens would train and {num_valid} validate; "
            "select a longer text."
        )


def _describe(figures: token_cache.Figures, cache: Path, name: str, preparation: Preparation) -> TokenisedCorpus:
    digest = figures.digest
    held_out_path = str(token_cache.held_out_path(cache, digest))
    return TokenisedCorpus(
        name=name,
        authors=figures.authors,
        text=preparation.text,
        tokens=preparation.tokens,
        digest=digest,
        train_path=token_cache.train_path(cache, digest),
        valid_path=token_cache.valid_path(cache, digest),
        vocabulary_path=token_cache.vocabulary_path(cache, digest),
        vocab_size=figures.vocab_size,
        train_tokens=figures.train_tokens,
        valid_tokens=figures.valid_tokens,
        valid_chars_per_token=figures.valid_chars_per_token,
        unigram_valid_perplexity=figures.unigram_valid_perplexity,
        mix=figures.mix,
        available_tokens=figures.available_tokens,
        smallest=figures.smallest,
        duplicate_share=figures.duplicate_share,
        prefix=figures.prefix,
        held_out=tuple(
            HeldOutPart(author=author, part=part, path=held_out_path, start=start, stop=stop, chars_per_token=chars)
            for author, part, start, stop, chars in figures.held_out
        ),
    )
