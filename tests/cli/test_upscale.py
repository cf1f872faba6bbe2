"""``rs-sr upscale``: every option through the entry point, every refusal in one line."""

from __future__ import annotations

import json
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
from tests.cli.calls import Call, main, told
from tests.rasters import NORTH_UP, RGB, textured

# What is asked for is what is done


def test_scale(upscale: Call, out: Path) -> None:
    result = upscale("--scale", "2.3")
    assert result.exit_code == 0
    with rasters.opened(out) as dataset:
        assert (dataset.width, dataset.height) == (101, 92)  # 101.2 and 92
    lines = dict(line.split("  ", 1) for line in result.stdout.splitlines())
    assert lines["size"].strip() == "[101, 92]"
    assert lines["model"].strip() == "tiny"
    # Plain progress where there is no terminal: the last line says that all is done.
    assert result.stderr.splitlines()[-1].startswith("out.tif 100 %")


def test_resolution(upscale: Call, out: Path) -> None:
    assert upscale("--res", "4").exit_code == 0
    found = rasters.transform_of(out)
    assert (found.a, found.e) == (4, -4)
    assert upscale("--res", "4,2.5", "--overwrite").exit_code == 0
    found = rasters.transform_of(out)
    assert (found.a, found.e) == (4, -2.5)


def test_like(upscale: Call, out: Path, tmp_path: Path) -> None:
    theirs = NORTH_UP @ Affine.translation(3.25, 4.5) @ Affine.scale(0.4, 0.3)
    like = rasters.write(tmp_path / "like.tif", textured(1, 1, 50, 60), transform=theirs)
    assert upscale("--like", like).exit_code == 0
    assert rasters.read(out).shape == (3, 50, 60)
    assert rasters.transform_of(out).almost_equals(theirs, 1e-9)


def test_bounds(upscale: Call, out: Path, tmp_path: Path) -> None:
    bounds = "500100", "5399700", "500200", "5399900"
    assert upscale("--scale", "3", "--bounds", *bounds).exit_code == 0
    whole = tmp_path / "whole.tif"
    assert upscale("--scale", "3", to=whole).exit_code == 0
    np.testing.assert_array_equal(rasters.read(out), rasters.read(whole)[:, 30:90, 30:60])


def test_steps_and_seed(upscale: Call, out: Path) -> None:
    pixels = []
    for steps, seed in ((1, 0), (1, 5), (2, 5), (0, 5)):
        facts = told(upscale("--scale", "2", "--seed", seed, "--json", "--overwrite", steps=steps))
        assert (facts["steps"], facts["seed"]) == (steps, seed)
        pixels.append(rasters.read(out).tobytes())
    assert len(set(pixels)) == 4
    assert (
        told(upscale("--scale", "2", "--dry-run", "--json", "--overwrite", steps=None))["steps"]
        == 4
    )


def test_value_range(upscale: Call) -> None:
    facts = told(upscale("--scale", "2", "--value-range", "10,200.5", "--dry-run", "--json"))
    assert facts["value_range"] == [[10, 200.5]]


def test_bands_and_their_roles(upscale: Call, out: Path, tmp_path: Path) -> None:
    four = rasters.write(tmp_path / "a.tif", textured(1, 4, 20, 22), photometric="minisblack")
    line = "--scale", "2", "--dry-run", "--json"
    facts = told(upscale(*line, "-b", "4,3,2", "--rgb", "4,3,2", source=four))
    assert (facts["bands"], facts["band_roles"]) == (3, "joint 1,2,3")
    facts = told(upscale(*line, "--nearest", "4", source=four))
    assert facts["band_roles"] == "alone 1,2,3; nearest 4"
    refused(upscale(*line, "--bidx", "5", source=four), "--bidx lists band 5, ")
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


def test_several_sources(out: Path, scene: Path, tmp_path: Path, tiny: str) -> None:
    other = rasters.write(tmp_path / "b.tif", textured(2, 1, 40, 44))
    line = [scene, other, "-o", out, "-m", tiny, "--scale", "2", "--steps", "0", "--json"]
    facts = told(CliRunner().invoke(main, ["upscale", *map(str, line)]))
    assert facts["source"] == [str(scene), str(other)]
    with rasters.opened(out) as dataset:
        assert dataset.descriptions == ("scene 1", "scene 2", "scene 3", "b")


def test_a_note_is_a_line(upscale: Call, tmp_path: Path) -> None:
    path = kinds(tmp_path)["bits"]
    two = [path, rasters.write(tmp_path / "b.tif", textured(2, 1, 9, 9))]
    text = "".join(
        f'<VRTRasterBand dataType="Byte" band="{i}"><NoDataValue>{i}</NoDataValue><SimpleSource>'
        f"<SourceFilename>{p}</SourceFilename></SimpleSource></VRTRasterBand>"
        for i, p in enumerate(two, start=1)
    )
    source = tmp_path / "a.vrt"
    source.write_text(f'<VRTDataset rasterXSize="9" rasterYSize="9">{text}</VRTDataset>')
    result = upscale("--scale", "2", "--dry-run", source=source)
    assert result.exit_code == 0
    assert result.stderr == (
        "rs-sr: note: the bands' nodata values differ, a GeoTIFF holds one: 1\n"
    )


def test_device_and_precision(upscale: Call, out: Path) -> None:
    facts = told(upscale("--scale", "2", "--device", "cpu", "--precision", "bf16", "--json"))
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
    assert "use --overwrite" in result.stderr
    assert out.read_bytes() == b"precious"
    assert upscale("--scale", "2", "--overwrite").exit_code == 0
    assert rasters.read(out).shape == (3, 80, 88)


def test_scratch(upscale: Call, out: Path, tmp_path: Path) -> None:
    assert upscale("--scale", "2", "--scratch", tmp_path / "work").exit_code == 0
    assert list((tmp_path / "work").iterdir()) == []
    assert out.exists()


@pytest.mark.parametrize("amount", ["40MB", "0.04gb", "39 MiB"])
def test_memory(upscale: Call, amount: str) -> None:
    failed = upscale("--scale", "2", "--memory", amount)
    assert failed.exit_code == 1
    assert "allowed are 0.04 GB" in failed.stderr
    assert upscale("--scale", "2", "--memory", "64GB").exit_code == 0


def test_preview(upscale: Call, tmp_path: Path) -> None:
    assert upscale("--scale", "2", "--preview", tmp_path / "p.png").exit_code == 0
    with Image.open(tmp_path / "p.png") as picture:
        assert picture.format == "PNG"
        assert picture.size == (88 + 8 + 88, 80)


def test_side_outputs_are_refused_before_the_run(upscale: Call, out: Path, tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(b"mine")
    for name, message in (
        (tmp_path / "p.png", "p.png exists already; use --overwrite"),
        (out, "expected different names"),
        (tmp_path / "none" / "p.png", "none does not exist"),
        (tmp_path, "is a directory, expected a file name"),
    ):
        refused = upscale("--scale", "2", "--preview", name)
        assert refused.exit_code == 1
        assert message in refused.stderr
    assert (tmp_path / "p.png").read_bytes() == b"mine"
    assert not out.exists()


def test_json_is_all_that_stdout_holds(upscale: Call, out: Path, scene: Path) -> None:
    result = upscale("--scale", "3", "--json")
    facts = told(result)
    assert result.stderr == ""
    assert (facts["source"], facts["out"]) == (str(scene), str(out))
    assert (facts["source_size"], facts["size"]) == ([44, 40], [132, 120])
    assert (facts["bands"], facts["dtype"], facts["scale"]) == (3, "uint8", 3)
    assert facts["pixel_size"] == pytest.approx([10 / 3, -10 / 3])
    assert (facts["cells"], facts["resumed_cells"]) == (6, 0)
    assert len(facts["model_sha256"]) == 64
    assert facts["seconds"] >= 0


def test_quiet(upscale: Call, out: Path) -> None:
    result = upscale("--scale", "2", "-q")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert out.exists()


def test_aoi(upscale: Call, out: Path, tmp_path: Path) -> None:
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}
    corners = [[500_010, 5_399_990], [500_100, 5_399_990], [500_010, 5_399_800]]
    area = tmp_path / "area.geojson"
    area.write_text(json.dumps({"type": "Polygon", "coordinates": [corners], "crs": crs}))
    facts = told(upscale("--scale", "3", "--aoi", area, "--json"))
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
        "--bounds and --aoi were both given",
    )
    refused(upscale("--scale", "3", "--aoi", out, "--overwrite"), "is not GeoJSON")


def test_a_warning_is_a_line(upscale: Call) -> None:
    result = upscale("--scale", "9", "--dry-run")
    assert result.exit_code == 0
    assert result.stderr == (
        "rs-sr: warning: the scale is 9, the model tiny was trained at 1 to 8\n"
    )


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
        ((), "one of --scale, --res and --like is needed"),
        (("--scale", "2", "--res", "1"), "no more than one"),
        (("--scale", "2", "--like", "x.tif"), "no more than one"),
        *(
            (("--scale", scale), f"scale {scale}, expected a number above 1")
            for scale in ("1", "0.5", "0", "-3", "nan", "inf", "twice", "")
        ),
        (("--res", "10"), "finer than the source's 10 x 10"),
        (("--res", "nan"), "finer than the source's 10 x 10"),
        (("--res", "0,5"), "expected above 0"),
        (("--like", "no-such.tif"), "cannot open no-such.tif"),
        (("--scale", "2", "--bounds", "1", "2", "1", "4"), "bounds 1 2 1 4, expected left, bot"),
        (("--scale", "2", "--bounds", "1", "2", "3", "nan"), "bounds 1 2 3 nan"),
        (("--scale", "2", "--bounds", "1", "2", "3", "4"), "the bounds cover pixel rows"),
        (("--scale", "2", "-m", "no-such"), "no model 'no-such': expected one of"),
        (("--scale", "2", "--device", "abacus"), "device 'abacus'"),
        (("--scale", "2", "--value-range", "9,1"), "value range 9,1, expected the lower one"),
        (("--scale", "2", "--value-range", "nan,1"), "value range nan,1, expected the lower one"),
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
        (("--scale", "2", "--steps", "-1"), "-1 is not in the range x>=0"),
        (("--scale", "2", "--steps", "1.5"), "is not a valid integer"),
        (("--scale", "2", "--seed", "-1"), "-1 is not in the range x>=0"),
        (("--res", "1,2,3"), "expected a pixel size as in 2.5"),
        (("--res", "fine"), "expected a pixel size as in 2.5"),
        (("--scale", "2", "--value-range", "1"), "expected 2 numbers as in 0,255"),
        (("--scale", "2", "--value-range", "a,b"), "expected 2 numbers as in 0,255"),
        (("--scale", "2", "--memory", "2"), "expected an amount of memory as in 2GB"),
        (("--scale", "2", "--memory", "0GB"), "expected an amount of memory as in 2GB"),
        (("--scale", "2", "--bidx", "red"), "expected band numbers as in 4,3,2"),
        (("--scale", "2", "--rgb", "1,,2"), "expected band numbers as in 4,3,2"),
        (("--scale", "2", "--classes", "drop"), "is not one of 'expand', 'nearest'"),
        (("--scale", "2", "--nodata", "none"), "is not a valid float"),
        (("--scale", "2", "--bounds", "1", "2", "3"), "requires 4 arguments"),
        (("--scale", "2", "--precision", "fp8"), "is not one of 'auto', 'fp32', 'bf16', 'fp16'"),
        (("--scale", "2", "--format", "png"), "is not one of 'cog', 'gtiff'"),
        (("--scale", "2", "--nonsense"), "No such option"),
        (("--scale", "2", "--lattice", "a.geojson"), "--lattice goes with --dry-run"),
    ],
)
def test_wrong_calls_exit_2(
    upscale: Call, tmp_path: Path, args: tuple[str, ...], message: str
) -> None:
    before = sorted(tmp_path.iterdir())
    refused(upscale(*args, steps=None), message, status=2)
    assert sorted(tmp_path.iterdir()) == before


def test_source_and_out_are_needed(scene: Path) -> None:
    refused(CliRunner().invoke(main, ["upscale", str(scene)]), "Missing option '-o'", status=2)
    result = CliRunner().invoke(main, ["upscale", "-o", "out.tif"])
    refused(result, "Missing argument 'SOURCE...'", status=2)


def kinds(folder: Path) -> dict[str, Path]:
    """A source of each kind that is refused."""
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
        ("palette", "has a colour table: its values are classes"),
        ("bits", "holds 1-bit values"),
        ("complex", "has dtype complex64, supported are uint8"),
        ("int64", "has dtype int64, supported are uint8"),
        ("broken", "cannot open"),
        ("missing", "cannot open"),
        ("folder", "is a directory, expected a raster file"),
    ],
)
def test_sources_that_are_refused(upscale: Call, tmp_path: Path, kind: str, message: str) -> None:
    source = kinds(tmp_path)[kind]
    before = sorted(tmp_path.iterdir())
    refused(upscale("--scale", "2", source=source), message)
    assert sorted(tmp_path.iterdir()) == before


def test_outs_that_are_refused(upscale: Call, tmp_path: Path, scene: Path) -> None:
    pixels = rasters.read(scene)
    for to, message in (
        (tmp_path, "is a directory, expected a file name"),
        (tmp_path / "none" / "out.tif", "does not exist"),
        (scene, "is the source, choose another name"),
    ):
        refused(upscale("--scale", "2", "--overwrite", to=to), message)
    np.testing.assert_array_equal(rasters.read(scene), pixels)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["scene.tif"]


def test_a_creation_option_that_is_none(upscale: Call, out: Path) -> None:
    result = upscale("--scale", "2", "-q", "--co", "COMPRESS")
    assert result.exit_code == 1
    assert not out.exists()
    assert result.stderr.startswith("rs-sr: error: ")
    assert result.stderr.count("\n") == 1


def test_like_in_another_crs(upscale: Call, tmp_path: Path) -> None:
    like = rasters.write(
        tmp_path / "like.tif",
        textured(1, 1, 9, 9),
        transform=NORTH_UP @ Affine.scale(0.5),
        crs="EPSG:4326",
    )
    refused(upscale("--like", like), "has another CRS than the source; reproject it first")


def test_steps_of_a_prior_alone(upscale: Call, tmp_path: Path) -> None:
    alone = models.write(tmp_path / "alone", models.config(denoiser=False))
    refused(
        upscale("--scale", "2", "-m", alone, steps=1), "1 steps, but this model is a prior alone"
    )


# A lost night


def test_a_killed_run_goes_on(tmp_path: Path, tiny: str, upscale: Call) -> None:
    """SIGKILL half-way; the same command again gives the bytes of an undisturbed run."""
    big = rasters.write(tmp_path / "big.tif", textured(3, 3, 100, 100), colours=RGB)
    out = tmp_path / "out.tif"
    command = [
        *(sys.executable, "-c", "from rs_superres.cli import main; main()", "upscale"),
        *(str(big), "-o", str(out), "-m", tiny, "--scale", "5", "--steps", "1", "-q"),
    ]
    scratch = tmp_path / ".out.tif.rs-sr"
    started = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + 60
        while len(list(scratch.glob("*.npz"))) < 3:
            assert time.monotonic() < deadline
            assert started.poll() is None
            time.sleep(0.01)
    finally:
        started.kill()
    assert started.wait() == -signal.SIGKILL
    assert not out.exists()
    facts = told(upscale("--scale", "5", "--json", source=big, to=out, steps=1))
    assert 3 <= facts["resumed_cells"] < facts["cells"]
    whole = tmp_path / "whole.tif"
    assert upscale("--scale", "5", "-q", source=big, to=whole, steps=1).exit_code == 0
    assert out.read_bytes() == whole.read_bytes()
    assert not scratch.exists()
