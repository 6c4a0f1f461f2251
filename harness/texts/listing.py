"""What `harness corpora` says and does about texts: which are known, what they hold, and their download."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from harness.contracts.corpora import CorpusRequest, Document
from harness.contracts.descriptors import Corpus
from harness.errors import CorpusError, did_you_mean
from harness.texts.authors import authors_of
from harness.texts.conditional_entropy import entropies
from harness.texts.entropy import known_entropy
from harness.texts.preprocessing import split_tokens
from harness.texts.sources import choose, read_texts

HIGHEST_ORDER = 4
_LISTED_AUTHORS = 3
_PREPARATIONS = {"raw": "as it stands (--text raw)", "d2l": "letters and spaces (--text d2l)"}


def table(corpora: Iterable[Corpus], request: CorpusRequest) -> Table:
    """Return one row a corpus."""
    listing = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("name", "title", "authors", "books", "size", "licence", "here"):
        listing.add_column(heading, no_wrap=heading == "name", overflow="fold")
    for corpus in corpora:
        listing.add_row(
            *map(escape, (corpus.name, corpus.title, _some(corpus.authors), str(len(corpus.books) or 1))),
            *map(escape, (corpus.size, corpus.licence, _where(corpus, request))),
        )
    return listing


def require_known(selection: str, corpora: Mapping[str, Corpus]) -> None:
    """Raise a CorpusError for a name nobody announced, and for a book its corpus does not have."""
    name, _ = choose(selection, corpora)
    if name not in corpora:
        raise CorpusError(
            f"There is no corpus named {name!r}.{did_you_mean(name, corpora)} 'harness corpora list' lists them."
        )


def fetch(selection: str, corpora: Mapping[str, Corpus], request: CorpusRequest) -> str:
    """Read a known corpus or some of its books, downloading what is not here, and say what there is now.

    Raises: CorpusError.
    """
    texts = read_texts(selection, corpora, request)
    characters = sum(len(document.text) for document in texts.documents)
    downloaded = corpora[choose(selection, corpora)[0]].downloaded
    return (
        f"{texts.name}: {characters:,} characters, {'whole and unaltered' if downloaded else 'here without a download'}"
    )


def describe(selection: str, corpora: Mapping[str, Corpus], request: CorpusRequest) -> Iterator[str]:
    """Yield the lines that describe a text, all of a corpus or some books of it, as far as it is here.

    Raises: CorpusError.
    """
    name, books = choose(selection, corpora)
    corpus = corpora.get(name)
    if corpus is not None:
        yield f"{selection}: {', '.join(books) + ' of ' if books else ''}{corpus.title}"
        yield from _facts({"authors": ", ".join(corpus.authors), "size": corpus.size + (" in all" if books else "")})
        corpus = _only(corpus, books)
        yield from _facts({"licence": corpus.licence, "source": corpus.source})
        yield from _facts({"here": _where(corpus, request, selection)})
        if not is_here(corpus, request):
            yield f"Its figures need the text: harness corpora fetch {selection}"
            return
    documents = read_texts(selection, corpora, request).documents
    yield ""
    yield from _contents(documents)
    yield ""
    yield from _figures(documents)


def is_here(corpus: Corpus, request: CorpusRequest) -> bool:
    """Return whether the corpus can be read without a download; its bytes are checked when it is read."""
    return not corpus.downloaded or (bool(corpus.files) and None not in _folders_of(corpus, request))


def _only(corpus: Corpus, books: Sequence[str]) -> Corpus:
    """Return the corpus with these books' files alone, where each book is one file."""
    if not books or len(corpus.files) != len(corpus.books):
        return corpus
    pairs = zip(corpus.books, corpus.files, strict=True)
    return replace(corpus, files=tuple(file for book, file in pairs if book in books))


def _folders_of(corpus: Corpus, request: CorpusRequest) -> set[Path | None]:
    """Return where the corpus's files lie; None stands for nowhere."""
    folders = [folder for folder in (request.mirror, request.downloads) if folder is not None]
    return {next((folder for folder in folders if (folder / file).is_file()), None) for file in corpus.files}


def _where(corpus: Corpus, request: CorpusRequest, selection: str = "") -> str:
    if not corpus.downloaded:
        return "yes"
    if is_here(corpus, request):
        return f"yes, in {' and '.join(sorted(map(str, _folders_of(corpus, request))))}"
    return f"no: harness corpora fetch {selection or corpus.name}"


def _some(authors: Sequence[str]) -> str:
    more = len(authors) - _LISTED_AUTHORS
    listed = authors if more < 2 else [*authors[:_LISTED_AUTHORS], f"{more} more"]
    return ", ".join(listed)


def _facts(facts: Mapping[str, str]) -> Iterator[str]:
    return (f"  {name:<9}{value}" for name, value in facts.items() if value)


def _contents(documents: Sequence[Document]) -> Iterator[str]:
    """Yield the characters of each author and of each book."""
    for author in authors_of(documents):
        own = [document for document in documents if document.author == author]
        yield f"{author}: {_characters(own)} in {len(own)} {'text' if len(own) == 1 else 'texts'}"
        books: dict[str, list[Document]] = {}
        for document in own:
            books.setdefault(document.name, []).append(document)
        for name, parts in books.items():
            title = parts[0].title if len(parts) == 1 else f"{len(parts)} parts, from {parts[0].title}"
            yield f"  {name:<26} {_characters(parts):>20}  {title}"


def _characters(documents: Sequence[Document]) -> str:
    return f"{sum(len(document.text) for document in documents):,} characters"


def _figures(documents: Sequence[Document]) -> Iterator[str]:
    known = known_entropy(documents, "raw", "char")
    if known is not None:
        rate = f"{known.low:.4f}" if known.low == known.high else f"between {known.low:.4f} and {known.high:.4f}"
        yield f"entropy rate of the source: {rate} bits per character ({known.method})"
        yield ""
    for preparation, words in _PREPARATIONS.items():
        texts = ["".join(split_tokens(document.text, preparation, "char")) for document in documents]
        vocabulary = len(set().union(*texts))
        yield f"{words}: {sum(map(len, texts)):,} characters, {vocabulary} different ones"
        for entropy in entropies(texts, HIGHEST_ORDER):
            yield (
                f"  entropy of order {entropy.order}: {entropy.bits_per_char:.3f} bits per character "
                f"(too low by {entropy.bias:.3f} or more)"
            )
    yield (
        "Order n is a character's entropy given the n before it, from the text's own frequencies. The higher the order "
        "and the shorter the text, the more contexts are seen only once and look certain: the figure is then too low, "
        "by what is said (Miller–Madow) or more. It is a bound for no model."
    )
