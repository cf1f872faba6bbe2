"""``rs-sr eval``: a table for people, JSON for machines, a report for both."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from affine import Affine
from click.testing import CliRunner, Result

from rs_superres.evaluation.lpips import Lpips, backbone
from tests import rasters
from tests.cli.calls import main
from tests.rasters import NORTH_UP, RGB, textured


def evaluate(*args: object) -> Result:
    return CliRunner().invoke(main, ["eval", *map(str, args)])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for i in range(3):
        rasters.write(folder / f"{i}.tif", textured(i, 3, 48, 48), colours=RGB)
    rasters.write(folder / "classes.tif", textured(9, 1, 48, 48), nbits=1)
    return folder


def test_a_table_and_a_report(data: Path, tmp_path: Path, tiny: str) -> None:
    out = tmp_path / "report"
    args = ["--data", data, "-m", tiny, "--scales", "3.5,2", "--steps", 0, "-o", out]
    result = evaluate(*args)
    assert (result.exit_code, result.exception) == (0, None)
    lines = result.stdout.splitlines()
    assert lines[0] == "3 images, low resolution by antialiased bicubic"
    assert lines[1].split()[:5] == ["scale", "method", "PSNR", "SSIM", "SAM"]
    assert [line.split()[:2] for line in lines[2:6]] == [
        ["2", "bicubic"], ["2", tiny], ["3.5", "bicubic"], ["3.5", tiny]
    ]  # fmt: skip
    assert lines[6].startswith("detail and texture; ")
    assert lines[7].split()[2:] == [
        "impr.%", "omit.%", "hall.%", "power", "colour", "flat", "over.%", "corr."
    ]  # fmt: skip
    assert [line.split()[:2] for line in lines[8:12]] == [line.split()[:2] for line in lines[2:6]]
    assert max(map(len, lines[:12])) - len(tiny) < 95
    for line, scale in zip(lines[12:14], ("2", "3.5"), strict=True):
        assert line.startswith(f"x{scale} {tiny}: rank correlation with the error ")
    assert lines[14] == f"report: {out / 'report.html'}"
    scores = json.loads((out / "scores.json").read_text("utf-8"))
    mean = scores["summary"][1]["metrics"]["psnr"]["mean"]
    assert float(lines[3].split()[2]) == pytest.approx(mean, abs=0.006)
    assert "skipped: " in result.stderr
    assert "eval 100 %" in result.stderr
    again = evaluate(*args)
    assert again.exit_code == 1
    assert again.stderr.startswith(f"rs-sr: error: {out} exists")
    assert "--overwrite" in again.stderr
    assert evaluate(*args, "--overwrite", "--limit", 1, "-q").exit_code == 0


def test_json_samples_and_seeds(data: Path, tmp_path: Path, tiny: str) -> None:
    result = evaluate(
        "--data", data / "0.tif", "-m", tiny, "--scales", 2, "--steps", 1, "--samples", 2,
        "--seeds", 2, "--degradation", "gaussian:0.3", "--json", "-q", "-o", tmp_path / "r",
    )  # fmt: skip
    scores = json.loads(result.stdout)
    assert scores == json.loads((tmp_path / "r" / "scores.json").read_text("utf-8"))
    assert scores["settings"]["degradation"] == "Gaussian with an MTF of 0.3"
    assert [i["seed"] for i in scores["images"]] == [0, 0, 1]
    assert scores["reliability"][0]["factor"] > 0


def test_spoiled_sources(data: Path, tmp_path: Path, tiny: str) -> None:
    result = evaluate(
        "--data", data, "-m", tiny, "--scales", 2, "--steps", 0, "--given",
        "--spoil", "noise=8,jpeg=75+mtf=0.3", "-q", "-o", tmp_path / "r",
    )  # fmt: skip
    lines = result.stdout.splitlines()
    assert lines[0] == "3 images, low resolution by antialiased bicubic; blur and noise are given"
    assert lines[1].split()[:4] == ["scale", "source", "method", "PSNR"]
    rows = [["2", s, m] for s in ("clean", "noise=8", "mtf=0.3+jpeg=75") for m in ("bicubic", tiny)]
    assert [line.split()[:3] for line in lines[2:8]] == rows
    assert [line.split()[:3] for line in lines[10:16]] == rows
    scores = json.loads((tmp_path / "r" / "scores.json").read_text("utf-8"))
    for line, summary in zip(lines[2:8], scores["summary"], strict=True):
        assert float(line.split()[3]) == pytest.approx(
            summary["metrics"]["psnr"]["mean"], abs=0.006
        )


def test_pairs(data: Path, tmp_path: Path, tiny: str) -> None:
    transform = NORTH_UP @ Affine.translation(3.2, 5.1) @ Affine.scale(0.5)
    rasters.write(tmp_path / "0.tif", textured(7, 3, 70, 66), colours=RGB, transform=transform)
    result = evaluate("--pairs", data, tmp_path, "-m", tiny, "--steps", 0, "-q",
                      "-o", tmp_path / "r")  # fmt: skip
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == "1 pair; differences to the low resolution by antialiased bicubic"
    assert lines[2].split()[:2] == ["2", "bicubic"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--scales", "1,2"], "'1,2', expected numbers above 1 as in 2,3,6.5"),
        (["--scales", "x"], "expected numbers above 1"),
        (["--degradation", "blur"], "'blur', expected bicubic, area, gaussian"),
        (["--degradation", "area:0.3"], "expected bicubic, area, gaussian"),
        (["--spoil", "blur=3"], "'--spoil': 'blur=3', expected noise=N above 0, jpeg=Q"),
        (["--spoil", "noise=8,jpeg=0"], "'jpeg=0', expected noise=N"),
        (["--seeds", "0"], "0 is not in the range"),
    ],
)
def test_wrong_calls(data: Path, args: list[str], message: str) -> None:
    result = evaluate("--data", data, "-o", "x", *args)
    assert result.exit_code == 2
    assert message in result.stderr
    assert evaluate("--data", data).exit_code == 2


def test_failures_are_one_line(data: Path, tmp_path: Path, tiny: str) -> None:
    (tmp_path / "empty").mkdir()
    out = ["-o", tmp_path / "r", "-m", tiny]
    for args in (
        ["--data", tmp_path / "empty", *out],
        ["--data", tmp_path / "none", *out],
        ["--data", data, *out, "--lpips-backbone", data / "0.tif"],
        ["--data", data, "-o", tmp_path / "r", "-m", "nothing"],
        ["--data", data, "-m", tiny, "-o", data],
    ):
        result = evaluate(*args, "-q")
        assert result.exit_code == 1
        assert result.stderr.startswith("rs-sr: error: ")
        assert result.stderr.count("\n") == 1
    for args in (
        out,
        ["--data", data, "--pairs", data, data, *out],
        ["--data", data, *out, "--device", "tpu"],
        ["--pairs", data, data, *out, "--spoil", "noise=8"],
        ["--pairs", data, data, *out, "--given"],
        ["--data", data, *out, "--steps", 0, "--samples", 2],
        ["--data", data, *out, "--steps", 0, "--seeds", 2],
        ["--data", data, *out, "--value-range", "2,1"],
    ):
        result = evaluate(*args, "-q")
        assert result.exit_code == 2
        assert result.stderr.startswith("Usage: ")
    assert not (tmp_path / "r").exists()


def test_lpips_says_what_it_downloads(
    data: Path, tmp_path: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ["--data", data, "-m", tiny, "--steps", 0, "--scales", 2, "--limit", 1, "-q", "--lpips"]

    def offline(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    result = evaluate(*line, "-o", tmp_path / "r")
    assert result.exit_code == 1
    said, error = result.stderr.splitlines()
    assert said.startswith("rs-sr: downloading the LPIPS backbone (4.7 MB) from https://")
    assert error.startswith("rs-sr: error: cannot download the LPIPS backbone: no network; ")
    assert error.endswith("give the file by --lpips-backbone")
    torch.save(Lpips().features.state_dict(), backbone())
    result = evaluate(*line, "-o", tmp_path / "r")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "LPIPS" in result.stdout


@pytest.mark.parametrize("repeated", [True, False])
def test_several_models(data: Path, tmp_path: Path, tiny: str, repeated: bool) -> None:
    other = shutil.copytree(tiny, tmp_path / "other")
    models = ["-m", tiny, "-m", other] if repeated else ["-m", f"{tiny},{other}"]
    result = evaluate(
        "--data", data, *models, "--scales", 2, "--steps", 0, "--limit", 1, "-q",
        "-o", tmp_path / "r",
    )  # fmt: skip
    lines = result.stdout.splitlines()
    assert [line.split()[1] for line in lines[2:5]] == ["bicubic", tiny, str(other)]
    assert lines[3].split()[2:] == lines[4].split()[2:]
