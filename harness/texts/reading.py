"""From a selection of texts to tokenised corpora, and what a user should know of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from harness.errors import CorpusError
from harness.machine.folders import default_cache_dir
from harness.plugins.registry import Registry
from harness.texts import sources
from harness.texts.duplicates import PASSAGE_TOKENS
from harness.texts.entropy import known_entropy
from harness.texts.preprocessing import lost_letters, remark_on_loss
from harness.texts.selection import TextSelection
from harness.texts.split import Budget, LogRange
from harness.texts.tokenisation import tokenise
from harness.texts.tokenised import TokenisedCorpus

REPORTED_DUPLICATES = 0.01
"""From this share of duplicated held-out passages on it is said; set phrases and headings stay below it."""
MOST_LOSS = 0.5
"""Above it what is left is another text, and its perplexity means nothing."""
_TOKEN_NOUNS = {"char": "characters", "word": "words"}


def read_corpora(
    selection: TextSelection, registry: Registry, report: Callable[[str], None], *, show_progress: bool = False
) -> list[TokenisedCorpus]:
    """Return every selected corpus for every choice of authors and every budget; ``report`` takes remarks on them.

    Raises: CorpusError; PluginError where two plugins bring one.
    """
    request = sources.request(selection.corpora_dir, show_progress=show_progress, encoding=selection.encoding)
    corpora: list[TokenisedCorpus] = []
    for name in selection.corpora:
        if name not in registry.corpora and not sources.is_there(name):
            registry.reject_broken(name.partition(":")[0])
        registry.reject_contested("corpus", name.partition(":")[0])
        texts = sources.read_texts(name, registry.corpora, request)
        lost = _lost_share(texts, selection.text)
        for remark in (*_taken_off(texts), remark_on_loss(texts.name, selection.text, lost)):
            if remark:
                report(remark)
        tokenised = tokenise(texts.documents, texts.name, selection, default_cache_dir() / "tokens")
        for remark in _remarks(tokenised, selection.train_tokens):
            report(remark)
        entropy = known_entropy(texts.documents, selection.text, selection.tokens)
        corpora.extend(replace(corpus, entropy=entropy, lost_share=lost) for corpus in tokenised)
    return list(dict.fromkeys(corpora))


def _taken_off(texts: sources.Texts) -> Iterator[str]:
    """Yield what was taken off the texts."""
    taken_off = [document.taken_off for document in texts.documents if document.taken_off]
    if taken_off:
        yield (
            f"{texts.name}: {sum(taken_off):,} characters of Project Gutenberg's headers, licences and credits were "
            f"taken off {len(taken_off):,} of {len(texts.documents):,} texts."
        )


def _lost_share(texts: sources.Texts, kind: str) -> float:
    """Return the share of the texts' letters that their preparation drops. Raises: CorpusError where it is too much."""
    characters = sum(len(document.text) for document in texts.documents)
    lost = sum(lost_letters(document.text, kind) * len(document.text) for document in texts.documents) / characters
    if lost > MOST_LOSS:
        raise CorpusError(
            f"{texts.name}: --text {kind} keeps the letters a to z alone and would drop {lost:.0%} of this text's "
            "letters; --text raw keeps them all."
        )
    return lost


def _remarks(corpora: Sequence[TokenisedCorpus], budgets: Sequence[Budget]) -> Iterator[str]:
    """Yield what a user should know of a corpus, of which these are the choices of authors and budgets."""
    corpus = corpora[0]
    if corpus.smallest:
        yield (
            f"The authors of {corpus.name} are compared on equal budgets: at most {corpus.available_tokens:,} training "
            f"tokens, what {corpus.smallest} has; --author-budget full gives each all of its own."
        )
    for budget in budgets:
        asked = budget.high if isinstance(budget, LogRange) else budget
        if asked is not None:
            yield from _cut_budgets(corpora, asked)
    if corpus.duplicate_share > REPORTED_DUPLICATES:
        yield (
            f"{corpus.duplicate_share:.1%} of the held-out passages of {corpus.name} "
            f"({PASSAGE_TOKENS[corpus.tokens]} {_TOKEN_NOUNS[corpus.tokens]} each) also stand in its training part, "
            "word for word: validation and test flatter every model. Look for the same text twice."
        )


def _cut_budgets(corpora: Sequence[TokenisedCorpus], asked: int) -> Iterator[str]:
    """Yield a sentence for each choice of authors, or all that share a budget, whose text is less than was asked."""
    several = len({corpus.authors for corpus in corpora}) > 1
    cut: dict[str, int] = {}
    for corpus in corpora:
        alone = f"text of {corpus.authors} in {corpus.name}" if several else f"training part of {corpus.name}"
        where = f"authors compared of {corpus.name} have" if corpus.smallest else f"{alone} has"
        if asked > corpus.available_tokens:
            cut[where] = corpus.available_tokens
    for where, available in cut.items():
        yield f"The {where} {available:,} tokens, fewer than the {asked:,} of --train-tokens: all of them are used."
