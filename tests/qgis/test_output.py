"""The plugin reads progress, messages and findings as rs-sr writes them."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from contextlib import redirect_stderr
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.pages import EVIL, Elements
from tests.qgis.plugin import errors, findings, output

[entry] = entry_points(group="console_scripts", name="rs-sr")
ProgressLine: Any = import_module(f"{entry.module}.progress").ProgressLine
EVERY_TIME = 0.0


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """A function that returns the lines that rs-sr writes for states of a run, off a terminal."""
    monkeypatch.setattr(f"{entry.module}.progress.INTERVAL", EVERY_TIME)

    def lines(*states: tuple[str, float, float]) -> list[str]:
        stream = io.StringIO()
        with redirect_stderr(stream), ProgressLine() as line:
            for state in states:
                line.show(*state)
        return stream.getvalue().splitlines()

    return lines


def test_the_progress_of_a_run_is_read(written: Callable[..., list[str]]) -> None:
    lines = written(("ä 5 % of.tif 0 %", 0, 0), ("b.tif 33 %", 0.33, 5), ("b.tif 100 %", 1, 15))
    assert re.search(r"Mpx/s, about .* left$", lines[1])  # so that this tests real lines
    assert [output.percent(line) for line in lines] == [0, 33, 100]


def test_the_progress_of_a_batch_is_read(written: Callable[..., list[str]]) -> None:
    lines = written(("0 of 4 scenes, 0.0 Mpx", 0, 0), ("3 of 4 scenes, 120.5 Mpx", 0.7, 120.5))
    assert [output.percent(line) for line in lines] == [0, 75]


@pytest.mark.parametrize(
    "line",
    ["", "rs-sr: note: 40 % of the source is masked", "rs-sr: error: a 5 %", "scale 2, model x",
     "dashboard: http://127.0.0.1:8787/status", "a 50 percent"],
)  # fmt: skip
def test_other_lines_are_no_progress(line: str) -> None:
    assert output.percent(line) is None


@pytest.mark.parametrize(
    ("line", "kind", "text"),
    [
        ("rs-sr: error: a.tif exists already", "error", "a.tif exists already"),
        ("rs-sr: warning: 30 m pixels", "warning", "30 m pixels"),
        ("rs-sr: note: bands 4, 3, 2", "note", "bands 4, 3, 2"),
        ("rs-sr: started anew: other seed", "note", "started anew: other seed"),
        ("Error: No such option '--x'.", "error", "No such option '--x'."),
        ("Usage: rs-sr upscale", "note", "Usage: rs-sr upscale"),
    ],
)
def test_messages_have_a_kind(line: str, kind: str, text: str) -> None:
    assert output.message(line) == output.Message(kind, text)


def test_the_reason_of_a_failure_is_that_of_rs_sr(tmp_path: Path) -> None:
    missing = tmp_path / "missing.tif"
    result = CliRunner().invoke(entry.load(), ["info", str(missing)])
    reason = output.failure(result.stderr.splitlines(), result.exit_code)
    assert str(missing) in reason
    assert not reason.startswith(("rs-sr", "error"))
    result = CliRunner().invoke(entry.load(), ["upscale", "a.tif", "--scael", "2"])
    assert "--scael" in output.failure(result.stderr.splitlines(), result.exit_code)


def test_a_failure_without_an_error_has_a_reason_too() -> None:
    batch = ["1 of 2 scenes, 0.1 Mpx", "rs-sr: b.tif: broken", "rs-sr: 1 of 2 scenes failed", ""]
    assert output.failure(batch, 1) == "1 of 2 scenes failed"
    assert "signal 9" in output.failure(["a.tif 50 %"], -9)
    assert "status 3" in output.failure([], 3)


def test_facts_are_json() -> None:
    assert output.facts('{"passed": true}') == {"passed": True}
    for text in ("", "usage", "[1]"):
        with pytest.raises(errors.PluginError, match="update both"):
            output.facts(text)


# Findings


@pytest.fixture
def audit(scene: Path) -> Callable[[Path], dict[str, Any]]:
    """A function that audits a raster against the scene, by rs-sr."""

    def facts(out: Path) -> dict[str, Any]:
        result = CliRunner().invoke(entry.load(), ["verify", "--json", str(out), str(scene)])
        return output.facts(result.stdout)

    return facts


def test_findings_are_worded_as_in_rs_sr(
    scene: Path, audit: Callable[[Path], dict[str, Any]]
) -> None:
    facts = audit(scene)  # its pixels are not smaller, so that it fails
    text = CliRunner().invoke(entry.load(), ["verify", str(scene), str(scene)]).stdout
    assert findings.verdict(facts) == text.splitlines()[-1]
    lines = list(findings.lines(facts))
    assert len(lines) == len(facts["checks"]) + len(findings.failed(facts))
    assert any(line.startswith("placement") and "fail" in line for line in lines)
    assert "To do:" in lines[-1]


def test_the_page_shows_names_as_text(scene: Path, audit: Callable[[Path], dict[str, Any]]) -> None:
    facts = audit(scene)
    plain = Elements(findings.page(facts))
    facts |= {"out": EVIL, "source": EVIL}
    for check in facts["checks"]:
        check.update(dict.fromkeys(("check", "what", "detail", "failure", "remedy"), EVIL))
    evil = Elements(findings.page(facts))
    assert evil.elements == plain.elements
    assert evil.attributes == plain.attributes
    assert EVIL in evil.text
    assert plain.elements["tr"] == 1 + len(facts["checks"])


def test_a_passed_audit_says_so() -> None:
    check = {"check": "crs", "verdict": "pass", "measured": 0.0, "allowed": None, "detail": ""}
    other = check | {"verdict": "not measured", "measured": None}
    facts = json.loads(json.dumps({"checks": [check, other], "passed": True}))
    assert findings.verdict(facts) == "PASS: 1 of 2 checks, 1 not measured"
    assert findings.failed(facts) == []
