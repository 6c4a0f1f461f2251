"""What is known of a text's entropy: only a text from a source with known probabilities has such a floor."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.corpus.documents import Document


@dataclass(frozen=True, kw_only=True)
class Entropy:
    """A source's entropy rate: no model's expected bits per character on its text lie below it."""

    low: float
    """Bits per character; equal to ``high`` where the rate is exact, else the ends of its interval."""
    high: float
    deviation: float
    """Of the source's own −log₂ p over n characters the standard error is ``deviation`` / √n bits per character."""
    method: str
    """How the rate was found, for a reader."""


def known_entropy(documents: Sequence["Document"], text: str, tokens: str) -> Entropy | None:
    """Return the entropy all documents share; None where it is not known of the characters as they are prepared."""
    from harness.corpus.text import split_tokens  # with NumPy, which listing plugins must not load

    first = documents[0].entropy
    if first is None or any(document.entropy != first for document in documents):
        return None
    # Letters that are folded or left out make another source of it.
    if tokens != "char" or any(split_tokens(each.text, text, tokens) != each.text for each in documents):
        return None
    return first
