"""The outcome of an audit as a notebook shows it."""

from __future__ import annotations

import math

from rs_superres.verify import Audit, Finding

PASSED = Finding(name="placement", measured=0, allowed=0, detail="<here>")
FAILED = Finding(name="registration", measured=0.51234, allowed=0.05, detail="band 1")
SKIPPED = Finding(name="seams", measured=None, allowed=0.15)


def audit(*findings: Finding, scale: float | None = 3.5) -> Audit:
    return Audit(out="a <b>.tif", source="c & d.tif", size=(70, 35), scale=scale, findings=findings)


def test_a_notebook_shows_verdict_and_checks() -> None:
    html = audit(PASSED, SKIPPED)._repr_html_()
    assert "<p>a &lt;b&gt;.tif: 70 x 35 pixels, x3.5, against c &amp; d.tif</p>" in html
    assert "PASS</b>: 1 of 2 checks, 1 not measured" in html
    assert ">placement</th><td class='pass'>pass</td><td class='number'>0</td>" in html
    assert "<td>&lt;here&gt;</td>" in html
    assert ">seams</th><td class='not'>not measured</td><td class='number'>–</td>" in html
    assert "It means" not in html


def test_a_notebook_explains_what_failed() -> None:
    html = audit(PASSED, FAILED, scale=None)._repr_html_()
    assert "70 x 35 pixels, against" in html
    assert "FAIL</b>: 1 of 2 checks" in html
    assert "<b>registration</b>: shift (source pixels), 0.512; allowed is 0.05. It means: " in html
    assert "To do: resample with aligned pixel areas" in html


def test_infinite_values_are_shown() -> None:
    assert (
        "<td class='number'>inf</td>"
        in audit(Finding(name="rms", measured=math.inf, allowed=2))._repr_html_()
    )
