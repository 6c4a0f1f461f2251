"""Which texts train and how they become tokens, as it is asked for: each field is an option."""

from dataclasses import dataclass
from pathlib import Path

from harness.contracts.settings import setting, values
from harness.texts.decoding import UTF_8
from harness.texts.split import AUTHOR_BUDGETS, HELD_OUT, MIXES, AuthorBudget, Budget, Mix

TEXTS = ("d2l", "raw", "d2l-1.0")
TOKEN_KINDS = ("char", "word")
ORDERS = ("train", "frequency", "alphabetical")
"""Of a vocabulary: the training part's tokens by falling frequency, or all the text's, either way."""


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """How a corpus's documents become tokens that train and tokens that are held out."""

    authors: tuple[str, ...] = setting(
        ("all",),
        heading="Authors",
        description="Whose texts train.",
        option="--authors",
        values=values("names", "names"),
        typed="all",
        help="Whose texts train: all together, each alone, or names as in charlotte,anne+emily; all are evaluated.",
    )
    mix: Mix = setting(
        "proportional",
        heading="Mix",
        description="What each of several authors gives to the training tokens.",
        option="--mix",
        values=values("choice", "|".join(MIXES), known=MIXES),
        help="What each of several authors gives: equally many tokens, or in proportion to its size.",
    )
    author_budget: AuthorBudget = setting(
        "equal",
        heading="Authors' budget",
        description="How much of each of several choices of authors trains.",
        option="--author-budget",
        values=values("choice", "|".join(AUTHOR_BUDGETS), known=AUTHOR_BUDGETS),
        help="Of --authors compared: equal, as much of each as the smallest has; or full, each with all its text.",
    )
    text: str = setting(
        "d2l",
        heading="Text",
        description="Preprocessing of the characters.",
        option="--text",
        values=values("choice", "|".join(TEXTS), known=TEXTS),
        help="d2l: lower-case letters and spaces, line by line; d2l-1.0: of the whole text; raw: as it stands.",
    )
    split: str = setting(
        HELD_OUT,
        heading="Split",
        description="Which parts train, validate and test.",
        option="--split",
        values=values("word", "parts"),
        help="held-out (of each document a tenth validates, the last tenth tests), 80/10/10, or windows:10000+5000x32.",
    )
    vocabulary: str = setting(
        "train",
        heading="Vocabulary",
        description="Of which part, and in which order.",
        option="--vocabulary",
        values=values("choice", "|".join(ORDERS), known=ORDERS),
        help="Of the training part, or of the whole text by frequency or alphabet.",
    )
    tokens: str = setting(
        "char",
        heading="Tokens",
        description="What a token is.",
        option="--tokens",
        values=values("choice", "|".join(TOKEN_KINDS), known=TOKEN_KINDS),
        help="Characters or words.",
    )
    train_tokens: tuple[Budget, ...] = setting(
        (None,),
        heading="Training tokens",
        description="How much trains.",
        option="--train-tokens",
        values=values("token_budgets", "tokens"),
        typed="all",
        help="Training budgets, as in 10k,100k,all; 10k..all:5 is five at equal ratios.",
    )


@dataclass(frozen=True, kw_only=True)
class TextSelection(Preparation):
    """Which texts, prepared in one way."""

    corpora: tuple[str, ...] = setting(
        ("bronte",),
        heading="Corpora",
        description="Which texts.",
        option="--corpus",
        values=values("names", "names"),
        typed="bronte",
        help="Named corpora, text files or folders (sub-folders are authors); some books only: NAME:BOOK+BOOK; or "
        "sources as in markov:order=2,seed=1.",
    )
    encoding: str = setting(
        UTF_8,
        heading="Encoding",
        description="What the bytes of text files named by their paths mean.",
        option="--encoding",
        values=values("encoding", "name"),
        help="Of text files and folders, as in windows-1252, shift_jis or utf-16.",
    )
    corpora_dir: Path | None = None
    """A folder that may hold them already."""
