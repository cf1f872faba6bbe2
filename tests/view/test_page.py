"""The page's text: escaped, complete, and free of anything that needs a network."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine

from rs_superres.errors import InputError
from rs_superres.view import ViewOptions, page_path, view
from rs_superres.view import build as building
from rs_superres.view.page import policy
from rs_superres.view.parts import RESERVED
from tests import rasters
from tests.pages import EVIL, Elements
from tests.rasters import NORTH_UP, RGB
from tests.view.scenes import write_noise, write_pair


def data_of(html: str) -> dict[str, Any]:
    """Return what the page's script reads."""
    [text] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html)
    assert "<" not in text  # "<!--<script" would hide the end of the script from a browser
    data: dict[str, Any] = json.loads(text)
    return data


def test_the_page_says_what_it_shows(tmp_path: Path) -> None:
    out, source = write_pair(tmp_path)
    with rasters.opened(out, "r+") as dataset:
        dataset.update_tags(SUPERRES_MODEL="aerial", SUPERRES_STEPS="0", OTHER="yes")
    page = view(str(out), source)
    text = Elements(page.html).text
    assert page.audit is not None
    for words in (
        "result.tif",
        "source.tif",
        "x3",
        "72 x 60 pixels of uint8, pixels of 3.33",
        "24 x 20 pixels",
        "EPSG:32633",
        "aerial, the operator alone",
        "SUPERRES_STEPS",
    ):
        assert words in text, words
    for finding in page.audit.findings:
        assert finding.name in text
    data = data_of(page.html)
    assert (data["width"], data["height"], data["rgb"]) == (72, 60, [0, 1, 2])
    assert data["transform"] == list(rasters.transform_of(out))[:6]
    assert [band["label"] for band in data["bands"]] == ["1 red", "2 green", "3 blue"]
    assert [layer["key"] for layer in data["layers"]] == ["source", "cubic", "result"]
    assert page.html.index("SUPERRES_MODEL") < page.html.index("OTHER")


def test_failed_checks_say_what_to_do(tmp_path: Path) -> None:
    out, source = write_pair(tmp_path, added=30)
    page = view(str(out), source, translate=lambda text: text.upper())
    assert page.audit is not None
    failed = page.audit.failed
    assert "bias" in [finding.name for finding in failed]
    assert f"<b class='fail'>FAIL</b>: {len(failed)} of {len(page.audit.findings)}" in page.html
    for finding in failed:
        assert finding.rule.failure in Elements(page.html).text
        assert finding.rule.remedy.upper() in Elements(page.html).text


def test_nothing_is_loaded(tmp_path: Path) -> None:
    out, source = write_pair(tmp_path)
    html = view(str(out), source).html
    assert not re.search(r"(https?:)?//[a-z]", re.sub(r"[\w+/=]{60,}", "", html))
    assert not re.search(r"\b(src|href)=", html)
    [style] = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    [script] = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert f'content="{policy(style, script)}"' in html
    assert "default-src 'none'" in policy(style, script)
    assert not re.search(r"\son\w+=|\sstyle=", html)


def test_names_and_tags_are_text(tmp_path: Path) -> None:
    pages = {}
    for name in ("plain", EVIL):
        folder = tmp_path / name / "</script>"
        folder.mkdir(parents=True)
        out, source = write_pair(folder)
        with rasters.opened(out, "r+") as dataset:
            dataset.update_tags(TAG=f"</script>{name}\u202e")
            dataset.descriptions = (name, None, None)
        # What a file name can hold: no slash.
        out = out.rename(folder / f"{name.replace('/', '')}.tif")
        html = view(str(out), source, ViewOptions(verify=False)).html
        pages[name] = Elements(html)
        assert "\u202e" not in html
        assert data_of(html)["bands"][0]["label"].startswith(f"1 {name}"[:60])
    assert pages[EVIL].elements == pages["plain"].elements
    assert pages[EVIL].elements["script"] == 2
    assert "onerror" not in pages[EVIL].attributes
    assert EVIL in pages[EVIL].text


def test_odd_tags_make_no_large_page(tmp_path: Path) -> None:
    out, source = write_pair(tmp_path)
    with rasters.opened(out, "r+") as dataset:
        dataset.update_tags(LONG='"' * 100_000, **{f"T{i}": '"' * 5000 for i in range(500)})
    page = view(str(out), source, ViewOptions(verify=False))
    assert 200_000 < len(page.html) < RESERVED
    assert "more tags are not shown" in page.html


def test_large_colour_tables_make_no_large_page(tmp_path: Path) -> None:
    classes = np.arange(400, dtype=np.uint16).reshape(1, 20, 20)
    source = rasters.write(tmp_path / "s.tif", classes)
    half = NORTH_UP @ Affine.scale(0.5)
    out = rasters.write(tmp_path / "o.tif", classes.repeat(2, 1).repeat(2, 2), transform=half)
    for count, shown in ((400, 400), (5000, 0)):
        with rasters.opened(source, "r+") as dataset:
            dataset.write_colormap(1, {n: (n % 256, 0, 0, 255) for n in range(count)})
        [band] = data_of(view(str(out), source, ViewOptions(verify=False)).html)["bands"]
        colours = band["colours"]
        assert sum(colour[0] > 0 for colour in colours) == shown - -(-shown // 256)


def test_large_results_are_not_audited_unless_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "AUDITED", 0.004)  # megapixels; the result has 0.0043
    out, source = write_pair(tmp_path)
    page = view(str(out), source)
    assert page.audit is None
    assert page.notes == (
        "the result has 0 megapixels, so it was not audited; verify=True does that",
    )
    assert "was not audited" in Elements(page.html).text
    assert view(str(out), source, ViewOptions(verify=True)).audit is not None
    quiet = view(str(out), source, ViewOptions(verify=False))
    assert (quiet.audit, quiet.notes) == (None, ())


def test_bands_that_are_left_out_are_told(tmp_path: Path) -> None:
    out, source = write_noise(tmp_path, 20, bands=20)
    page = view(str(out), source, ViewOptions(verify=False))
    assert page.notes[0].startswith("4 bands are left out; the page shows bands 1, 2, 3")
    assert len(data_of(page.html)["bands"]) == 16


def test_nothing_valid(tmp_path: Path) -> None:
    nothing = np.zeros((3, 20, 24), np.uint8)
    source = rasters.write(tmp_path / "s.tif", nothing, nodata=0, colours=RGB)
    out, _ = write_pair(tmp_path)
    page = view(str(out), source)
    assert data_of(page.html)["limits"] == [[0, 0, 1, 1]] * 3


def test_the_name_of_the_page(tmp_path: Path) -> None:
    out, source = write_pair(tmp_path)
    name = page_path(str(out), None, [str(source)], overwrite=False)
    assert name == tmp_path / "result.html"
    name.write_text("mine")
    with pytest.raises(InputError, match=r"result.html exists already; overwrite=True"):
        page_path(str(out), None, [], overwrite=False)
    assert page_path(str(out), None, [], overwrite=True) == name
    for page, message in (
        (out, "expected a name that ends in .html, .htm"),
        (tmp_path / "none" / "a.html", "none does not exist"),
    ):
        with pytest.raises(InputError, match=message):
            page_path(str(out), page, [str(source)], overwrite=True)
    with pytest.raises(InputError, match=r"not a local file; choose a name .*page="):
        page_path("https://example.org/a.tif", None, [], overwrite=False)
    # A raster under the name of a page is no page.
    raster = out.rename(tmp_path / "raster.html")
    with pytest.raises(InputError, match="is the source"):
        page_path(str(raster), None, [], overwrite=True)
