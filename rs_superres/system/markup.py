"""Texts as HTML: names and tags come from files of strangers."""

from __future__ import annotations

import re
from html import escape

LONGEST_TEXT = 1000
"""Characters of a text that are shown, at most."""

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Characters that HTML does not allow, or that change the direction of the text around them."""


def plain(text: str) -> str:
    """Return a text from a file as HTML that shows it."""
    short = text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]} …"
    known = short.encode("utf-8", "replace").decode("utf-8")  # bytes of names that are not UTF-8
    return escape(_CONTROL.sub("\ufffd", known))
