"""Read a web page as a browser does, to see what names from files became in it."""

from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser

EVIL = "<script>alert(1)<img src=x onerror=alert(2)>\"'&lt;<!--<script>"
"""A name that would run code in a page that takes it for HTML. It is a valid file name."""


class Elements(HTMLParser):
    """The elements of a page, and the names of their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: Counter[str] = Counter()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements[tag] += 1
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.text += data
