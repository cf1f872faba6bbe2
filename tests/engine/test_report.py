"""The report of a run in a notebook: a table, and pictures of source and result."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rs_superres import engine
from rs_superres.engine import Plan, Report
from rs_superres.image.pictures import limits_of, stretched
from tests import rasters
from tests.rasters import Array, textured

Make = Callable[..., Plan]


@pytest.fixture
def report(tmp_path: Path, make: Make) -> Report:
    pixels = 3000 + 40 * textured(1, 1, 50, 44).astype(np.uint16)
    source = rasters.write(tmp_path / "a <b> & c.tif", pixels)
    return engine.run(make(source, "d <e>.tif", scale=9))


def pictures(report: Report) -> list[Array]:
    """Return the pictures that a notebook shows, (y, x, 3)."""
    texts = re.findall(r"src='data:image/png;base64,([^']+)'", report._repr_html_())
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(text)))) for text in texts]


def test_the_table_says_what_was_done(report: Report) -> None:
    rows = re.findall(r"<th scope='row'>(.+?)</th><td[^>]*>(.+?)</td>", report._repr_html_())
    shown = dict(rows)
    assert shown["result"].endswith("/d &lt;e&gt;.tif")
    assert shown["source"].endswith("/a &lt;b&gt; &amp; c.tif")
    assert shown["size"] == "396 x 450 pixels"
    assert shown["size of the source"] == "44 x 50 pixels"
    assert shown["scale"] == "9"
    assert shown["model"] == "tiny, the operator alone"
    assert re.fullmatch(rf"[\d.]+ s for {report.cells} cells", shown["time"])
    assert shown["residual"] == str(report.residual)
    assert shown["warning"] == "the scale is 9, the model tiny was trained at 1 to 8"


def test_counts_of_one_and_cells_of_an_earlier_run(report: Report) -> None:
    subject = replace(report.subject, steps=1, warnings=())
    html = replace(report, cells=1, resumed=1, seconds=0.123, subject=subject)._repr_html_()
    assert "tiny, 1 step<" in html
    assert "0.123 s for 1 cell, 1 of them of an earlier run<" in html
    assert "warning" not in html


def test_source_and_result_are_stretched_alike(report: Report) -> None:
    before, cubic, after = pictures(report)
    assert before.shape == cubic.shape == after.shape == (320, 320, 3)
    row, column = (450 - 320) // 2, (396 - 320) // 2
    source = rasters.read(Path(report.subject.sources[0]))
    rows, columns = np.arange(row, row + 320) // 9, np.arange(column, column + 320) // 9
    read = source[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    limits = limits_of(read, np.ones(read.shape, dtype=np.bool_))
    np.testing.assert_array_equal(before, stretched(source[:, rows][:, :, columns], limits))
    result = rasters.read(report.out)[:, row : row + 320, column : column + 320]
    np.testing.assert_array_equal(after, stretched(result, limits))


def test_without_the_files_the_table_is_shown(report: Report) -> None:
    report.out.write_bytes(b"something else")
    assert "No picture" in report._repr_html_()
    report.out.unlink()
    html = report._repr_html_()
    assert "No picture" in html
    assert "396 x 450 pixels" in html
    assert "<img" not in html


def test_a_report_keeps_no_network(report: Report) -> None:
    assert not hasattr(report.subject, "plan")
    assert "subject" not in repr(report)
