"""Products among the scenes of a batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rs_superres.batch.folder import scenes
from rs_superres.batch.job import Job, upscale_scene
from rs_superres.engine import Options
from rs_superres.raster import rasters_below
from tests import products, rasters
from tests.rasters import textured

NEW = "S2B_MSIL2A_20230823T095559_N0510_R122_T33UUB_20230823T120234"
ZIPPED = "S2B_MSIL1C_20230823T095559_N0510_R122_T33UVB_20230823T120234"
OLD = "S2A_OPER_PRD_MSIL1C_PDMC_20160101T120000_R022_V20160101T100000_20160101T100000"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Products in a folder, an archive, the old layout, and a GeoTIFF; tests only read them."""
    folder = tmp_path_factory.mktemp("scenes") / "in"
    products.sentinel2(folder, side=12)
    outside = products.sentinel2(folder.parent, side=12, level="1C", tile="T33UVB")
    (folder / "deep").mkdir()
    products.zipped(outside).rename(folder / "deep" / f"{ZIPPED}.SAFE.zip")
    products.sentinel2(folder, side=12, level="1C", baseline="02.04", old=True)
    rasters.write(folder / "town.tif", textured(1, 3, 12, 12))
    return folder


def found(*where: Path | str) -> dict[str, str]:
    """Find scenes: the names of their sources by the names of their results."""
    batch = scenes([str(path) for path in where], Path("out"))
    assert not batch.passed_over
    return {str(scene.name): Path(scene.source).name for scene in batch.files}


def test_each_product_of_a_folder_is_one_scene(folder: Path) -> None:
    """Nothing inside of a product is taken for a scene."""
    assert found(folder) == {
        f"{OLD}.tif": f"{OLD}.SAFE",
        f"{NEW}.tif": f"{NEW}.SAFE",
        f"deep/{ZIPPED}.tif": f"{ZIPPED}.SAFE.zip",
        "town.tif": "town.tif",
    }


def test_products_are_found_by_what_a_shell_expands(folder: Path) -> None:
    everything = {f"{OLD}.tif", f"{NEW}.tif", f"{ZIPPED}.tif", "town.tif"}
    assert found(*sorted(folder.iterdir())).keys() == everything
    assert found(folder / "*.SAFE").keys() == {f"{OLD}.tif", f"{NEW}.tif"}
    assert found(folder / f"{NEW}.SAFE", folder / "deep").keys() == {f"{NEW}.tif", f"{ZIPPED}.tif"}


def test_an_archive_beside_its_unpacked_product_is_passed_over(tmp_path: Path) -> None:
    """The scene would be upscaled twice, or be both in training and in validation."""
    folder = tmp_path / "in"
    safe = products.sentinel2(folder, side=12)
    archive = products.zipped(safe).rename(folder / f"{NEW}.SAFE.zip")
    plain = folder / f"{NEW}.zip"
    plain.write_bytes(archive.read_bytes())
    for where in ([folder], [safe, archive, plain], [folder / "*"]):
        batch = scenes([str(path) for path in where], Path("out"))
        assert [scene.source for scene in batch.files] == [str(safe)]
        assert [skipped.path for skipped in batch.passed_over] == [archive, plain]
        assert f"{archive} holds the same product as {safe}" in batch.passed_over[0].reason
    assert rasters_below(folder).rasters == [safe]
    # Without the product's folder, the archive is used.
    assert found(archive).keys() == {f"{NEW}.tif"}
    other = products.sentinel2(tmp_path / "other", side=12)
    assert found(other, archive).keys() == {f"other/{NEW}.tif", f"in/{NEW}.tif"}


def test_a_list_may_name_products(folder: Path) -> None:
    names = folder.parent / "list.txt"
    names.write_text(f"in/{NEW}.SAFE\nin/deep/{ZIPPED}.SAFE.zip\nin/town.tif\n")
    assert {Path(name).name for name in found(names)} == {
        f"{NEW}.tif",
        f"{ZIPPED}.tif",
        "town.tif",
    }


def test_products_that_cannot_be_read_are_scenes_that_fail(
    folder: Path, tmp_path: Path, tiny: str
) -> None:
    """Each is one scene, and the others of the batch are done."""
    damaged = tmp_path / "damaged"
    messages = {"02.08": "is not complete", "02.09": "cannot read", "02.10": "holds 2 granules"}
    safes = {i: products.sentinel2(damaged, side=12, baseline=i) for i in messages}
    (safes["02.08"] / "MTD_MSIL2A.xml").unlink()
    (safes["02.09"] / "MTD_MSIL2A.xml").write_text("<cut")
    [granule] = safes["02.10"].glob("GRANULE/*")
    granule.with_name("second").mkdir()
    (granule.with_name("second") / "MTD_TL.xml").touch()

    out = tmp_path / "out"
    batch = scenes([str(damaged), str(folder)], out)
    outcomes = {}
    for number, scene in enumerate(batch.files):
        options = Options(model=tiny, steps=0, scale=2)
        job = Job(
            number=number, name=str(scene.name), source=scene.source, out=out / scene.name,
            options=options,
        )  # fmt: skip
        outcomes[scene.name.name] = upscale_scene(job, lambda *_: None)
    failed = {name: outcome for name, outcome in outcomes.items() if outcome.status == "failed"}
    assert failed.keys() == {f"{safe.stem}.tif" for safe in safes.values()}
    for baseline, safe in safes.items():
        outcome = failed[f"{safe.stem}.tif"]
        assert messages[baseline] in (outcome.error or "")
        assert "\n" not in (outcome.error or "")
    done = outcomes.keys() - failed.keys()
    assert done == {f"{OLD}.tif", f"{NEW}.tif", f"{ZIPPED}.tif", "town.tif"}
    assert {path.name for path in out.rglob("*.tif")} == done


def test_archives_of_other_things_are_no_products(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(np.arange(99, dtype=np.uint8).tobytes())
    rasters.write(tmp_path / "a.tif", textured(1, 1, 9, 9))
    batch = scenes([str(tmp_path), str(folder / "town.tif")], Path("out"))
    assert [scene.source for scene in batch.files] == [
        str(tmp_path / "a.tif"),
        str(folder / "town.tif"),
    ]
    assert [skipped.path.name for skipped in batch.passed_over] == ["x.zip"]


def test_a_metadata_file_is_a_scene(tmp_path: Path) -> None:
    safe = products.sentinel2(tmp_path, side=24)
    [metadata] = safe.glob("MTD_*.xml")
    [file] = scenes([str(metadata)], tmp_path / "out").files
    assert (file.source, file.name.name) == (str(metadata), f"{safe.stem}.tif")
