"""Hostile input: a result or one line, never a traceback, a hang, or half a file under a name."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.control import GroundControlPoint

from rs_superres.store import scratch_of
from tests import rasters
from tests.mutants import mutant
from tests.rasters import RGB, textured
from tests.workers import Worker

BAD = {"traceback", "unreadable", "hang", "signal", "chatter"}


# Mutants


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Small sound rasters of many kinds, made on the spot."""
    folder = tmp_path_factory.mktemp("sound")
    inside = np.ones((48, 52), dtype=np.bool_)
    inside[10:20, 5:30] = False
    floats = textured(3, 2, 48, 52, dtype="float32")
    floats[0, 4:9, 4:9] = np.nan
    points = [
        GroundControlPoint(row=r, col=c, x=10 + 0.01 * c, y=50 - 0.01 * r, z=0)
        for r, c in ((0, 0), (0, 52), (48, 0), (48, 52))
    ]
    tiled: dict[str, Any] = {"tiled": True, "blockxsize": 16, "blockysize": 16}
    kinds: dict[str, tuple[rasters.Array, dict[str, Any]]] = {
        "deflate": (textured(1, 3, 48, 52), {"colours": RGB, "compress": "deflate"}),
        "plain": (textured(1, 3, 48, 52), {"colours": RGB, "tags": {"MISSION": "one"}}),
        "tiled": (
            textured(2, 4, 48, 52, dtype="uint16", high=9000),
            {"compress": "lzw", "predictor": 2, "nodata": 0, **tiled},
        ),
        "float": (floats, {"compress": "deflate", "predictor": 3, "nodata": np.nan}),
        "planar": (textured(4, 5, 48, 52), {"interleave": "band", "compress": "packbits"}),
        "masked": (textured(5, 1, 48, 52, dtype="int16", high=900), {"mask": inside}),
        "jpeg": (
            textured(6, 3, 48, 52),
            {"compress": "jpeg", "photometric": "ycbcr", "colours": RGB, **tiled},
        ),
        "zstd": (textured(7, 1, 48, 52, dtype="float64"), {"compress": "zstd", **tiled}),
        "big": (textured(8, 2, 48, 52), {"bigtiff": "YES", "endianness": "BIG"}),
        "points": (textured(9, 1, 48, 52), {"transform": None, "gcps": points}),
        "twelve": (textured(10, 1, 48, 52, dtype="uint16", high=4000), {"nbits": 12}),
        "webp": (textured(11, 3, 48, 52), {"compress": "webp", "colours": RGB}),
    }
    paths = [
        rasters.write(folder / f"{name}.tif", pixels, **profile)
        for name, (pixels, profile) in kinds.items()
    ]
    with rasterio.open(paths[2], "r+") as dataset:
        dataset.build_overviews([2, 4])
    virtual = folder / "virtual.vrt"
    with rasterio.open(paths[0]) as dataset:
        rasterio.shutil.copy(dataset, virtual, driver="VRT")
    return [*paths, virtual]


def attacked(
    folder: Path, tiny: str, originals: list[Path], *, seed: int, count: int
) -> Counter[str]:
    """Count the outcomes of mutants; fail with a list of those that must not be."""
    data = [path.read_bytes() for path in originals]
    found, bad = Counter[str](), []
    with Worker(tiny, seconds=60) as worker:
        for number in range(count):
            which, kinds, content = mutant(seed, number, data)
            here = folder / str(number)
            here.mkdir()
            source, out = here / f"mutant{originals[which].suffix}", here / "out.tif"
            source.write_bytes(content)
            told = worker.upscale(source, out)
            why = wrong(told, here, source, out)
            found[told["kind"]] += 1
            if why:
                bad.append(f"{seed}/{number} {originals[which].name} {kinds}: {why}")
            else:
                shutil.rmtree(here)
    print(dict(found))  # noqa: T201 (pytest shows it with -s)
    assert not bad, "\n".join(bad)
    return found


def wrong(told: dict[str, str], folder: Path, source: Path, out: Path) -> str | None:
    """What is wrong about an outcome; None where nothing is."""
    if told["kind"] in BAD:
        return f"{told['kind']}: {told['message']}"
    names = {path.name for path in folder.iterdir()} - {source.name}
    if told["kind"] == "result":
        return None if names == {out.name} else f"left {names}"
    if names - {scratch_of(out).name}:
        return f"failed and left {names}"
    message = told["message"]
    return f"message {message!r}" if "\n" in message or source.name not in message else None


def test_mutants_of_made_rasters(tmp_path: Path, tiny: str, made: list[Path]) -> None:
    found = attacked(tmp_path, tiny, made, seed=1, count=100)
    assert found["result"] > 20
    assert found["RasterError"] > 20


@pytest.fixture(scope="module")
def scenes(shared: Path) -> list[Path]:
    """Real files, the small ones."""
    every = sorted((shared / "data" / "scenes").rglob("*.tif*"))
    return [p for p in every if p.suffix in {".tif", ".tiff"} and p.stat().st_size < 800_000]


def test_mutants_of_scenes(tmp_path: Path, tiny: str, scenes: list[Path]) -> None:
    attacked(tmp_path, tiny, scenes, seed=2, count=30)


@pytest.mark.full
def test_many_mutants(tmp_path: Path, tiny: str, made: list[Path], scenes: list[Path]) -> None:
    attacked(tmp_path, tiny, [*made, *scenes], seed=3, count=2000)
