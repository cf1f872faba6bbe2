"""A hook of mkdocs: writes the cells of a notebook where a page names it in double braces."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

MARK = re.compile(r"^\{\{ ([\w-]+\.ipynb) \}\}$", re.MULTILINE)
"""A line that names a notebook in the folder of this file."""


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return a page with the notebooks that it names; mkdocs calls this for each page."""
    return MARK.sub(lambda match: as_markdown(Path(__file__).with_name(match[1])), markdown)


def as_markdown(notebook: Path) -> str:
    """Return the cells of a notebook as Markdown: texts as they are, code as blocks."""
    parts = []
    for cell in json.loads(notebook.read_text("utf-8"))["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
    return "\n\n".join(parts)
