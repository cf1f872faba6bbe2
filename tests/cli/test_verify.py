"""``rs-sr verify``: a table for people, JSON for machines, exit statuses for scripts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rs_superres.verify import RULES
from tests import rasters
from tests.cli.calls import main
from tests.verify import pairs


def verify(*args: str | Path) -> Result:
    return CliRunner().invoke(main, ["verify", *map(str, args)])


@pytest.fixture
def pair(tmp_path: Path, gdal_tools: Path) -> tuple[Path, Path]:
    source = pairs.write_source(tmp_path / "s.tif")
    return pairs.upscale_with_gdal(gdal_tools, source, tmp_path / "o.tif", 2.5), source


def test_a_sound_result_passes(pair: tuple[Path, Path]) -> None:
    out, source = pair
    result = verify(out, "--source", source, "-q")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == f"{out}: 425 x 375 pixels, x2.5, against {source}"
    assert [line[:15].strip() for line in lines[2:-1]] == list(RULES)
    assert "FAIL" not in result.stdout
    skipped = sum("not measured" in line for line in lines[2:-1])
    assert lines[-1] == (
        f"PASS: {len(RULES) - skipped} of {len(RULES)} checks"
        + (f", {skipped} not measured" if skipped else "")
    )


def test_the_source_may_be_an_argument(pair: tuple[Path, Path]) -> None:
    out, source = pair
    assert verify(out, source, "-q").stdout == verify(out, "--source", source, "-q").stdout
    both = verify(out, source, "--source", source)
    assert both.exit_code == 2
    assert "SOURCE was given twice" in both.stderr


def test_a_failed_check_exits_1_and_says_what_to_do(pair: tuple[Path, Path]) -> None:
    out, source = pair
    rasters.write(out, rasters.read(out)[:, :-1], transform=rasters.transform_of(out))
    result = verify(out, "--source", source, "-q")
    assert result.exit_code == 1
    assert result.stderr == f"rs-sr: error: {out} fails 1 of 16 checks: extent\n"
    assert f"It means: {RULES['extent'].failure}." in result.stdout
    assert f"To do: {RULES['extent'].remedy}." in result.stdout
    assert result.stdout.splitlines()[-1].startswith("FAIL: 1 of 16 checks (extent)")
    facts = json.loads(verify(out, "--source", source, "--json").stdout)
    assert not facts["passed"]
    assert {c["check"]: c["verdict"] for c in facts["checks"]}["extent"] == "fail"


def test_json_keys(pair: tuple[Path, Path]) -> None:
    """Scripts rely on the keys."""
    result = verify(pair[0], "--source", pair[1], "--json")
    facts = json.loads(result.stdout)
    assert result.exit_code == 0
    assert list(facts) == ["out", "source", "size", "scale", "passed", "checks"]
    assert [c["check"] for c in facts["checks"]] == list(RULES)
    assert list(facts["checks"][0]) == [
        "check", "measured", "allowed", "verdict", "what", "detail", "bands", "reason", "failure",
        "remedy",
    ]  # fmt: skip


def test_wrong_calls_exit_2_and_unreadable_files_1(pair: tuple[Path, Path], tmp_path: Path) -> None:
    assert verify(pair[0]).exit_code == 2
    assert verify(pair[0], "--source", pair[1], "-b", "one").exit_code == 2
    for out, source in ((tmp_path / "no.tif", pair[1]), (pair[0], tmp_path / "no.tif")):
        result = verify(out, "--source", source)
        assert result.exit_code == 1
        assert "cannot open" in result.stderr
        assert result.stderr.count("\n") == 1
    assert "bands 1 to 3" in verify(pair[0], "--source", pair[1], "-b", "7", "-q").stderr
