"""The report of a batch, as a page and as JSON."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from rs_superres.batch.job import Job, SceneOutcome, upscale_scene
from rs_superres.batch.report import BatchReport, write
from rs_superres.engine import Options
from rs_superres.raster import SkippedFile
from tests import rasters
from tests.pages import EVIL, Elements
from tests.rasters import RGB, textured


class Page(HTMLParser):
    """Collects the links, pictures and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, tag: str, name: str) -> list[Any]:
        return [attributes[name] for kind, attributes in self.tags if kind == tag]


def test_a_page_shows_what_was_done_and_how(tmp_path: Path, tiny: str) -> None:
    scene = rasters.write(tmp_path / "a.tif", textured(1, 3, 40, 44), colours=RGB)
    out = tmp_path / "finer <b>" / "a & b.tif"
    options = Options(model=tiny, steps=0, scale=2)
    job = Job(
        number=0, name="a & b.tif", source=str(scene), out=out, options=options, pictures=True
    )
    outcome = upscale_scene(job, lambda *_: None)
    failed = replace(
        outcome, name="x<i>.tif", status="failed", error="1 < 2", before=None, after=None,
        size=None, scale=None,
    )  # fmt: skip
    report = BatchReport(
        outcomes=[outcome, failed],
        seconds=3.0,
        model="aerial",
        command="rs-sr batch 'a <b>' --scale 2",
        passed_over=[SkippedFile(Path("n.csv"), "n.csv <is> no raster", is_raster=False)],
        results=[Path("old.tif")],
    )
    (tmp_path / "reports").mkdir()
    path = tmp_path / "reports" / "r.html"
    write(path, report)
    page = Page(path.read_text("utf-8"))
    assert not {"b", "i", "is"} & {tag for tag, _ in page.tags}
    for text in (
        *("model aerial, scale 2", "rs-sr batch 'a <b>' --scale 2", "1 < 2", "a & b.tif"),
        *("x<i>.tif", "n.csv <is> no raster", "88 × 80", "1 done, 0 skipped, 1 failed; 0.01 Mpx"),
    ):
        assert text in page.text
    assert page.values("a", "href") == ["../finer%20%3Cb%3E/a%20%26%20b.tif"]
    assert page.values("img", "alt") == ["before", "after"]
    before, after = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(text.partition(",")[2]))))
        for text in page.values("img", "src")
    )
    assert before.shape == after.shape == (80, 88, 3)
    np.testing.assert_array_equal(before[::2, ::2], rasters.read(scene).transpose(1, 2, 0))
    np.testing.assert_array_equal(after, rasters.read(out).transpose(1, 2, 0))
    facts = json.loads(path.with_suffix(".json").read_text())
    assert (facts["model"], facts["command"]) == (report.model, report.command)
    assert facts["scenes"][0]["scale"] == 2
    assert [f["file"] for f in facts["passed_over"]] == ["n.csv", "old.tif"]
    assert not re.search("base64", json.dumps(facts))


def test_names_that_are_no_utf8_are_written(tmp_path: Path, tiny: str) -> None:
    scene = rasters.write(tmp_path / "a.tif", textured(1, 1, 9, 9))
    options = Options(model=tiny, steps=0, scale=2)
    job = Job(
        number=0, name="a\udce5.tif", source=str(scene), out=tmp_path / "a.tif", options=options
    )
    outcome = upscale_scene(job, lambda *_: None)
    report = BatchReport(outcomes=[outcome], seconds=1.0, model="aerial", command="rs-sr")
    write(tmp_path / "r.html", report)
    assert "a?.tif" in (tmp_path / "r.html").read_text("utf-8")


def test_names_and_messages_are_text(tmp_path: Path) -> None:
    def report(text: str) -> BatchReport:
        outcome = SceneOutcome(
            name=f"{text}/a.tif",
            source=text,
            out=text,
            status="failed",
            error=f"{text} is bad",
            warnings=(f"band {text}", "</td></table>"),
        )
        return BatchReport(outcomes=[outcome], seconds=1.0, model=text, command=f"rs-sr {text}")

    for name, text in (("plain", "plain"), ("evil", EVIL)):
        write(tmp_path / f"{name}.html", report(text))
    plain, evil = (
        Elements((tmp_path / f"{name}.html").read_text("utf-8")) for name in ("plain", "evil")
    )
    assert evil.elements == plain.elements
    assert "onerror" not in evil.attributes
    assert f"{EVIL}/a.tif" in evil.text
    assert "</td></table>" in evil.text
    facts = (tmp_path / "evil.json").read_text("utf-8")
    assert "\x1b" not in facts
    assert json.loads(facts)["scenes"][0]["name"] == f"{EVIL}/a.tif"
