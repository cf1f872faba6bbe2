"""``rs-sr upscale``: every option has its effect, every refusal is one line."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from click.testing import CliRunner, Result
from PIL import Image

from tests import models, rasters
from tests.cli.calls import Call, facts_of, main
from tests.rasters import NORTH_UP, RGB, textured

# Options


def test_scale(upscale: Call, out: Path) -> None:
    result = upscale("--scale", "2.3")
    assert result.exit_code == 0
    with rasters.opened(out) as dataset:
        assert (dataset.width, dataset.height) == (101, 92)  # 101.2 and 92
    # Without a terminal progress is plain lines; the last one says that all is done.
    assert result.stderr.splitlines()[-1].startswith("out.tif 100 %")


def test_resolution(upscale: Call, out: Path) -> None:
    assert upscale("--res", "4").exit_code == 0
    transform = rasters.transform_of(out)
    assert (transform.a, transform.e) == (4, -4)
    assert upscale("--res", "4,2.5", "--overwrite").exit_code == 0
    transform = rasters.transform_of(out)
    assert (transform.a, transform.e) == (4, -2.5)


def test_like(upscale: Call, out: Path, tmp_path: Path) -> None:
    transform = NORTH_UP @ Affine.translation(3.25, 4.5) @ Affine.scale(0.4, 0.3)
    like = rasters.write(tmp_path / "like.tif", textured(1, 1, 50, 60), transform=transform)
    assert upscale("--like", like).exit_code == 0
    assert rasters.read(out).shape == (3, 50, 60)
    assert rasters.transform_of(out).almost_equals(transform, 1e-9)


def test_bounds(upscale: Call, out: Path, tmp_path: Path) -> None:
    bounds = "500100", "5399700", "500200", "5399900"
    assert upscale("--scale", "3", "--bounds", *bounds).exit_code == 0
    full = tmp_path / "full.tif"
    assert upscale("--scale", "3", to=full).exit_code == 0
    np.testing.assert_array_equal(rasters.read(out), rasters.read(full)[:, 30:90, 30:60])


def test_steps_and_seed(upscale: Call, out: Path) -> None:
    pixels = []
    for steps, seed in ((1, 0), (1, 5), (2, 5), (0, 5)):
        facts = facts_of(
            upscale("--scale", "2", "--seed", seed, "--json", "--overwrite", steps=steps)
        )
        assert (facts["steps"], facts["seed"]) == (steps, seed)
        pixels.append(rasters.read(out).tobytes())
    assert len(set(pixels)) == 4
    assert (
        facts_of(upscale("--scale", "2", "--dry-run", "--json", "--overwrite", steps=None))["steps"]
        == 4
    )


def test_value_range(upscale: Call) -> None:
    facts = facts_of(upscale("--scale", "2", "--value-range", "10,200.5", "--dry-run", "--json"))
    assert facts["value_range"] == [[10, 200.5]]


def test_bands_and_band_roles(upscale: Call, out: Path, tmp_path: Path) -> None:
    four = rasters.write(tmp_path / "a.tif", textured(1, 4, 20, 22), photometric="minisblack")
    line = "--scale", "2", "--dry-run", "--json"
    facts = facts_of(upscale(*line, "-b", "4,3,2", "--rgb", "4,3,2", source=four))
    roles = {"joint": [1, 2, 3], "alone": [], "nearest": [], "alpha": []}
    assert (facts["bands"], facts["band_roles"]) == (3, roles)
    with rasters.opened(four, "r+") as dataset:
        dataset.descriptions = ("blue", "green", "red", "nir")
    named = upscale(*line, source=four)
    assert facts_of(named)["band_roles"] == {**roles, "joint": [3, 2, 1], "alone": [4]}
    assert named.stderr == (
        "rs-sr: note: bands 3,2,1 are described as red, green and blue: sharpened together; "
        "--rgb none treats each alone\n"
    )
    apart = upscale(*line, "--rgb", "none", source=four)
    assert facts_of(apart)["band_roles"] == {**roles, "joint": [], "alone": [1, 2, 3, 4]}
    assert not apart.stderr
    with rasters.opened(four, "r+") as dataset:
        dataset.descriptions = ("a", "b", "c", "d")
    facts = facts_of(upscale(*line, "--nearest", "4", source=four))
    assert facts["band_roles"] == {"joint": [], "alone": [1, 2, 3], "nearest": [4], "alpha": []}
    refused(upscale(*line, "--bidx", "5", source=four), "--bands lists band 5")
    assert upscale("--scale", "2", "--nodata", "nan", "-q", source=four).exit_code == 1
    assert upscale("--scale", "2", "--nodata", "3", "-q", source=four).exit_code == 0
    with rasters.opened(out) as dataset:
        assert dataset.nodata == 3


@pytest.mark.parametrize("classes", ["expand", "nearest"])
def test_classes(upscale: Call, out: Path, tmp_path: Path, classes: str) -> None:
    source = kinds(tmp_path)["palette"]
    result = upscale(
        "--scale", "2", "--classes", classes, "--preview", tmp_path / "p.png", source=source
    )
    assert result.exit_code == 0, result.stderr
    assert len(rasters.read(out)) == {"expand": 3, "nearest": 1}[classes]
    copied = "not compared with the source: all bands were resampled by nearest neighbour"
    assert (copied in result.stdout) == (classes == "nearest")


def test_several_sources(out: Path, scene: Path, tmp_path: Path, tiny: str) -> None:
    other = rasters.write(tmp_path / "b.tif", textured(2, 1, 40, 44))
    line = [scene, other, "-o", out, "-m", tiny, "--scale", "2", "--steps", "0", "--json"]
    facts = facts_of(CliRunner().invoke(main, ["upscale", *map(str, line)]))
    assert facts["source"] == [str(scene), str(other)]
    with rasters.opened(out) as dataset:
        assert dataset.descriptions == ("scene 1", "scene 2", "scene 3", "b")


def test_a_stack_that_loses_colours_says_so(scene: Path, tmp_path: Path, tiny: str) -> None:
    line = [scene, scene, "-o", tmp_path / "o.tif", "-m", tiny, "--scale", "2", "--steps", "0"]
    result = CliRunner().invoke(main, ["upscale", *map(str, line), "-q"])
    assert result.exit_code == 0
    assert result.stderr == (
        "rs-sr: warning: several of the 6 bands are marked as red, green or blue: each band is "
        "sharpened alone, without colours; rs-sr batch upscales each of the 2 files to its own "
        "result, or choose three bands with --rgb\n"
    )


def test_a_note_is_one_line(upscale: Call, tmp_path: Path) -> None:
    path = kinds(tmp_path)["bits"]
    paths = [path, rasters.write(tmp_path / "b.tif", textured(2, 1, 9, 9))]
    text = "".join(
        f'<VRTRasterBand dataType="Byte" band="{i}"><NoDataValue>{i}</NoDataValue><SimpleSource>'
        f"<SourceFilename>{p}</SourceFilename></SimpleSource></VRTRasterBand>"
        for i, p in enumerate(paths, start=1)
    )
    source = tmp_path / "a.vrt"
    source.write_text(f'<VRTDataset rasterXSize="9" rasterYSize="9">{text}</VRTDataset>')
    result = upscale("--scale", "2", "--dry-run", source=source)
    assert result.exit_code == 0
    assert result.stderr.startswith("rs-sr: note: ")
    assert "nodata" in result.stderr
    assert result.stderr.count("\n") == 1


def test_device_and_precision(upscale: Call, out: Path) -> None:
    facts = facts_of(upscale("--scale", "2", "--device", "cpu", "--precision", "bf16", "--json"))
    assert (facts["device"], facts["precision"]) == ("cpu", "bf16")
    with rasters.opened(out) as dataset:
        assert dataset.tags()["SUPERRES_PRECISION"] == "bf16"


@pytest.mark.parametrize("file_format", ["cog", "gtiff"])
def test_format_and_creation_options(
    upscale: Call, out: Path, gdal_tools: Path, file_format: str
) -> None:
    level = {"cog": "LEVEL=1", "gtiff": "ZSTD_LEVEL=1"}[file_format]
    args = "--format", file_format, "--co", "COMPRESS=ZSTD", "--co", level
    assert upscale("--scale", "2", *args).exit_code == 0
    structure = rasters.gdalinfo(gdal_tools, out)["metadata"]["IMAGE_STRUCTURE"]
    assert structure["COMPRESSION"] == "ZSTD"
    assert (structure.get("LAYOUT") == "COG") == (file_format == "cog")


def test_overwrite(upscale: Call, out: Path) -> None:
    out.write_bytes(b"precious")
    result = upscale("--scale", "2")
    assert result.exit_code == 1
    assert "--overwrite" in result.stderr
    assert out.read_bytes() == b"precious"
    assert upscale("--scale", "2", "--overwrite").exit_code == 0
    assert rasters.read(out).shape == (3, 80, 88)


def test_scratch(upscale: Call, out: Path, tmp_path: Path) -> None:
    assert upscale("--scale", "2", "--scratch", tmp_path / "work").exit_code == 0
    assert list((tmp_path / "work").iterdir()) == []
    assert out.exists()


@pytest.mark.parametrize("amount", ["40MB", "0.04gb", "39 MiB"])
def test_memory(upscale: Call, amount: str) -> None:
    refused(upscale("--scale", "2", "--memory", amount, "-q"), "0.04 GB")
    assert upscale("--scale", "2", "--memory", "64GB").exit_code == 0


def test_preview(upscale: Call, tmp_path: Path) -> None:
    assert upscale("--scale", "2", "--preview", tmp_path / "p.png").exit_code == 0
    with Image.open(tmp_path / "p.png") as picture:
        assert picture.format == "PNG"
        assert picture.size == (3 * 88 + 2 * 8, 80)


def test_side_outputs_are_refused_before_the_run(upscale: Call, out: Path, tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(b"mine")
    for name, message in (
        (tmp_path / "p.png", "p.png exists"),
        (out, "different names"),
        (tmp_path / "none" / "p.png", "none does not exist"),
        (tmp_path, "is a directory"),
    ):
        refused(upscale("--scale", "2", "--preview", name), message)
    assert (tmp_path / "p.png").read_bytes() == b"mine"
    assert not out.exists()


def test_json_is_all_of_stdout(upscale: Call, out: Path, scene: Path) -> None:
    result = upscale("--scale", "3", "--json")
    facts = facts_of(result)
    assert result.stderr == ""
    assert (facts["source"], facts["out"]) == (str(scene), str(out))
    assert (facts["source_size"], facts["size"]) == ([44, 40], [132, 120])
    assert (facts["bands"], facts["dtype"], facts["scale"]) == (3, "uint8", 3)
    assert facts["pixel_size"] == pytest.approx([10 / 3, -10 / 3])
    assert (facts["cells"], facts["resumed_cells"]) == (6, 0)
    assert len(facts["model_sha256"]) == 64
    assert facts["seconds"] >= 0


def test_the_end_is_four_lines(upscale: Call) -> None:
    lines = upscale("--scale", "3").stdout.splitlines()
    assert re.fullmatch(r"\S+out\.tif: 132 x 120 pixels, 3 bands, uint8, \d+\.?\d* kB", lines[0])
    assert re.fullmatch(r"scale 3, model tiny, the operator alone, on \S+ in \S+", lines[1])
    assert re.fullmatch(r"\d+\.?\d* s for 6 cells", lines[2])
    assert re.fullmatch(
        r"downsampled, it differs from the source by \S+ digital numbers \(RMS in the worst band\)",
        lines[3],
    )
    assert len(lines) == 4
    lines = upscale("--scale", "2", "--ensemble", "2", "--overwrite", steps=0).stdout.splitlines()
    assert lines[1].startswith("scale 2, model tiny, the operator alone, ensemble of 2, on ")
    args = "--scale", "2", "--samples", "2", "--no-consistency", "--overwrite"
    lines = upscale(*args, steps=1).stdout.splitlines()
    assert lines[1].startswith("scale 2, model tiny, 1 step, mean of 2 samples, on ")
    assert lines[3].startswith("consistency off: downsampled, ")


def test_a_scale_that_whole_pixels_change_says_which_was_asked(upscale: Call) -> None:
    """44 x 2.39 is 105.16 and 40 x 2.39 is 95.6: 105 and 96 pixels."""
    lines = upscale("--scale", "2.39", steps=0).stdout.splitlines()
    realised = (105 / 44 * 96 / 40) ** 0.5
    assert lines[1].startswith(f"scale {realised:.6g} (2.39, rounded to whole pixels), model tiny,")


def test_verbose_adds_all_facts(upscale: Call) -> None:
    lines = upscale("--scale", "3", "-v").stdout.splitlines()
    facts = dict(re.split(r"  +", line, maxsplit=1) for line in lines[4:])
    assert facts["size"] == "132, 120"
    assert facts["scale"] == "3"
    assert facts["value range"] == "0, 255"
    assert facts["consistency"] == "yes"
    assert len(facts["model sha256"]) == 64
    assert facts["consistency residual"].startswith("rms ")


def test_json_keys(upscale: Call) -> None:
    """Scripts rely on the keys."""
    facts = facts_of(upscale("--scale", "3", "--json"))
    assert list(facts) == [
        "source", "out", "source_size", "size", "pixel_size", "scale", "bands", "dtype",
        "band_roles", "value_range", "model", "model_sha256", "steps", "seed", "samples",
        "ensemble", "consistency", "device", "precision", "cells", "cells_outside_aoi",
        "disk_bytes", "pages_not_read", "consistency_residual", "resumed_cells", "blank_cells",
        "seconds",
    ]  # fmt: skip
    residual = facts["consistency_residual"]
    assert set(residual) == {"rms", "mean", "pixels"}
    assert len(residual["rms"]) == len(residual["mean"]) == 3
    assert all(isinstance(value, float) for value in residual["rms"] + residual["mean"])
    assert residual["pixels"] > 0


def test_quiet(upscale: Call, out: Path) -> None:
    result = upscale("--scale", "2", "-q")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert out.exists()


def test_aoi(upscale: Call, out: Path, tmp_path: Path) -> None:
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}
    corners = [[500_010, 5_399_990], [500_100, 5_399_990], [500_010, 5_399_800]]
    area = tmp_path / "area.geojson"
    area.write_text(json.dumps({"type": "Polygon", "coordinates": [corners], "crs": crs}))
    facts = facts_of(upscale("--scale", "3", "--aoi", area, "--json"))
    assert facts["size"] == [27, 57]
    assert (facts["cells"], facts["cells_outside_aoi"], facts["blank_cells"]) == (1, 0, 0)
    valid = rasters.masks(out)
    assert valid[0].mean() == pytest.approx(0.5, abs=0.02)
    bounds = "500010", "5399800", "500100", "5399990"
    box = tmp_path / "box.tif"
    assert upscale("--scale", "3", "--bounds", *bounds, to=box).exit_code == 0
    np.testing.assert_array_equal(rasters.read(out)[valid], rasters.read(box)[valid])
    refused(
        upscale("--scale", "3", "--aoi", area, "--bounds", *bounds, "--overwrite"),
        "--bounds and --aoi",
        status=2,
    )
    refused(upscale("--scale", "3", "--aoi", out, "--overwrite"), "out.tif")


def test_a_warning_is_one_line(upscale: Call) -> None:
    result = upscale("--scale", "9", "--dry-run")
    assert result.exit_code == 0
    assert result.stderr.startswith("rs-sr: warning: ")
    assert "scale" in result.stderr
    assert result.stderr.count("\n") == 1


# Refusals


def refused(result: Result, message: str, *, status: int = 1) -> None:
    assert result.exit_code == status
    assert result.stdout == ""
    assert message in result.stderr
    if status == 1:
        assert result.stderr.startswith("rs-sr: error: ")
        assert result.stderr.count("\n") == 1
        assert "--debug" not in result.stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--res", "10"), "10 x 10"),
        (("--like", "no-such.tif"), "cannot open no-such.tif"),
        (("--scale", "2", "--bounds", "1", "2", "1", "4"), "1 2 1 4"),
        (("--scale", "2", "--bounds", "1", "2", "3", "nan"), "1 2 3 nan"),
        (("--scale", "2", "--bounds", "1", "2", "3", "4"), "bounds"),
        (("--scale", "2", "-m", "no-such"), "no model 'no-such'"),
    ],
)
def test_refused_in_one_line(
    upscale: Call, tmp_path: Path, args: tuple[str, ...], message: str
) -> None:
    before = sorted(tmp_path.iterdir())
    refused(upscale(*args), message)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "--scale, --res"),
        (("--scale", "2", "--res", "1"), "--scale, --res"),
        (("--scale", "2", "--like", "x.tif"), "--like"),
        *(
            (("--scale", scale), f"'--scale': '{scale}', expected a number above 1")
            for scale in ("1", "0.5", "0", "-3", "nan", "inf", "twice", "", "x1", "x4x")
        ),
        (("--res", "nan"), "above 0"),
        (("--res", "0,5"), "above 0"),
        (("--scale", "2", "--device", "gpu"), "'--device': 'gpu', expected auto, cpu, cuda"),
        (("--scale", "2", "--value-range", "9,1"), "(9.0, 1.0), expected the lower number first"),
        (("--scale", "2", "--value-range", "nan,1"), "expected the lower number first"),
        (("--scale", "2", "--bidx", "0"), "expected names of bands, or numbers counted from 1"),
        (("--scale", "2", "--rgb", "1,2"), "expected three bands"),
        (("--scale", "2", "--co", "COMPRESS"), "expected texts KEY=VALUE"),
        (("--scale", "2", "--seed", str(2**63)), "at most 9223372036854775807"),
        (
            ("--scale", "2", "--samples", "2", "--steps", "0"),
            "--samples 2 of the neural operator alone",
        ),
        (("--scale", "2", "--bounds", "1", "2", "3", "4", "--aoi", "a.json"), "--bounds and --aoi"),
        (("--scale", "2", "--steps", "-1"), "-1 is not in the range x>=0"),
        (("--scale", "2", "--ensemble", "3"), "'3' is not one of '1', '2', '4', '8'"),
        (("--scale", "2", "--steps", "1.5"), "is not a valid integer"),
        (("--scale", "2", "--seed", "-1"), "-1 is not in the range x>=0"),
        (("--res", "1,2,3"), "expected a pixel size as in 2.5"),
        (("--res", "fine"), "expected a pixel size as in 2.5"),
        (("--scale", "2", "--value-range", "1"), "expected 2 numbers as in 0,255"),
        (("--scale", "2", "--value-range", "a,b"), "expected 2 numbers as in 0,255"),
        (("--scale", "2", "--memory", "2"), "expected an amount of memory as in 2GB"),
        (("--scale", "2", "--memory", "0GB"), "expected an amount of memory as in 2GB"),
        (("--scale", "2", "--bands", "1,,2"), "expected names of bands, or numbers counted from 1"),
        (("--scale", "2", "--rgb", "1,,2"), "expected names of bands, or numbers counted from 1"),
        (("--scale", "2", "--classes", "drop"), "is not one of 'expand', 'nearest'"),
        (("--scale", "2", "--nodata", "none"), "is not a valid float"),
        (("--scale", "2", "--bounds", "1", "2", "3"), "requires 4 arguments"),
        (("--scale", "2", "--precision", "fp8"), "is not one of 'auto', 'fp32', 'bf16', 'fp16'"),
        (("--scale", "2", "--format", "png"), "is not one of 'cog', 'gtiff'"),
        (("--scale", "2", "--nonsense"), "No such option"),
        (("--scale", "2", "--lattice", "a.geojson"), "--lattice needs --dry-run"),
    ],
)
def test_wrong_calls_exit_2(
    upscale: Call, tmp_path: Path, args: tuple[str, ...], message: str
) -> None:
    before = sorted(tmp_path.iterdir())
    refused(upscale(*args, steps=None), message, status=2)
    assert sorted(tmp_path.iterdir()) == before


def test_source_and_out_are_required(scene: Path) -> None:
    refused(CliRunner().invoke(main, ["upscale", str(scene)]), "Missing option '-o'", status=2)
    result = CliRunner().invoke(main, ["upscale", "-o", "out.tif"])
    refused(result, "Missing argument 'SOURCE...'", status=2)


def kinds(folder: Path) -> dict[str, Path]:
    """Write a source of each kind that is refused; return the paths by kind."""
    palette = rasters.write(folder / "palette.tif", textured(1, 1, 9, 9), photometric="palette")
    with rasters.opened(palette, "r+") as dataset:
        dataset.write_colormap(1, {i: (i, 0, 0, 255) for i in range(256)})
    ones = np.ones((1, 9, 9), dtype=np.uint8)
    broken = folder / "broken.tif"
    broken.write_bytes(b"II*\x00 and no more")
    return {
        "palette": palette,
        "bits": rasters.write(folder / "bits.tif", ones, nbits=1),
        "complex": rasters.write(folder / "complex.tif", ones.astype(np.complex64)),
        "int64": rasters.write(folder / "int64.tif", ones.astype(np.int64)),
        "broken": broken,
        "missing": folder / "missing.tif",
        "folder": folder,
    }


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("palette", "colour table"),
        ("bits", "1-bit"),
        ("complex", "complex64"),
        ("int64", "int64"),
        ("broken", "cannot open"),
        ("missing", "cannot open"),
        ("folder", "director"),
    ],
)
def test_sources_that_are_refused(upscale: Call, tmp_path: Path, kind: str, message: str) -> None:
    source = kinds(tmp_path)[kind]
    before = sorted(tmp_path.iterdir())
    refused(upscale("--scale", "2", source=source), message)
    assert sorted(tmp_path.iterdir()) == before


def test_output_names_that_are_refused(upscale: Call, tmp_path: Path, scene: Path) -> None:
    pixels = rasters.read(scene)
    for to, message in (
        (tmp_path, "is the source"),  # scene.tif lies there
        (f"{tmp_path}/none/", "folder"),
        (tmp_path / "none" / "out.tif", "does not exist"),
        (scene, "is the source"),
    ):
        refused(upscale("--scale", "2", "--overwrite", to=to), message)
    np.testing.assert_array_equal(rasters.read(scene), pixels)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["scene.tif"]


def test_like_in_another_crs(upscale: Call, tmp_path: Path) -> None:
    like = rasters.write(
        tmp_path / "like.tif",
        textured(1, 1, 9, 9),
        transform=NORTH_UP @ Affine.scale(0.5),
        crs="EPSG:4326",
    )
    refused(upscale("--like", like), "CRS")


def test_steps_need_a_denoiser(upscale: Call, tmp_path: Path) -> None:
    alone = models.write(tmp_path / "alone", models.config(denoiser=False))
    refused(upscale("--scale", "2", "-m", alone, steps=1), "--steps 0")


# Interrupted runs


def test_a_killed_run_resumes(tmp_path: Path, tiny: str, upscale: Call) -> None:
    """After SIGKILL the same command resumes and writes the bytes of an undisturbed run."""
    big = rasters.write(tmp_path / "big.tif", textured(3, 3, 100, 100), colours=RGB)
    out = tmp_path / "out.tif"
    command = [
        *(sys.executable, "-c", "from rs_superres.cli import main; main()", "upscale"),
        *(str(big), "-o", str(out), "-m", tiny, "--scale", "5", "--steps", "1", "-q"),
    ]
    scratch = tmp_path / ".out.tif.rs-sr"
    process = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + 60
        while len(list(scratch.glob("*.tif"))) < 3:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.01)
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not out.exists()
    facts = facts_of(upscale("--scale", "5", "--json", source=big, to=out, steps=1))
    assert 3 <= facts["resumed_cells"] < facts["cells"]
    undisturbed = tmp_path / "undisturbed.tif"
    assert upscale("--scale", "5", "-q", source=big, to=undisturbed, steps=1).exit_code == 0
    assert out.read_bytes() == undisturbed.read_bytes()
    assert not scratch.exists()
