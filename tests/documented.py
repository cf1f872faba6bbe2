"""The blocks of README and docs, and the scenes that their commands name."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from affine import Affine

from rs_superres import demo
from rs_superres.demo.synthetic_scene import EXTENT, ORIGIN, render_scene, scene_grid
from tests import rasters
from tests.rasters import RGB

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<why>.*?) -->\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    """Of its first line of text, from 1."""
    kind: str
    """``sh`` is run, ``console`` only read, ``python`` is run on the page's earlier ones."""
    text: str
    why_not: str | None
    """The reason of a block that is marked not to be run."""

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    def commands(self) -> Iterator[list[str]]:
        """The words of each line that calls something, without comments."""
        for line in self.text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                yield words


def blocks(*kinds: str) -> list[Block]:
    """The blocks of some kinds on all pages; of all kinds without one."""
    found = []
    for page in PAGES:
        text = page.read_text("utf-8")
        for match in BLOCK.finditer(text):
            line = text[: match.start("text")].count("\n") + 1
            found.append(Block(page, line, match["kind"], match["text"], match["why"]))
    return [block for block in found if not kinds or block.kind in kinds]


SIDE = 40


def write_scenes(folder: Path) -> None:
    """Every raster and polygon that the pages name: the drawn town, small, in many dresses."""
    drawn, place = render_scene(SIDE, samples=2), scene_grid(SIDE).transform
    for name in ("scene.tif", "huge.tif"):
        rasters.write(folder / name, drawn, colours=RGB, transform=place)
    alpha = np.full((1, SIDE, SIDE), 255, np.uint8)
    alpha[:, :5] = 0
    rgba = np.concatenate([drawn, alpha])
    rasters.write(folder / "ortho.tif", rgba, colours=(*RGB, "alpha"), transform=place)
    fine = render_scene(3 * SIDE, samples=1)
    rasters.write(folder / "other.tif", fine, transform=scene_grid(3 * SIDE).transform)
    for name, image in (("images", fine), ("high", fine), ("low", drawn)):
        (folder / name).mkdir()
        where = scene_grid(image.shape[-1]).transform
        rasters.write(folder / name / "town.tif", image, colours=RGB, transform=where)
    _write_bands(folder, drawn)
    cover = rasters.write(folder / "cover.tif", drawn[:1] // 64)
    with rasters.opened(cover, "r+") as dataset:
        dataset.write_colormap(1, {n: (60 * n, 200 - 50 * n, 90, 255) for n in range(4)})
    (folder / "fields.geojson").write_text(json.dumps(_field()))
    large = render_scene(demo.SIDE, samples=1)
    for name in ("scenes", "my-scenes", "imagery", "validation"):
        (folder / name).mkdir()
        # Two places, far from each other: a run of training holds out one of them.
        for east, scene in ((0, "a.tif"), (50_000, "b.tif")):
            grid = scene_grid(demo.SIDE)
            assert grid.transform is not None
            moved = Affine.translation(east, 0) @ grid.transform
            rasters.write(folder / name / scene, large, colours=RGB, transform=moved)


def _write_bands(folder: Path, drawn: rasters.Array) -> None:
    """A satellite's files: one band each at 10 m, one at 20 m, and stacks of them."""
    ten, twenty = Affine(10, 0, 5e5, 0, -10, 5.4e6), Affine(20, 0, 5e5, 0, -20, 5.4e6)
    light = drawn.astype(np.uint16) * 12 + 200
    bands = [light[2], light[1], light[0], light[1] + 900]
    for name, band in zip(("2", "3", "4", "8"), bands, strict=True):
        for spelt in (f"B{name}.tif", f"B0{name}.tif"):
            rasters.write(folder / spelt, band[None], transform=ten)
    rasters.write(folder / "B11.tif", light[:1, ::2, ::2], transform=twenty)
    classes = drawn[0].astype(np.uint16) // 40
    rasters.write(folder / "stack.tif", np.stack([*bands, classes]), transform=ten)
    rasters.write(folder / "s2.tif", np.stack([*bands, *bands, *bands[:3], classes]), transform=ten)


def _field() -> dict[str, object]:
    """A triangle in the town, in the town's CRS."""
    (x, y), side = ORIGIN, EXTENT
    corners = [[x + 10, y - 10], [x + side / 2, y - 20], [x + 30, y - side / 2], [x + 10, y - 10]]
    return {
        "type": "Polygon",
        "coordinates": [corners],
        "crs": {"type": "name", "properties": {"name": "EPSG:32633"}},
    }
