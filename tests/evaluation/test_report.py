"""The files of the report, and its page in a browser without a network."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rs_superres.errors import InputError, WriteError
from rs_superres.evaluation import files
from rs_superres.evaluation.metrics import METRICS
from rs_superres.evaluation.plans import EvaluationOptions, plan
from rs_superres.evaluation.report import page
from rs_superres.evaluation.results import BICUBIC, Evaluation
from rs_superres.evaluation.run import run
from rs_superres.evaluation.sources import parse_sources
from tests import rasters
from tests.evaluation.browser import Tab, browse
from tests.pages import EVIL, Elements
from tests.rasters import RGB, Array, textured


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory, tiny: str) -> Evaluation:
    folder = tmp_path_factory.mktemp("data")
    for i in range(3):
        image = textured(i, 3, 60, 60).clip(0, 200 + 20 * i).astype(np.uint8)
        rasters.write(folder / f"<{i}>.tif", image, colours=RGB)
    return run(
        plan(
            EvaluationOptions(data=(folder,), models=(tiny,), scales=(2.0, 3.0), steps=1, samples=2)
        )
    )


def test_files_hold_the_scores(evaluation: Evaluation, tmp_path: Path, tiny: str) -> None:
    out = tmp_path / "report"
    files.check_out(out, overwrite=False)
    files.write(evaluation, out)
    assert sorted(p.name for p in out.iterdir()) == ["report.html", "scores.csv", "scores.json"]
    assert [p.name for p in tmp_path.iterdir()] == ["report"]
    with (out / "scores.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(evaluation.rows) == 12
    row = next(r for r in lines if (r["image"], r["scale"], r["method"]) == ("<1>.tif", "3", tiny))
    (expected,) = evaluation.values_by_image(tiny, 3.0, "psnr")["<1>.tif"]
    assert float(row["psnr"]) == pytest.approx(expected)
    assert row["lpips"] == ""
    facts = json.loads((out / "scores.json").read_text("utf-8"))
    assert list(facts) == ["settings", "summary", "reliability", "skipped", "images"]
    summary = next(s for s in facts["summary"] if (s["scale"], s["method"]) == (3.0, tiny))
    assert set(METRICS) <= set(summary["metrics"])
    mean = np.mean([float(r["psnr"]) for r in lines if (r["scale"], r["method"]) == ("3", tiny)])
    assert summary["metrics"]["psnr"]["mean"] == pytest.approx(mean)
    assert summary["metrics"]["psnr"]["gain"]["count"] == 3
    assert summary["metrics"]["lpips"] is None
    assert {r["scale"] for r in facts["reliability"]} == {2.0, 3.0}
    assert not {math.nan, math.inf} & {v for i in facts["images"] for v in i.values()}


def test_names_are_text(tmp_path: Path, tiny: str) -> None:
    """A model's path and a file's name, in the page, its charts and its script's data."""
    pages = {}
    for name in ("plain", EVIL):
        # The path holds </script> too.
        model, data = tmp_path / name / "a<" / "script>", tmp_path / name / "data"
        shutil.copytree(tiny, model)
        data.mkdir()
        rasters.write(data / f"{name}.tif", textured(1, 3, 60, 60), colours=RGB)
        (data / f"bad {name}.tif").write_text("no raster")
        options = EvaluationOptions(
            data=(data,), models=(str(model),), scales=(2.0,), steps=1, samples=2
        )
        html = page(run(plan(options)))
        pages[name] = Elements(html)
        # "<!--" and "<script" would hide the end of the script from a browser.
        [layers] = re.findall('id="layers">(.*?)</script>', html)
        assert "<" not in layers
        assert list(json.loads(layers)[0]["pictures"])
    assert pages[EVIL].elements == pages["plain"].elements
    assert pages[EVIL].elements["script"] == 2
    assert "onerror" not in pages[EVIL].attributes
    assert EVIL in pages[EVIL].text


def test_existing_files_are_not_replaced(evaluation: Evaluation, tmp_path: Path) -> None:
    out = tmp_path / "report"
    files.write(evaluation, out)
    with pytest.raises(InputError, match="exists; overwrite=True replaces it"):
        files.check_out(out, overwrite=False)
    files.check_out(out, overwrite=True)
    files.write(replace(evaluation, rows=evaluation.rows[:2]), out)
    assert (out / "scores.csv").read_text("utf-8").count("\n") == 3
    (out / "mine.txt").write_text("kept")
    with pytest.raises(InputError, match=r"holds other files \(mine.txt\)"):
        files.check_out(out, overwrite=True)
    with pytest.raises(InputError, match="is a file"):
        files.check_out(out / "mine.txt", overwrite=True)
    with pytest.raises(InputError, match="does not exist"):
        files.check_out(tmp_path / "none" / "report", overwrite=True)


def test_a_failed_report_leaves_nothing(
    evaluation: Evaluation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "_write_table", full)
    with pytest.raises(WriteError, match=r"cannot write .*report: No space left"):
        files.write(evaluation, tmp_path / "report")
    assert not list(tmp_path.iterdir())


def test_a_report_that_cannot_be_replaced_stays(
    evaluation: Evaluation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.write(evaluation, tmp_path / "report")
    rename = Path.rename

    def refused(path: Path, target: Path) -> Path:
        if path.suffix == ".partial":
            raise OSError(13, "Permission denied")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(WriteError, match=r"cannot write .*report: Permission denied"):
        files.write(evaluation, tmp_path / "report")
    assert [p.name for p in tmp_path.iterdir()] == ["report"]
    assert (tmp_path / "report" / "report.html").exists()


def test_the_page_needs_no_other_file(evaluation: Evaluation) -> None:
    text = page(evaluation)
    assert "http" not in re.sub(r"data:image/png;base64,[\w+/=]+", "", text).replace(
        "http-equiv", ""
    )
    assert "<1>.tif" not in text.partition("<script")[0]
    assert "&lt;1&gt;.tif" in text
    for metric in ("PSNR, dB", "SSIM", "ERGAS", "detail hallucinated, %", "overshoot of the"):
        assert f"<figcaption>{metric}" in text
    assert "LPIPS" not in text
    assert text.count("<circle") > 50
    gain = evaluation.summary(evaluation.methods[1], 3.0, "psnr")
    assert gain is not None
    assert f"<small>{gain.ends[0]:.2f} – {gain.ends[1]:.2f}</small>" in text
    assert "<small>band 3</small>" in text


def test_pictures_have_the_same_contrast_stretch(tmp_path: Path, tiny: str) -> None:
    """The low resolution determines the stretch of 16-bit pictures: equal values look equal."""
    ramp = np.broadcast_to(np.linspace(1000, 9000, 64), (1, 64, 64)).astype(np.uint16)
    rasters.write(tmp_path / "a.tif", ramp)
    options = EvaluationOptions(data=(tmp_path,), models=(tiny,), scales=(2.0,), steps=0)
    evaluation = run(plan(options))
    (example,) = evaluation.examples
    assert list(example.pictures) == ["low resolution", BICUBIC, tiny, "truth"]
    pictures = {
        name: np.asarray(Image.open(io.BytesIO(base64.b64decode(png)))).astype(int)
        for name, png in example.pictures.items()
    }
    for picture in pictures.values():
        assert picture.shape == (64, 64, 3)
        assert (picture[..., 0] == picture[..., 2]).all()
        assert abs(picture[:, 20:44] - pictures["truth"][:, 20:44]).max() <= 12
    assert pictures["truth"].min() == 0
    assert pictures["truth"].max() == 255
    assert list(example.differences) == [BICUBIC, tiny]


def test_sources_are_in_all_files(tmp_path: Path, tiny: str) -> None:
    for i in range(3):
        rasters.write(tmp_path / f"{i}.tif", textured(i, 3, 48, 48), colours=RGB)
    options = EvaluationOptions(
        data=(tmp_path,),
        models=(tiny,),
        scales=(2.0, 3.0),
        steps=1,
        samples=2,
        spoil=parse_sources("noise=8,sharpen=1+jpeg=60"),
    )
    spoiled = run(plan(options))
    names = ["clean", "noise=8", "sharpen=1+jpeg=60"]
    files.write(spoiled, tmp_path / "report")
    with (tmp_path / "report" / "scores.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [line["source"] for line in lines[:6:2]] == names
    facts = json.loads((tmp_path / "report" / "scores.json").read_text("utf-8"))
    assert facts["settings"]["sources"] == names
    assert [(s["scale"], s["source"], s["method"]) for s in facts["summary"]] == [
        (scale, name, method)
        for scale in (2.0, 3.0)
        for name in names
        for method in (BICUBIC, tiny)
    ]
    noisy = facts["summary"][3]["metrics"]["psnr"]
    values = [
        float(line["psnr"])
        for line in lines
        if (line["scale"], line["source"], line["method"]) == ("2", "noise=8", tiny)
    ]
    assert (noisy["mean"], noisy["median"]) == pytest.approx((np.mean(values), np.median(values)))
    assert {(r["scale"], r["source"]) for r in facts["reliability"]} == {
        (scale, name) for scale in (2.0, 3.0) for name in names
    }
    assert {image["source"] for image in facts["images"]} == set(names)
    text = page(spoiled)
    assert text.count("<th>source</th>") == 3  # of the scores, the bands and the reliability
    assert text.count('<td class="method">noise=8</td>') == 2 * 2 * 2 + 2
    assert f"x2 · noise=8 · {tiny} over bicubic" in text
    assert "<h3>x3 · sharpen=1+jpeg=60, median gain: " in text
    assert "<details><summary>noise=8</summary>" in text
    assert "<figcaption>PSNR over bicubic by image, dB; noise=8</figcaption>" in text
    assert "<dt>sources</dt><dd>clean, noise=8, sharpen=1+jpeg=60</dd>" in text


def test_a_single_source_needs_no_name(evaluation: Evaluation) -> None:
    text = page(evaluation)
    assert "<th>source</th>" not in text
    assert "clean" not in text
    assert "<dt>sources</dt>" not in text


def test_the_page_works_in_a_browser(evaluation: Evaluation, tmp_path: Path) -> None:
    files.write(evaluation, tmp_path / "report")
    browse((tmp_path / "report" / "report.html").as_uri(), tmp_path / "profile", use_the_page)


async def use_the_page(tab: Tab) -> None:
    """Drag the slider, choose a picture and a scale; nothing is fetched, and nothing fails."""
    visible = "[...document.querySelectorAll('.example')].filter(e => !e.hidden)"
    assert await tab.value(f"{visible}.map(e => e.dataset.scale).join()") == "2,2,2"
    await tab.value(f"{visible}[0].scrollIntoView()")
    box = await tab.value(
        f"JSON.stringify({visible}[0].querySelector('.compare').getBoundingClientRect())"
    )
    rectangle = json.loads(box)
    left, top, width, height = (rectangle[k] for k in ("x", "y", "width", "height"))

    def inside(picture: Array, start: float, end: float) -> Array:
        rows = slice(int(top) + 4, int(top + height / 3))
        return picture[rows, int(left + start * width) : int(left + end * width)]

    before = await tab.picture()
    assert inside(before, 0, 1).std() > 10  # a picture, not a blank
    y = top + height / 2
    await tab.mouse("mousePressed", left + width / 2, y)
    await tab.mouse("mouseMoved", left + 0.2 * width, y)
    await tab.mouse("mouseReleased", left + 0.2 * width, y)
    at = await tab.value(f"{visible}[0].querySelector('.compare').getAttribute('aria-valuenow')")
    assert int(at) == pytest.approx(20, abs=1)
    after = await tab.picture()
    # The bar passed over a part that now shows the other picture; the rest is unchanged.
    assert (inside(before, 0.25, 0.45) != inside(after, 0.25, 0.45)).mean() > 0.2
    assert (inside(before, 0.6, 0.98) == inside(after, 0.6, 0.98)).all()
    assert (inside(before, 0.02, 0.15) == inside(after, 0.02, 0.15)).all()
    await tab.value(f"{visible}[0].querySelector('.buttons.after button:last-child').click()")
    assert await tab.value(f"{visible}[0].querySelector('.tag.right').textContent") == "truth"
    await tab.value("[...document.querySelectorAll('.scales button')].at(-1).click()")
    assert await tab.value(f"{visible}.map(e => e.dataset.scale).join()") == "3,3,3"
    urls = [
        event["params"]["request"]["url"]
        for event in tab.events
        if event.get("method") == "Network.requestWillBeSent"
    ]
    assert urls
    assert all(url.startswith(("file:", "data:")) for url in urls)
    assert not [e for e in tab.events if e.get("method") == "Runtime.exceptionThrown"]
