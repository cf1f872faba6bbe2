"""``rs-sr verify``: a table for people, JSON for machines, exit statuses for scripts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rs_superres.config import ConsistencyConfig
from rs_superres.evaluation.wald import Accuracy, BandAccuracy, WaldReport
from rs_superres.verify import RULES
from tests import rasters
from tests.cli.calls import main
from tests.verify import pairs


def verify(*args: object) -> Result:
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


def test_polygons_that_do_not_exist_are_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    result = verify(*pair, "--aoi", tmp_path / "none.geojson", "-q")
    assert result.exit_code == 1
    assert "none.geojson" in result.stderr


def test_a_failed_check_exits_1_and_says_what_to_do(pair: tuple[Path, Path]) -> None:
    out, source = pair
    rasters.write(out, rasters.read(out)[:, :-1], transform=rasters.transform_of(out))
    result = verify(out, "--source", source, "-q")
    assert result.exit_code == 1
    assert result.stderr == f"rs-sr: error: {out} fails 1 of {len(RULES)} checks: extent\n"
    assert f"It means: {RULES['extent'].failure}." in result.stdout
    assert f"To do: {RULES['extent'].remedy}." in result.stdout
    assert result.stdout.splitlines()[-1].startswith(f"FAIL: 1 of {len(RULES)} checks (extent)")
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
    assert verify(pair[0], "--source", pair[1], "-b", "0,,1").exit_code == 1
    assert "names band one of" in verify(pair[0], "--source", pair[1], "-b", "one").stderr
    for out, source in ((tmp_path / "no.tif", pair[1]), (pair[0], tmp_path / "no.tif")):
        result = verify(out, "--source", source)
        assert result.exit_code == 1
        assert "cannot open" in result.stderr
        assert result.stderr.count("\n") == 1
    assert "bands 1 to 3" in verify(pair[0], "--source", pair[1], "-b", "7", "-q").stderr


@pytest.fixture
def town(tmp_path: Path) -> Path:
    image = pairs.pixels()
    return rasters.write(tmp_path / "town.tif", image, colours=rasters.RGB)


def test_the_gain_on_a_scene(town: Path, tiny: str) -> None:
    args = ["--wald", town, "-s", 2, "-m", tiny, "--steps", 0, "--sensor", "landsat-8"]
    result = verify(*args)
    assert (result.exit_code, result.exception) == (0, None)
    assert "town.tif 100 %" in result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == f"{town}: shrunk by 2, upscaled again by tiny (the operator alone)"
    assert lines[1] == "25500 pixels of each band compared, in 1 tile"
    assert lines[2].split("  ")[0] == "band"
    assert [line.split()[0] for line in lines[3:7]] == ["1", "2", "3", "all"]
    assert lines[3].endswith("  Gaussian with an MTF of 0.4")
    facts = json.loads(verify(*args, "--json").stdout)
    assert list(facts) == [
        "scene", "scale", "model", "steps", "noise", "tiles", "pixels", "bands", "all",
    ]  # fmt: skip
    assert list(facts["bands"][0]) == [
        "band", "description", "kernel", "psnr_cubic", "psnr", "rmse_cubic", "rmse", "gain",
    ]  # fmt: skip
    whole = facts["all"]
    assert lines[6].split() == [
        "all", f"{whole['psnr_cubic']:.2f}", f"{whole['psnr']:.2f}", f"{whole['gain']:+.2f}",
        f"{whole['rmse_cubic']:.4g}", f"{whole['rmse']:.4g}",
    ]  # fmt: skip
    assert lines[7].startswith(f"tiny is better than cubic here, by {whole['gain']:.2f} dB")
    noisy = verify(*args, "--noise", 4, "-b", 2, "-q")
    assert noisy.stdout.startswith(f"{town}: shrunk by 2, with noise of 4, upscaled")
    assert [line.split()[0] for line in noisy.stdout.splitlines()[3:5]] == ["2", "all"]


def test_the_gain_in_words(town: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def words(*gains: float) -> str:
        accuracies = [Accuracy(psnr_cubic=30, psnr=30 + g, rmse_cubic=1, rmse=1) for g in gains]
        report = WaldReport(
            scene="s", scale=2, model="aerial", steps=1, noise=None, tiles=2, pixels=1,
            bands=tuple(
                BandAccuracy(number=i, description="", kernel=ConsistencyConfig(), accuracy=a)
                for i, a in enumerate(accuracies[1:], 1)
            ),
            overall=accuracies[0],
        )  # fmt: skip
        monkeypatch.setattr("rs_superres.evaluation.wald.wald", lambda *_: report)
        result = verify("--wald", town, "-s", 2, "-q")
        assert result.exit_code == 0
        assert result.stdout.splitlines()[0].endswith("by aerial (1 step)")
        return result.stdout.splitlines()[-1]

    assert words(1.234, 1, 1.5) == "aerial is better than cubic here, by 1.23 dB"
    assert words(1, 3, -0.2, -1) == (
        "aerial is better than cubic here, by 1.00 dB, but worse in band 2, 3"
    )
    assert words(-0.5, 1, -2) == "aerial is worse than cubic here, by 0.50 dB"
    assert words(0.004) == "aerial is as close to the scene as cubic here"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--wald", "a", "b", "-s", 2], "--wald takes one scene, which is the truth: leave out SO"),
        (["--wald", "a", "--source", "b", "-s", 2], "--wald takes one scene"),
        (["--wald", "a", "-s", 2, "--aoi", "b"], "--wald compares the entire scene: leave out --a"),
        (["--wald", "a"], "--wald needs --scale"),
        (["--wald", "a", "-s", 1], "expected a number above 1"),
        (["--wald", "a", "-s", 2, "--mtf", 9], "expected a number above 0, at most 8"),
        (["--wald", "a", "-s", 2, "--mtf", 0.2, "--sensor", "ikonos"], "--sensor and --mtf were b"),
        (["a", "b", "-s", 2], "--scale needs --wald"),
        (["a", "b", "--sensor", "ikonos"], "--sensor needs --wald"),
        (["a", "b", "--device", "auto"], "--device needs --wald"),
        (["a", "b", "-m", "aerial"], "--model needs --wald"),
    ],
)
def test_options_that_do_not_go_together(args: list[object], message: str) -> None:
    result = verify(*args)
    assert result.exit_code == 2
    assert message in result.stderr


def test_defaults_from_the_environment_do_not_hinder_an_audit(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RS_SR_VERIFY_DEVICE", "cpu")
    assert verify(*pair, "-q").exit_code == 0
