"""The guides: their code runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
GUIDE = ROOT / "docs" / "python.md"


def test_the_guide_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = GUIDE.read_text("utf-8")
    blocks = list(re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    assert len(blocks) >= 9
    names: dict[str, Any] = {}
    for block in blocks:
        before = text[: block.start(1)].count("\n")
        # Compiled with its place, so that a traceback names the guide's line.
        exec(compile("\n" * before + block[1], GUIDE, "exec"), names)  # noqa: S102
