"""STAC items: as sources, and beside results."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio
from click.testing import CliRunner
from rasterio.warp import transform_bounds

from rs_superres.engine import Plan, run
from rs_superres.errors import InputError, RasterError
from rs_superres.raster import Description, open_source
from tests import deliveries
from tests.cli.calls import main
from tests.products import ground

COLOURS = {"blue": 0.49, "green": 0.56, "red": 0.66, "nir": 0.83}


def write_item(folder: Path, *, start: str = "./", newer: bool = False) -> Path:
    """Write an item with its assets: four colours, a 20 m band, classes, a picture and a pan.

    Args:
        folder: where they are written.
        start: the beginning of the assets' addresses.
        newer: whether bands are described as in STAC 1.1.
    """
    assets: dict[str, Any] = {}
    for i, (name, wavelength) in enumerate({**COLOURS, "rededge1": 0.7}.items()):
        size = 20 if name == "rededge1" else 10
        deliveries.write_tif(folder / f"{name}.tif", ground(600 // size, i), size)
        asset = {"href": f"{start}{name}.tif", "type": "image/tiff; application=geotiff"}
        common = {"rededge1": "rededge071"}.get(name, name)
        values = {"nodata": 0, "scale": 1e-4, "offset": -0.1}
        if newer:
            asset["bands"] = [  # type: ignore[assignment]
                {
                    "name": name,
                    "nodata": 0,
                    "eo:common_name": common,
                    "eo:center_wavelength": wavelength,
                    "raster:scale": 1e-4,
                    "raster:offset": -0.1,
                }
            ]
        else:
            asset["eo:bands"] = [  # type: ignore[assignment]
                {"name": name, "common_name": common, "center_wavelength": wavelength}
            ]
            asset["raster:bands"] = [values]  # type: ignore[assignment]
        assets[name] = asset
    deliveries.write_tif(folder / "visual.tif", np.zeros((3, 60, 60), np.uint8), 10)
    rgb = [{"name": c, "common_name": c} for c in ("red", "green", "blue")]
    visual = {"href": f"{start}visual.tif", "type": "image/tiff", "roles": ["visual"]}
    deliveries.write_tif(folder / "scl.tif", np.full((30, 30), 4, np.uint8), 20)
    deliveries.write_tif(folder / "pan.tif", ground(81, 9), 7.5)
    item: dict[str, Any] = {
        "type": "Feature",
        "stac_version": "1.1.0" if newer else "1.0.0",
        "id": "S2B_33UUB_20230823",
        "geometry": None,
        "properties": {"platform": "sentinel-2b", "datetime": "2023-08-23T09:55:59Z"},
        "links": [],
        "assets": {
            "visual": {**visual, "bands" if newer else "eo:bands": rgb},
            **assets,
            "scl": {"href": f"{start}scl.tif", "type": "image/tiff", "roles": ["data"]},
            "pan": {"href": f"{start}pan.tif", "type": "image/tiff", "roles": ["data"]},
            "thumbnail": {"href": "t.jpg", "type": "image/jpeg", "roles": ["thumbnail"]},
        },
    }
    path = folder / "item.json"
    path.write_text(json.dumps(item), encoding="utf-8")
    return path


@pytest.mark.parametrize("catalogue", ["earthsearch", "sentinel"])
def test_an_offset_that_was_applied_is_not_applied_again(tmp_path: Path, catalogue: str) -> None:
    path = write_item(tmp_path)
    item = json.loads(path.read_text())
    for applied, offset in ((False, -0.1), (True, 0)):
        item["properties"][f"{catalogue}:boa_offset_applied"] = applied
        path.write_text(json.dumps(item), encoding="utf-8")
        with open_source(path) as source:
            bands = source.description.bands
            assert {b.offset for b in bands if b.description in COLOURS} == {offset}
            assert {b.scale for b in bands if b.description in COLOURS} == {1e-4}


@pytest.mark.parametrize("newer", [False, True])
def test_separate_colours_come_first(tmp_path: Path, newer: bool) -> None:
    with open_source(write_item(tmp_path, newer=newer)) as source:
        description = source.description
        held = [description.bands[i - 1] for i in description.default_bands]
        assert [b.description for b in held] == [*COLOURS]
        assert [b.interpretation for b in held] == [*COLOURS]
        assert [(b.scale, b.offset, b.nodata) for b in held] == [(1e-4, -0.1, 0)] * 4
        assert [float(b.tags["WAVELENGTH"]) for b in held] == [
            pytest.approx(1000 * w) for w in COLOURS.values()
        ]
        others = {b.description: (b.factor, b.nearest) for b in description.bands if b not in held}
        assert others["rededge1"] == (2, False)
        assert others["scl"] == (2, True)
        assert description.sensor == "sentinel-2"
        assert description.product is not None
        assert description.product.apart == {"pan": str(tmp_path / "pan.tif")}
        blue = source.read(description.grid.window)[0][description.default_bands[0] - 1]
    with rasterio.open(tmp_path / "blue.tif") as alone:
        assert (blue == alone.read(1)).all()


def test_assets_are_chosen_by_name(tmp_path: Path, make: Callable[..., Plan]) -> None:
    item = write_item(tmp_path)
    plan = make(item, scale=2, bidx=("nir", "rededge1", "scl"))
    run(plan)
    with rasterio.open(plan.out) as result:
        assert result.descriptions == ("nir", "rededge1", "scl")
        assert (result.read(3) == 4).all()
        assert result.tags()["SUPERRES_PRODUCT"].startswith("STAC item S2B_33UUB_20230823, sent")
    with pytest.raises(InputError, match=r"upscale it by itself: .*pan\.tif"):
        make(item, "other.tif", scale=2, bidx="pan")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[str]:
    """The address of a server of the folder ``served``, in a process of its own.

    rasterio keeps Python's lock while GDAL waits for an answer: a thread could give none.
    """
    folder = tmp_path / "served"
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    with subprocess.Popen(
        line, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        for _ in range(100):
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
        server.terminate()


def test_an_item_at_an_address(tmp_path: Path, host: str) -> None:
    write_item(tmp_path / "served")
    with open_source(f"{host}/item.json") as source:
        names = [b.description for b in source.description.bands]
        assert source.description.grid.shape.width == 60
    assert set(COLOURS) <= set(names)
    with pytest.raises(RasterError, match="404"):
        open_source(f"{host}/none.json")
    (tmp_path / "served" / "other.json").write_text("{}", encoding="utf-8")
    with pytest.raises(RasterError, match=r"other\.json is no STAC item, expected one"):
        open_source(f"{host}/other.json")


def test_a_local_item_reaches_no_host_that_nobody_named(
    tmp_path: Path, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = write_item(tmp_path / "served", start=f"{host}/")
    monkeypatch.delenv("RS_SR_NETWORK", raising=False)
    with pytest.raises(RasterError, match="connects only to hosts that you name"):
        open_source(item)
    monkeypatch.setenv("RS_SR_NETWORK", "1")
    with open_source(item) as source:
        assert source.description.grid.shape.width == 60


@pytest.mark.parametrize(
    ("assets", "message"),
    [
        ({}, "no asset of this STAC item is a raster"),
        ({"a": {"href": "a.jpg", "type": "image/jpeg"}}, "no asset of this STAC item is a raster"),
        ({"a": {"href": "gone.tif", "type": "image/tiff"}}, "cannot open .*gone.tif"),
        ({"a": "text", "b": {"type": "image/tiff"}}, "no asset of this STAC item is a raster"),
    ],
)
def test_items_that_cannot_be_read(tmp_path: Path, assets: dict[str, Any], message: str) -> None:
    item = {"type": "Feature", "stac_version": "1.0.0", "id": "a", "assets": assets}
    path = tmp_path / "item.json"
    path.write_text(json.dumps(item), encoding="utf-8")
    with pytest.raises(RasterError, match=message):
        open_source(path)


def test_the_item_of_a_result(tmp_path: Path, make: Callable[..., Plan]) -> None:
    plan = make(write_item(tmp_path), scale=2, stac=True, preview=tmp_path / "p.png")
    run(plan)
    item = pystac.Item.from_file(str(tmp_path / "out.json"))
    assert item.id == "out"
    assert item.datetime is not None
    assert item.datetime.isoformat() == "2023-08-23T09:55:59+00:00"
    with rasterio.open(tmp_path / "out.tif") as result:
        expected = transform_bounds(result.crs, "EPSG:4326", *result.bounds)
        assert item.bbox == pytest.approx(expected, abs=1e-6)
        data = item.assets["data"]
        assert data.extra_fields["proj:shape"] == [result.height, result.width]
        assert data.extra_fields["proj:transform"] == list(result.transform)
        assert item.properties["proj:code"] == f"EPSG:{result.crs.to_epsg()}"
        bands = data.extra_fields["bands"]
        assert [b["name"] for b in bands] == list(result.descriptions)
        assert [b["raster:offset"] for b in bands] == list(result.offsets)
    assert data.href == "out.tif"
    assert item.assets["preview"].href == "p.png"
    assert [link.href for link in item.get_links("derived_from")] == ["item.json"]
    assert "rs-sr" in item.properties["processing:software"]
    assert [b["eo:common_name"] for b in bands] == [*COLOURS]
    ring = item.geometry["coordinates"][0] if item.geometry else []
    area = sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(ring))
    assert ring[0] == ring[-1]
    assert area > 0  # anticlockwise, as RFC 7946 asks
    with open_source(tmp_path / "out.json") as again:  # a result's item is a source too
        assert again.description.sensor is None


def test_an_item_replaces_another_only_if_told(tmp_path: Path, tiny: str) -> None:
    source = write_item(tmp_path)
    out = tmp_path / "o.tif"
    line = ["upscale", source, "-o", out, "-m", tiny, "--steps", "0", "--scale", "2", "--stac"]
    (tmp_path / "o.json").write_text("mine", encoding="utf-8")
    refused = CliRunner().invoke(main, [*map(str, line)])
    assert refused.exit_code == 1
    assert "o.json" in refused.output
    assert (tmp_path / "o.json").read_text(encoding="utf-8") == "mine"
    assert not out.exists()
    done = CliRunner().invoke(main, [*map(str, line), "--overwrite"])
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "o.json").read_text(encoding="utf-8"))["id"] == "o"


def test_a_result_without_a_place_has_an_item(tmp_path: Path, make: Callable[..., Plan]) -> None:
    source = tmp_path / "plain.tif"
    deliveries.write_tif(source, ground(40, 1), 1.0, crs=None)
    run(make(source, scale=2, stac=True))
    item = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert item["geometry"] is None
    assert item["properties"]["proj:code"] is None


def bands_of(folder: Path, asset: dict[str, Any], pixels: np.ndarray) -> Description:
    """Describe an item with one asset, whose raster has some pixels."""
    deliveries.write_tif(folder / "my image.tif", pixels, 10)
    whole = {"href": "my%20image.tif", "type": "image/tiff", **asset}
    item = {"type": "Feature", "stac_version": "1.1.0", "id": "a", "assets": {"image": whole}}
    path = folder / "item.json"
    path.write_text(json.dumps(item), encoding="utf-8")
    with open_source(path) as source:
        return source.description


def test_an_asset_without_bands_has_those_of_its_file(tmp_path: Path) -> None:
    description = bands_of(tmp_path, {}, np.ones((4, 9, 9), np.uint16))
    names = [band.description for band in description.bands]
    assert names == ["image/1", "image/2", "image/3", "image/4"]
    assert description.default_bands == (1, 2, 3, 4)


def test_fields_of_an_asset_hold_for_all_of_its_bands(tmp_path: Path) -> None:
    asset = {
        "nodata": 7,
        "raster:scale": 0.5,
        "bands": [{"name": "a"}, {"name": "b", "raster:scale": 0.25}],
    }
    description = bands_of(tmp_path, asset, np.ones((2, 9, 9), np.uint16))
    assert [(b.nodata, b.scale) for b in description.bands] == [(7, 0.5), (7, 0.25)]


@pytest.mark.parametrize(
    "asset",
    [
        {"roles": ["data-mask"]},
        {"classification:bitfields": []},
        {"bands": [{"name": "qa_aerosol"}]},
        {"bands": [{"name": "SCL"}]},
    ],
)
def test_classes_are_told_by_names_roles_and_fields(tmp_path: Path, asset: dict[str, Any]) -> None:
    [band] = bands_of(tmp_path, asset, np.ones((1, 9, 9), np.uint8)).bands
    assert band.nearest


def test_an_item_that_describes_too_many_bands(tmp_path: Path) -> None:
    bands = [{"name": str(i)} for i in range(3)]
    with pytest.raises(RasterError, match=r"has 1 bands, expected band 2 to be image/1; .*item"):
        bands_of(tmp_path, {"bands": bands}, np.ones((1, 9, 9), np.uint8))
