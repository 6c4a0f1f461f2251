"""Reads a page as a browser's parser would: elements with their attributes and text, and what is not balanced."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Self

VOID = {"meta", "input", "br", "link", "img", "hr"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str | None]
    children: list["Element | str"] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The words within, single-spaced; scripts and styles have none."""
        if self.tag in ("script", "style"):
            return ""
        # Block elements end words; so do table cells.
        inner = "".join(child if isinstance(child, str) else f" {child.text} " for child in self.children)
        return " ".join(inner.split())

    @property
    def source(self) -> str:
        """The raw text directly within, for scripts and styles."""
        return "".join(child for child in self.children if isinstance(child, str))

    def everything(self) -> Iterator["Element"]:
        """Every element below, in the order of the page."""
        for child in self.children:
            if isinstance(child, Element):
                yield child
                yield from child.everything()

    def all(self, tag: str, **attributes: str) -> list["Element"]:
        """Every element below with this tag and these attributes; 'class_' asks for one of the classes."""
        return [each for each in self.everything() if each.tag == tag and each.has(attributes)]

    def has(self, attributes: dict[str, str]) -> bool:
        """Whether the element has these attributes."""
        wanted = dict(attributes)
        class_ = wanted.pop("class_", None)
        if class_ is not None and class_ not in (self.attributes.get("class") or "").split():
            return False
        return all(self.attributes.get(name) == value for name, value in wanted.items())

    def one(self, tag: str, **attributes: str) -> "Element":
        (element,) = self.all(tag, **attributes)
        return element


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("root", {})
        self.open = [self.root]
        self.errors: list[str] = []

    @classmethod
    def read(cls, html: str) -> Self:
        reader = cls()
        reader.feed(html)
        reader.close()
        reader.errors += [f"<{element.tag}> is never closed" for element in reader.open[1:]]
        return reader

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if self.open[-1].tag != tag:
            self.errors.append(f"</{tag}> closes <{self.open[-1].tag}>")
        while len(self.open) > 1 and self.open.pop().tag != tag:
            pass

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def read_html(html: str) -> Element:
    """Return the page's root; every element must be closed where it should be."""
    reader = Reader.read(html)
    assert reader.errors == []
    return reader.root
