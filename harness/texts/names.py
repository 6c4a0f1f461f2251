"""Names as people type them: case, accents and punctuation don't count, and some of the words may be enough."""

import re
import unicodedata
from collections.abc import Iterable, Sequence


def fold(name: str) -> tuple[str, ...]:
    """Return a name's words without case and accents: 'Charlotte Brontë' and 'charlotte-bronte' are one."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    bare = "".join(character for character in decomposed if not unicodedata.combining(character))
    words = re.findall(r"\w+", re.sub("['’]", "", bare).replace("_", " "))
    # A name of emoji alone is these: else all such names were one.
    return tuple(words) or tuple(word for word in bare.split() if not word.isascii())


def slug(name: str) -> str:
    """Return a name as it is typed in a command: 'The Time Machine' is 'the-time-machine'."""
    return "-".join(fold(name))


def matching(name: str, known: Sequence[str]) -> list[str]:
    """Return the known names meant: the one spelt so, else those that read so, else those that have all its words."""
    if name in known:
        return [name]
    words = fold(name)
    whole = [each for each in known if fold(each) == words]
    return whole or [each for each in known if words and set(words) <= set(fold(each))]


def read_alike(names: Iterable[str]) -> tuple[str, str] | None:
    """Return two different names that read the same, or None."""
    seen: dict[tuple[str, ...], str] = {}
    for name in dict.fromkeys(names):
        other = seen.setdefault(fold(name), name)
        if other != name:
            return other, name
    return None
