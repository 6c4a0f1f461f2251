"""Cuts a text out of what its publisher put around and into it, by strings the catalogue names."""

from dataclasses import dataclass

from harness.errors import CorpusError


@dataclass(frozen=True, kw_only=True)
class Markers:
    """Where a text begins and ends in its file, and what is not its author's in between."""

    begin: str = ""
    """What the text begins with, at its first occurrence."""
    end: str = ""
    """What follows the text, at its last occurrence."""
    drop: tuple[tuple[str, str], ...] = ()
    """Passages left out: from the first string to the next occurrence of the second, which stays."""

    def cut(self, text: str, name: str) -> str:
        """Return the text between the markers; without any, to the byte. Raises: CorpusError where one is missing."""
        if not (self.begin or self.end or self.drop):
            return text
        start = self._found(text.find(self.begin), self.begin, name)
        stop = self._found(text.rfind(self.end), self.end, name) if self.end else len(text)
        text = text[start:stop]
        for first, following in self.drop:
            since = self._found(text.find(first), first, name)
            until = self._found(text.find(following, since), following, name)
            text = text[:since] + text[until:]
        return text.strip()

    def _found(self, position: int, marker: str, name: str) -> int:
        if position < 0:
            raise CorpusError(f"{name} lacks its marker {marker!r}: it is not the whole text; get the unaltered file.")
        return position
