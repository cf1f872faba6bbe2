"""The names of classes, as GDAL's VRT files hold them."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET


def category_names(names: Sequence[str]) -> str:
    """Return the names of the values 0, 1, ... as an XML element; empty without names."""
    if not names:
        return ""
    root = ET.Element("CategoryNames")
    for name in names:
        ET.SubElement(root, "Category").text = name
    return ET.tostring(root, encoding="unicode")
