"""What is known of a text's entropy: only a text from a source with known probabilities has such a floor."""

from collections.abc import Sequence

from harness.contracts.corpora import Document, Entropy


def known_entropy(documents: Sequence[Document], text: str, tokens: str) -> Entropy | None:
    """Return the entropy all documents share; None where it is not known of the characters as they are prepared."""
    from harness.texts.preprocessing import split_tokens  # with NumPy, which listing plugins must not load

    first = documents[0].entropy
    if first is None or any(document.entropy != first for document in documents):
        return None
    # Letters that are folded or left out make another source of it.
    if tokens != "char" or any(split_tokens(each.text, text, tokens) != each.text for each in documents):
        return None
    return first
