"""The report: files as promised, and a page that works in a browser without a network."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rs_superres.errors import InputError, RasterError
from rs_superres.evaluation import files
from rs_superres.evaluation.figures import FIGURES
from rs_superres.evaluation.plans import EvaluationOptions, plan
from rs_superres.evaluation.report import page
from rs_superres.evaluation.results import BICUBIC, Evaluation
from rs_superres.evaluation.run import run
from tests import rasters
from tests.evaluation.browser import Tab, browse
from tests.rasters import RGB, Array, textured


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, tiny: str) -> Evaluation:
    folder = tmp_path_factory.mktemp("data")
    for i in range(3):
        image = textured(i, 3, 60, 60).clip(0, 200 + 20 * i).astype(np.uint8)
        rasters.write(folder / f"<{i}>.tif", image, colours=RGB)
    return run(
        plan(
            EvaluationOptions(data=(folder,), models=(tiny,), scales=(2.0, 3.0), steps=1, samples=2)
        )
    )


def test_files(found: Evaluation, tmp_path: Path, tiny: str) -> None:
    out = tmp_path / "report"
    files.check_out(out, overwrite=False)
    files.write(found, out)
    assert sorted(p.name for p in out.iterdir()) == ["report.html", "scores.csv", "scores.json"]
    assert [p.name for p in tmp_path.iterdir()] == ["report"]
    with (out / "scores.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(found.rows) == 12
    row = next(r for r in lines if (r["image"], r["scale"], r["method"]) == ("<1>.tif", "3", tiny))
    (wanted,) = found.figures(tiny, 3.0, "psnr")["<1>.tif"]
    assert float(row["psnr"]) == pytest.approx(wanted)
    assert row["lpips"] == ""
    told = json.loads((out / "scores.json").read_text("utf-8"))
    assert list(told) == ["settings", "summary", "reliability", "skipped", "images"]
    summary = next(s for s in told["summary"] if (s["scale"], s["method"]) == (3.0, tiny))
    assert set(FIGURES) <= set(summary["metrics"])
    mean = np.mean([float(r["psnr"]) for r in lines if (r["scale"], r["method"]) == ("3", tiny)])
    assert summary["metrics"]["psnr"]["mean"] == pytest.approx(mean)
    assert summary["metrics"]["psnr"]["gain"]["count"] == 3
    assert summary["metrics"]["lpips"] is None
    assert {r["scale"] for r in told["reliability"]} == {2.0, 3.0}
    assert not {math.nan, math.inf} & {v for i in told["images"] for v in i.values()}


def test_what_is_there_is_not_replaced(found: Evaluation, tmp_path: Path) -> None:
    out = tmp_path / "report"
    files.write(found, out)
    with pytest.raises(InputError, match="exists already; use --overwrite"):
        files.check_out(out, overwrite=False)
    files.check_out(out, overwrite=True)
    files.write(replace(found, rows=found.rows[:2]), out)
    assert (out / "scores.csv").read_text("utf-8").count("\n") == 3
    (out / "mine.txt").write_text("kept")
    with pytest.raises(InputError, match=r"holds other files \(mine.txt\)"):
        files.check_out(out, overwrite=True)
    with pytest.raises(InputError, match="is a file"):
        files.check_out(out / "mine.txt", overwrite=True)
    with pytest.raises(InputError, match="does not exist"):
        files.check_out(tmp_path / "none" / "report", overwrite=True)


def test_half_a_report_is_none(
    found: Evaluation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "_table", full)
    with pytest.raises(RasterError, match=r"cannot write .*report: No space left"):
        files.write(found, tmp_path / "report")
    assert not list(tmp_path.iterdir())


def test_a_report_that_cannot_be_replaced_stays(
    found: Evaluation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.write(found, tmp_path / "report")
    rename = Path.rename

    def refused(path: Path, target: Path) -> Path:
        if path.suffix == ".partial":
            raise OSError(13, "Permission denied")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(RasterError, match=r"cannot write .*report: Permission denied"):
        files.write(found, tmp_path / "report")
    assert [p.name for p in tmp_path.iterdir()] == ["report"]
    assert (tmp_path / "report" / "report.html").exists()


def test_the_page_needs_nothing_else(found: Evaluation) -> None:
    text = page(found)
    assert "http" not in re.sub(r"data:image/png;base64,[\w+/=]+", "", text).replace(
        "http-equiv", ""
    )
    assert "<1>.tif" not in text.partition("<script")[0]
    assert "&lt;1&gt;.tif" in text
    for metric in ("PSNR, dB", "SSIM", "ERGAS", "detail hallucinated, %"):
        assert f"<figcaption>{metric}</figcaption>" in text
    assert "LPIPS" not in text
    assert text.count("<circle") > 50
    gain = found.summary(found.methods[1], 3.0, "psnr")
    assert gain is not None
    assert f"<small>{gain.ends[0]:.2f} – {gain.ends[1]:.2f}</small>" in text
    assert "<small>band 3</small>" in text


def test_pictures_are_stretched_alike(tmp_path: Path, tiny: str) -> None:
    """Of 16 bits, by the low resolution: one value is one grey in every picture."""
    ramp = np.broadcast_to(np.linspace(1000, 9000, 64), (1, 64, 64)).astype(np.uint16)
    rasters.write(tmp_path / "a.tif", ramp)
    found = run(plan(EvaluationOptions(data=(tmp_path,), models=(tiny,), scales=(2.0,), steps=0)))
    (shown,) = found.examples
    assert list(shown.pictures) == ["low resolution", BICUBIC, tiny, "truth"]
    pictures = {
        name: np.asarray(Image.open(io.BytesIO(base64.b64decode(png)))).astype(int)
        for name, png in shown.pictures.items()
    }
    for picture in pictures.values():
        assert picture.shape == (64, 64, 3)
        assert (picture[..., 0] == picture[..., 2]).all()
        assert abs(picture[:, 20:44] - pictures["truth"][:, 20:44]).max() <= 12
    assert pictures["truth"].min() == 0
    assert pictures["truth"].max() == 255
    assert list(shown.differences) == [BICUBIC, tiny]


def test_in_a_browser(found: Evaluation, tmp_path: Path) -> None:
    files.write(found, tmp_path / "report")
    browse((tmp_path / "report" / "report.html").as_uri(), tmp_path / "profile", used)


async def used(tab: Tab) -> None:
    """The slider is dragged, a scale and a picture chosen; nothing is fetched, nothing fails."""
    visible = "[...document.querySelectorAll('.example')].filter(e => !e.hidden)"
    assert await tab.value(f"{visible}.map(e => e.dataset.scale).join()") == "2,2,2"
    await tab.value(f"{visible}[0].scrollIntoView()")
    box = await tab.value(
        f"JSON.stringify({visible}[0].querySelector('.compare').getBoundingClientRect())"
    )
    place = json.loads(box)
    left, top, width, height = (place[k] for k in ("x", "y", "width", "height"))

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
    # What the bar passed over shows the other picture now; what lies beside is as it was.
    assert (inside(before, 0.25, 0.45) != inside(after, 0.25, 0.45)).mean() > 0.2
    assert (inside(before, 0.6, 0.98) == inside(after, 0.6, 0.98)).all()
    assert (inside(before, 0.02, 0.15) == inside(after, 0.02, 0.15)).all()
    await tab.value(f"{visible}[0].querySelector('.buttons.after button:last-child').click()")
    assert await tab.value(f"{visible}[0].querySelector('.tag.right').textContent") == "truth"
    await tab.value("[...document.querySelectorAll('.scales button')].at(-1).click()")
    assert await tab.value(f"{visible}.map(e => e.dataset.scale).join()") == "3,3,3"
    asked = [
        e["params"]["request"]["url"] for e in tab.events
        if e.get("method") == "Network.requestWillBeSent"
    ]  # fmt: skip
    assert asked
    assert all(a.startswith(("file:", "data:")) for a in asked)
    assert not [e for e in tab.events if e.get("method") == "Runtime.exceptionThrown"]
