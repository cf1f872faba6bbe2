"""Commands on products: what they print, and one line for each kind of damage."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner, Result

from tests import products, rasters
from tests.cli.calls import facts_of, main
from tests.rasters import textured

SIDE = 60

Damage = Callable[[Path], object]


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A product of level 2A, which tests only read."""
    return products.sentinel2(tmp_path_factory.mktemp("product"), side=SIDE)


def call(*args: object) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


def test_info_in_words(product: Path) -> None:
    result = call("info", product)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[:6] == [
        f"file         {product}",
        "product      Sentinel-2B L2A, baseline 05.10, T33UUB: B02 B03 B04 B08 SCL",
        "other bands  B01 B05 B06 B07 B8A B09 B11 B12 (--bands)",
        "sensor       sentinel-2 (--sensor none ignores it)",
        "driver       JP2OpenJPEG",
        "size         60 x 60 pixels",
    ]
    assert "pixel size   10 x 10 metre" in lines
    [blue] = [line for line in lines if '"B02"' in line]
    assert re.sub(" +", " ", blue) == (
        ' 2 uint16 blue "B02" times 0.0001 plus -0.1 mask: nodata value 0'
    )
    assert "        13  classes or bits: by nearest neighbour" in lines
    assert not any(line.endswith("estimated") for line in lines)


def test_info_as_json(product: Path, tmp_path: Path) -> None:
    facts = facts_of(call("info", product, "--json"))
    assert facts["product"] == {
        "understood": "Sentinel-2B L2A, baseline 05.10, T33UUB: B02 B03 B04 B08 SCL",
        "sensor": "sentinel-2",
        "other_bands": ["B01", "B05", "B06", "B07", "B8A", "B09", "B11", "B12"],
        "tags": {
            "PRODUCT_URI": product.name,
            "SPACECRAFT_NAME": "Sentinel-2B",
            "PROCESSING_LEVEL": "Level-2A",
            "PROCESSING_BASELINE": "05.10",
            "PRODUCT_START_TIME": "2023-08-23T09:55:59.024Z",
            "TILE": "T33UUB",
        },
    }
    assert facts["refused"] is None
    assert [band["description"] for band in facts["bands"]] == ["B02", "B03", "B04", "B08", "SCL"]
    assert [band["network"] for band in facts["bands"]] == [*["jointly"] * 3, "singly", "nearest"]
    assert [band["band"] for band in facts["bands"]] == [2, 3, 4, 8, 13]  # as options count them
    assert [group["bands"] for group in facts["groups"]] == [[4, 3, 2], [8]]
    plain = rasters.write(tmp_path / "a.tif", textured(1, 3, 9, 9))
    assert facts_of(call("info", plain, "--json"))["product"] is None


def test_bands_are_chosen_by_name(product: Path, tmp_path: Path, tiny: str) -> None:
    line = ["upscale", product, "-s", 2, "-m", tiny, "--steps", 0]
    result = call(*line, "-o", f"{tmp_path}/", "--bands", "B05,b8a,13")
    assert result.exit_code == 0, result.stderr
    understood = "Sentinel-2B L2A, baseline 05.10, T33UUB: B05 B8A SCL"
    assert result.stderr.splitlines()[0] == f"rs-sr: note: {understood}"
    with rasterio.open(tmp_path / f"{product.stem}.tif") as out:
        assert out.descriptions == ("B05", "B8A", "SCL")
        assert out.tags()["SUPERRES_PRODUCT"] == understood
    planned = call(*line, "-o", tmp_path / "b.tif", "-b", "all", "--dry-run")
    assert "13 bands" in planned.stdout
    for bands, problem, status in (
        ("B05,B99", "rs-sr: error: --bands names band B99 of ", 1),
        ("5,B05", "rs-sr: error: --bands lists band 5 of ", 1),
        ("B05,,B06", "'B06'), expected names of bands, or numbers counted from 1", 2),
    ):
        refused = call(*line, "-o", tmp_path / "b.tif", "-b", bands)
        assert refused.exit_code == status
        assert problem in refused.stderr


def metadata(safe: Path) -> Path:
    return safe / "MTD_MSIL2A.xml"


def replaced(old: str, new: str) -> Damage:
    """Return a damage that replaces a text of the product's metadata."""

    def damage(safe: Path) -> None:
        text = metadata(safe).read_text("utf-8")
        assert old in text
        metadata(safe).write_text(text.replace(old, new), encoding="utf-8")

    return damage


def without(pattern: str) -> Damage:
    """Return a damage that deletes files."""

    def damage(safe: Path) -> None:
        for path in list(safe.rglob(pattern)):
            path.unlink()

    return damage


def cut(pattern: str, share: float = 0.5) -> Damage:
    """Return a damage that cuts off the end of a file."""

    def damage(safe: Path) -> None:
        path = next(safe.rglob(pattern))
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])

    return damage


def mask(*shape: int) -> Damage:
    """Return a damage that gives a quality mask another shape, (band, y, x)."""
    return lambda safe: products.write_jp2(
        next(safe.rglob("MSK_QUALIT_B03.jp2")), np.zeros(shape, np.uint8), 600 // shape[1]
    )


def add_a_granule(safe: Path) -> None:
    [granule] = safe.glob("GRANULE/*")
    shutil.copytree(granule, granule.with_name("L2A_T33UVB_A033753_20230823T095553"))


ENTITY = '<!DOCTYPE a [<!ENTITY divisor "10000">]>'


def hide_an_entity(safe: Path) -> None:
    """Declare an entity, in letters of two bytes."""
    text = (
        metadata(safe)
        .read_text("utf-8")
        .replace('"UTF-8" standalone="no"?>', f'"UTF-16"?>{ENTITY}')
    )
    metadata(safe).write_text(text.replace(">10000<", ">&divisor;<"), encoding="utf-16")


DAMAGES: dict[str, tuple[Damage, str]] = {
    "no metadata": (
        without("MTD_MSIL2A.xml"),
        "is not complete: its metadata MTD_MSIL1C.xml or MTD_MSIL2A.xml is missing; download",
    ),
    "half of the metadata": (cut("MTD_MSIL2A.xml"), "MTD_MSIL2A.xml: "),
    "text": (lambda safe: metadata(safe).write_text("B02, B03"), "MTD_MSIL2A.xml: syntax error"),
    "no number": (
        replaced(">10000<", ">ten thousand<"),
        "BOA_QUANTIFICATION_VALUE is ten thousand, expected a number",
    ),
    "no band": (
        without("*_B04_*.jp2"),
        "is not complete: band B04 of GRANULE/",
    ),
    "half of a band": (cut("*_B03_10m.jp2"), "_B03_10m.jp2"),
    "the beginning of a band": (cut("*_B11_20m.jp2", 0.1), "cannot open"),
    "a mask of another size": (
        mask(8, 30, 30),
        "MSK_QUALIT_B03.jp2 has 30 x 30 pixels, its band",
    ),
    "a mask of one band": (mask(1, 60, 60), "MSK_QUALIT_B03.jp2 has 1 bands, expected 8 or more"),
    "a band of another size": (
        lambda safe: products.write_jp2(
            next(safe.rglob("*_SCL_20m.jp2")), np.ones((31, 31), np.uint8), 20
        ),
        "_SCL_20m.jp2 has pixels that do not divide into those of the other bands",
    ),
    "two granules": (add_a_granule, "holds 2 granules, expected one; name its metadata instead"),
    "no granule": (
        lambda safe: shutil.rmtree(next(safe.glob("GRANULE/*"))),
        "is not complete: the metadata of a granule, GRANULE/*/MTD_TL.xml is missing; download",
    ),
    "an entity": (
        replaced("<n1:Level-2A_User_Product ", f"{ENTITY}<n1:Level-2A_User_Product "),
        "MTD_MSIL2A.xml: it declares XML entities",
    ),
    "a hidden entity": (hide_an_entity, "MTD_MSIL2A.xml: it declares XML entities"),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_damage_is_one_line(kind: str, product: Path, tmp_path: Path, tiny: str) -> None:
    damage, message = DAMAGES[kind]
    safe = Path(shutil.copytree(product, tmp_path / product.name))
    damage(safe)
    for command in (
        ["upscale", safe, "-o", tmp_path / "out.tif", "-s", 2, "-m", tiny, "--steps", 0],
        ["upscale", safe, "-o", tmp_path / "out.tif", "-s", 2, "-m", tiny, "--dry-run"],
    ):
        result = call(*command, "-q")
        assert isinstance(result.exception, SystemExit)
        assert result.exit_code == 1
        assert result.stdout == ""
        assert result.stderr.startswith("rs-sr: error: ")
        assert result.stderr.count("\n") == 1
        assert message in result.stderr
        assert str(safe) in result.stderr
    assert list(tmp_path.iterdir()) == [safe]


def test_a_truncated_archive_is_one_line(product: Path, tmp_path: Path, tiny: str) -> None:
    archive = products.zipped(Path(shutil.copytree(product, tmp_path / "in" / product.name)))
    whole = archive.read_bytes()
    line = ["upscale", archive, "-o", tmp_path / "out.tif", "-s", 2, "-m", tiny, "--steps", 0, "-q"]
    for size in (0, 30, len(whole) // 2, len(whole) - 30):
        archive.write_bytes(whole[:size])
        result = call(*line)
        assert isinstance(result.exception, SystemExit)
        assert result.exit_code == 1
        assert result.stderr.startswith(f"rs-sr: error: cannot open {archive}: ")
        assert result.stderr.count("\n") == 1
    damaged = bytearray(whole)
    for at in range(len(whole) // 5, len(whole) // 2):
        damaged[at] ^= 255
    archive.write_bytes(damaged)
    result = call(*line)
    assert isinstance(result.exception, SystemExit)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.full
def test_a_batch_of_products_one_of_which_is_damaged(
    product: Path, tmp_path: Path, tiny: str
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    shutil.copytree(product, folder / product.name)
    other = products.sentinel2(tmp_path, side=24, level="1C", tile="T33UVB")
    archive = products.zipped(other).rename(folder / f"{other.name}.zip")
    old = products.sentinel2(folder, side=24, level="1C", baseline="02.04", old=True)
    rasters.write(folder / "town.tif", textured(1, 3, 24, 24))
    damaged = products.sentinel2(folder, side=24, baseline="02.08")
    metadata(damaged).write_bytes(metadata(damaged).read_bytes()[:500])
    line = ["batch", folder, "-o", out, "-s", 2, "-m", tiny, "--steps", 0, "--workers", 1, "--json"]
    process = subprocess.run(
        [sys.executable, "-c", "from rs_superres.cli import main; main()", *map(str, line)],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert process.returncode == 1, process.stderr
    facts = json.loads(process.stdout)
    assert (facts["done"], facts["failed"]) == (4, 1)
    errors = {scene["name"]: scene["error"] for scene in facts["scenes"] if scene["error"]}
    assert list(errors) == [f"{damaged.stem}.tif"]
    assert f"cannot read {metadata(damaged)}: " in errors[f"{damaged.stem}.tif"]
    assert "Traceback" not in process.stderr
    names = {f"{name}.tif" for name in (product.stem, other.stem, old.stem, "town")}
    assert {path.name for path in out.glob("*.tif")} == names
    assert archive.is_file()
    with rasterio.open(out / f"{other.stem}.tif") as result:
        assert result.descriptions == ("B02", "B03", "B04", "B08")
        assert result.shape == (48, 48)
