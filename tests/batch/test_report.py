"""The page of a batch shows names and messages as text."""

from __future__ import annotations

import json
from pathlib import Path

from rs_superres.batch import report
from rs_superres.batch.job import SceneOutcome
from tests.pages import EVIL, Elements


def test_names_and_messages_are_text(tmp_path: Path) -> None:
    plain, evil = (
        SceneOutcome(
            name=f"{text}/a.tif",
            source=text,
            out=text,
            status="failed",
            error=f"{text} is bad",
            warnings=(f"band {text}", "</td></table>"),
        )
        for text in ("plain", EVIL)
    )
    page = Elements(report.page([evil], 1))
    assert page.elements == Elements(report.page([plain], 1)).elements
    assert "onerror" not in page.attributes
    assert f"{EVIL}/a.tif" in page.text
    assert "</td></table>" in page.text
    report.write(tmp_path / "r.html", [evil], 1)
    assert "\x1b" not in (tmp_path / "r.json").read_text()
    assert json.loads((tmp_path / "r.json").read_text())["scenes"][0]["name"] == f"{EVIL}/a.tif"
