"""The code blocks of README and docs, and the files that their commands use."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyogrio.raw
import shapely
from affine import Affine
from shapely.geometry import shape

from rs_superres.demo.synthetic_scene import ORIGIN, TOWN, render_scene, scene_grid
from tests import deliveries, products, rasters
from tests.rasters import RGB

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>.*?) -->\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    """Number of the first line of its text, from 1."""
    kind: str
    """``sh`` is run, ``console`` only parsed, ``python`` run after its page's earlier blocks."""
    text: str
    reason: str | None
    """Why the block is not run; None if it is."""

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    def commands(self) -> Iterator[list[str]]:
        """Yield the words of each command, without comments."""
        for line in self.text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                yield words


def blocks(*kinds: str) -> list[Block]:
    """Return the blocks of the given kinds on all pages; all blocks without a kind."""
    every = []
    for page in PAGES:
        text = page.read_text("utf-8")
        for match in BLOCK.finditer(text):
            line = text[: match.start("text")].count("\n") + 1
            every.append(Block(page, line, match["kind"], match["text"], match["reason"]))
    return [block for block in every if not kinds or block.kind in kinds]


SIDE = 40


def write_scenes(folder: Path) -> None:
    """Write every raster and polygon that the pages use: the demo's town, small, in many forms."""
    image, transform = render_scene(SIDE, samples=2), scene_grid(SIDE).transform
    for name in ("scene.tif", "huge.tif"):
        rasters.write(folder / name, image, colours=RGB, transform=transform)
    alpha = np.full((1, SIDE, SIDE), 255, np.uint8)
    alpha[:, :5] = 0
    rgba = np.concatenate([image, alpha])
    rasters.write(folder / "ortho.tif", rgba, colours=(*RGB, "alpha"), transform=transform)
    fine = render_scene(3 * SIDE, samples=1)
    rasters.write(folder / "other.tif", fine, transform=scene_grid(3 * SIDE).transform)
    for name, pixels in (("images", fine), ("high", fine), ("low", image)):
        (folder / name).mkdir()
        grid = scene_grid(pixels.shape[-1])
        rasters.write(folder / name / "town.tif", pixels, colours=RGB, transform=grid.transform)
    _write_bands(folder, image)
    _write_products(folder)
    cover = rasters.write(folder / "cover.tif", image[:1] // 64)
    with rasters.opened(cover, "r+") as dataset:
        dataset.write_colormap(1, {n: (60 * n, 200 - 50 * n, 90, 255) for n in range(4)})
    (folder / "fields.geojson").write_text(json.dumps(_field()))
    pyogrio.raw.write(
        folder / "farm.gpkg",
        np.array([shapely.to_wkb(shape(_field()))], dtype=object),
        [],
        [],
        layer="fields",
        driver="GPKG",
        geometry_type="Polygon",
        crs="EPSG:32633",
    )
    large = render_scene(TOWN.side, samples=1)
    for name in ("scenes", "my-scenes", "imagery", "validation"):
        (folder / name).mkdir()
        # Two scenes, far from each other: training holds out one of them.
        for east, scene in ((0, "a.tif"), (50_000, "b.tif")):
            grid = scene_grid(TOWN.side)
            assert grid.transform is not None
            moved = Affine.translation(east, 0) @ grid.transform
            rasters.write(folder / name / scene, large, colours=RGB, transform=moved)


def _write_bands(folder: Path, image: rasters.Array) -> None:
    """Write a satellite's files: one band each at 10 m, one at 20 m, and stacks of bands."""
    ten, twenty = Affine(10, 0, 5e5, 0, -10, 5.4e6), Affine(20, 0, 5e5, 0, -20, 5.4e6)
    reflectance = image.astype(np.uint16) * 12 + 200
    bands = [reflectance[i] for i in (2, 1, 0)] + [reflectance[1] + 900]
    for name, band in zip(("2", "3", "4", "8"), bands, strict=True):
        for file in (f"B{name}.tif", f"B0{name}.tif"):
            rasters.write(folder / file, band[None], transform=ten)
    rasters.write(folder / "B11.tif", reflectance[:1, ::2, ::2], transform=twenty)
    classes = image[0].astype(np.uint16) // 40
    ten_metres = ("B2", "B3", "B4", "B8", "SCL")
    many = (*(f"B{n}" for n in range(1, 9)), "B8A", "B11", "B12", "SCL")
    for file, names, pixels in (
        ("stack.tif", ten_metres, [*bands, classes]),
        ("s2.tif", many, [*bands, *bands, *bands[:3], classes]),
    ):
        with rasters.opened(
            rasters.write(folder / file, np.stack(pixels), transform=ten), "r+"
        ) as stack:
            stack.descriptions = names


def _write_products(folder: Path) -> None:
    """Write the products that the pages name, small."""
    products.sentinel2(folder / "written", side=60).rename(folder / "S2B_T33UUB.SAFE")
    scene = deliveries.landsat(folder / "written", side=40)
    deliveries.tarred(scene).rename(folder / "LC08_T1.tar")
    scene.rename(folder / "LC08_T1")
    deliveries.pleiades(folder, side=40)
    for number, colour in enumerate(("red", "green", "blue")):
        deliveries.write_tif(folder / f"{colour}.tif", products.ground(40, number), 10.0)
    assets = {
        colour: {
            "href": f"./{colour}.tif",
            "type": "image/tiff; application=geotiff",
            "eo:bands": [{"name": colour, "common_name": colour}],
        }
        for colour in ("red", "green", "blue")
    }
    item = {"type": "Feature", "stac_version": "1.0.0", "id": "town", "assets": assets}
    (folder / "item.json").write_text(json.dumps(item), encoding="utf-8")
    (folder / "written").rmdir()


def _field() -> dict[str, object]:
    """Return a triangle in the town as GeoJSON, in the town's CRS."""
    (x, y), side = ORIGIN, TOWN.extent
    corners = [[x + 10, y - 10], [x + side / 2, y - 20], [x + 30, y - side / 2], [x + 10, y - 10]]
    return {
        "type": "Polygon",
        "coordinates": [corners],
        "crs": {"type": "name", "properties": {"name": "EPSG:32633"}},
    }
