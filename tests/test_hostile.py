"""Hostile input gives a result or a one-line error: no traceback, no hang, no partial file."""

from __future__ import annotations

import os
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import rasterio
import rasterio.shutil
from click.testing import CliRunner, Result
from rasterio.control import GroundControlPoint

from rs_superres import engine
from rs_superres.engine import Options, Plan
from rs_superres.engine.store import scratch_of
from rs_superres.errors import RasterError
from rs_superres.scene.bands import MOST_BANDS
from tests import rasters
from tests.mutants import fields, mutant
from tests.rasters import RGB, textured
from tests.workers import Worker

FAULTS = {"traceback", "unreadable", "hang", "signal", "chatter"}

[entry] = entry_points(group="console_scripts", name="rs-sr")
main: click.Group = entry.load()

Call = Callable[..., Result]


# Mutants


@pytest.fixture(scope="module")
def sound_rasters(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Write small sound rasters of many kinds."""
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


@pytest.fixture(scope="module")
def worker(tiny: str) -> Iterator[Worker]:
    with Worker(tiny, seconds=60) as process:
        yield process


def attack(
    folder: Path, worker: Worker, originals: list[Path], *, seed: int, count: int
) -> Counter[str]:
    """Upscale mutants and count the kinds of outcomes; fail with a list of the faults."""
    data = [path.read_bytes() for path in originals]
    outcomes, faults = Counter[str](), []
    for number in range(count):
        index, kinds, content = mutant(seed, number, data)
        subfolder = folder / str(number)
        subfolder.mkdir()
        source, out = subfolder / f"mutant{originals[index].suffix}", subfolder / "out.tif"
        source.write_bytes(content)
        outcome = worker.upscale(source, out)
        outcomes[outcome["kind"]] += 1
        fault = fault_of(outcome, subfolder, source, out)
        if fault:
            faults.append(f"{seed}/{number} {originals[index].name} {kinds}: {fault}")
        else:
            shutil.rmtree(subfolder)
    print(dict(outcomes))  # noqa: T201 (pytest shows it on failure, or with -s)
    assert not faults, "\n".join(faults)
    return outcomes


def fault_of(outcome: dict[str, str], folder: Path, source: Path, out: Path) -> str | None:
    """Return what is wrong about an outcome; None if nothing is."""
    if outcome["kind"] in FAULTS:
        return f"{outcome['kind']}: {outcome['message']}"
    names = {path.name for path in folder.iterdir()} - {source.name}
    if outcome["kind"] == "result":
        return None if names == {out.name} else f"left {names}"
    if names - {scratch_of(out).name}:
        return f"failed and left {names}"
    message = outcome["message"]
    return f"message {message!r}" if "\n" in message or source.name not in message else None


def test_mutants_of_sound_rasters(
    tmp_path: Path, worker: Worker, sound_rasters: list[Path]
) -> None:
    outcomes = attack(tmp_path, worker, sound_rasters, seed=1, count=70)
    assert outcomes["result"] > 15
    assert outcomes["RasterError"] > 15


@pytest.fixture(scope="module")
def scenes(shared: Path) -> list[Path]:
    """Return the small files among the real scenes."""
    paths = sorted((shared / "data" / "scenes").rglob("*.tif*"))
    return [p for p in paths if p.suffix in {".tif", ".tiff"} and p.stat().st_size < 800_000]


def test_mutants_of_scenes(tmp_path: Path, worker: Worker, scenes: list[Path]) -> None:
    attack(tmp_path, worker, scenes, seed=2, count=30)


@pytest.mark.full
def test_many_mutants(
    tmp_path: Path, worker: Worker, sound_rasters: list[Path], scenes: list[Path]
) -> None:
    attack(tmp_path, worker, [*sound_rasters, *scenes], seed=3, count=2000)


# Single files, through the command


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """Nine cells at x3, stored in uncompressed strips: every truncation loses pixels."""
    return rasters.write(tmp_path / "scene.tif", textured(1, 3, 50, 44), colours=RGB)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.tif"


@pytest.fixture
def upscale(out: Path, tiny: str) -> Call:
    """Call ``rs-sr upscale -o out.tif --scale 2 -m tiny --steps 0 -q ... -- source``."""

    def run(source: Path | str, *options: str, to: Path = out) -> Result:
        line = ["-o", str(to), "--scale", "2", "-m", tiny, "--steps", "0", "-q", *options]
        return CliRunner().invoke(main, ["upscale", *line, "--", str(source)])

    return run


def refused(result: Result, out: Path, *words: str) -> str:
    """Check for exit status 1, one line with these words, and no result; return the line."""
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    [line] = lines
    assert line.startswith("rs-sr: error: ")
    assert "--debug" not in line  # only unexpected exceptions point to it
    for word in words:
        assert word in line
    assert not out.exists()
    return line


def virtual(path: Path, source: str, *, side: int = 20, missing: int = 1) -> Path:
    """Write a VRT with one band, taken from a source."""
    path.write_text(
        f'<VRTDataset rasterXSize="{side}" rasterYSize="{side}">'
        f'<VRTRasterBand dataType="Byte" band="{missing}"><SimpleSource>'
        f'<SourceFilename relativeToVRT="1">{source}</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>",
        "utf-8",
    )
    return path


def falsify(path: Path, **tags: int) -> Path:
    """Replace values of a TIFF's directory; ``t256=9`` sets the tag 256 to 9."""
    data = bytearray(path.read_bytes())
    for field in fields(bytes(data)):
        tag = struct.unpack_from("<H", data, field.tag[0])[0]
        if f"t{tag}" in tags:
            struct.pack_into("<H", data, field.kind[0], 4)  # LONG
            struct.pack_into("<I", data, field.count[1] + field.count[0], tags[f"t{tag}"])
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("length", [0, 4, 100, 3000])
def test_truncated(scene: Path, upscale: Call, out: Path, length: int) -> None:
    os.truncate(scene, length)
    refused(upscale(scene), out, str(scene))


def test_not_a_raster(tmp_path: Path, upscale: Call, out: Path) -> None:
    (tmp_path / "notes.tif").write_text("shopping list")
    refused(upscale(tmp_path / "notes.tif"), out, "notes.tif", "not recognized")


def test_a_failure_with_json_is_one_line(scene: Path, upscale: Call, out: Path) -> None:
    os.truncate(scene, 3000)
    refused(upscale(scene, "--json"), out, str(scene))


def test_sides_of_a_billion_pixels(tmp_path: Path, scene: Path, upscale: Call, out: Path) -> None:
    wide = virtual(tmp_path / "wide.vrt", scene.name, side=10**9)
    refused(upscale(wide), out, "GB of disk", "--bounds")
    wider = virtual(tmp_path / "wider.vrt", scene.name, side=2**31 - 1)
    refused(upscale(wider), out, "smaller scale")
    refused(upscale(falsify(scene, t256=10**9, t257=10**9)), out, str(scene))


def test_a_part_of_a_billion_pixels(tmp_path: Path, scene: Path, upscale: Call, out: Path) -> None:
    """The cost depends on the part, not on the size in the header."""
    wide = virtual(tmp_path / "wide.vrt", scene.name, side=10**9)
    result = upscale(wide, "--bounds", "0", "20", "20", "0")
    assert result.exit_code == 0, result.output
    with rasters.opened(out) as dataset:
        assert dataset.shape == (40, 40)


def test_absurd_band_counts(tmp_path: Path, scene: Path, upscale: Call, out: Path) -> None:
    many = tmp_path / "many.tif"
    profile = {"width": 16, "height": 16, "count": MOST_BANDS + 1, "dtype": "uint8"}
    with rasters.opened(many, "w", driver="GTiff", interleave="band", sparse_ok=True, **profile):
        pass
    refused(upscale(many), out, str(many), "at most 4096", "--bands")
    assert upscale(many, "--bands", "4097,1").exit_code == 0
    out.unlink()
    refused(upscale(falsify(scene, t277=60_000)), out, str(scene))


def test_many_bands_of_a_large_scene(
    tmp_path: Path, upscale: Call, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = rasters.write(tmp_path / "many.tif", textured(1, 40, 100, 90))
    monkeypatch.setattr("rs_superres.system.memory.memory", lambda: 1_000_000)
    refused(upscale(many), out, "a sample of the 40 bands", str(many), "--bands")


def test_absurd_blocks(
    scene: Path, upscale: Call, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused(upscale(falsify(scene, t278=2**31 - 1, t257=2**31 - 1)), out, "smaller scale")
    monkeypatch.setattr("rs_superres.system.memory.memory", lambda: 10_000)
    rasters.write(scene, textured(1, 3, 50, 44), blockysize=50)
    refused(upscale(scene), out, "blocks of 44 x 50", "-co TILED=YES")


def test_a_zip_bomb(tmp_path: Path, upscale: Call, out: Path) -> None:
    """Half a megabyte holds 400 MB of zeros, of a raster of 160 GB: refused without reading it."""
    member = tmp_path / "bomb.tif"
    profile = {"width": 400_000, "height": 400_000, "count": 1, "dtype": "uint8"}
    tiles = {"tiled": True, "blockxsize": 2048, "blockysize": 2048, "bigtiff": "YES"}
    with rasters.opened(member, "w", driver="GTiff", sparse_ok=True, **profile, **tiles):
        pass
    os.truncate(member, 400_000_000)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        file.write(member, member.name)
    member.unlink()
    inside = f"/vsizip/{tmp_path / 'bomb.zip'}/bomb.tif"
    refused(upscale(inside), out, "GB of disk", "--bounds")
    refused(upscale(tmp_path / "bomb.zip"), out, "bomb.zip", "/vsizip/ARCHIVE.zip/NAME.tif")


def test_cyclic_virtual_rasters(tmp_path: Path, upscale: Call, out: Path) -> None:
    one = virtual(tmp_path / "one.vrt", "other.vrt")
    virtual(tmp_path / "other.vrt", "one.vrt")
    refused(upscale(one), out, str(one))
    itself = virtual(tmp_path / "itself.vrt", "itself.vrt")
    refused(upscale(itself), out, str(itself))


def test_nested_virtual_rasters(tmp_path: Path, scene: Path, upscale: Call, out: Path) -> None:
    """They are read; afterwards GDAL would read zeros in place of sources that are missing."""
    inner = virtual(tmp_path / "inner.vrt", scene.name)
    middle = virtual(tmp_path / "middle.vrt", inner.name)
    outer = virtual(tmp_path / "outer.vrt", middle.name)
    assert upscale(outer).exit_code == 0
    out.unlink()
    missing = virtual(tmp_path / "missing.vrt", "nowhere.tif")
    refused(upscale(missing), out, str(missing), "nowhere.tif")
    scene.unlink()
    refused(upscale(outer), out, str(outer), scene.name)


def test_virtual_rasters_without_their_source(
    tmp_path: Path, scene: Path, upscale: Call, out: Path
) -> None:
    missing = virtual(tmp_path / "missing.vrt", "nowhere.tif")
    refused(upscale(missing), out, str(missing), "nowhere.tif")
    unknown = virtual(tmp_path / "a.vrt", scene.name)
    unknown.write_text(unknown.read_text().replace("<SourceBand>1<", "<SourceBand>9<"))
    refused(upscale(unknown), out, str(unknown))
    unknown.write_bytes(b"<VRTDataset rasterXSize='4' rasterYSize='4'><\xd3\xff></VRTDataset>")
    refused(upscale(unknown), out, str(unknown))


NAMES = [
    "two words.tif",
    'it\'s "quoted".tif',
    "снимок.tif",
    "衛星画像 №1.tif",
    "-o.tif",
    "100%25;$(x)&#.tif",
    "new\nline.tif",
    "[a].tif",
    "a,b:c.tif",
    "dot.",
]


@pytest.mark.parametrize("name", NAMES)
def test_odd_names(
    tmp_path: Path, upscale: Call, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a 'folder' ж"
    folder.mkdir()
    monkeypatch.chdir(folder)
    rasters.write(folder / name, textured(1, 1, 9, 12))
    out = Path(f"out {name}") if name.endswith(".tif") else Path("out.tif")
    assert upscale(name, to=out).exit_code == 0
    assert rasters.read(out).shape == (1, 18, 24)
    assert {p.name for p in folder.iterdir()} == {name, str(out)}
    out.unlink()
    os.truncate(folder / name, 100)
    refused(upscale(name, to=out), out, " ".join(name.split()))
    refused(upscale(f"no {name}", to=out), out, " ".join(name.split()))


def test_a_name_with_a_dash_needs_two_dashes(scene: Path) -> None:
    line = ["upscale", "-x.tif", "-o", str(scene.with_name("out.tif")), "--scale", "2"]
    result = CliRunner().invoke(main, line)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "No such option" in result.stderr


def test_a_name_that_is_not_utf_8(tmp_path: Path, scene: Path, upscale: Call, out: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.tif")
    scene.rename(name)
    result = upscale(name)
    if result.exit_code:
        refused(result, out)
    result = upscale(tmp_path / "scene.tif", to=Path(name))
    assert result.exit_code == 1


@pytest.fixture
def locked(tiny: str) -> Iterator[tuple[Path, str]]:
    """A folder with a scene, a model, and a subfolder ``locked`` that is read-only."""
    folder = Path(tempfile.mkdtemp())
    try:
        shutil.copytree(tiny, folder / "tiny")
        rasters.write(folder / "scene.tif", textured(1, 1, 20, 20))
        (folder / "locked").mkdir(mode=0o555)
        for path in (folder, folder / "tiny"):
            path.chmod(0o755)
        yield folder, str(folder / "tiny")
    finally:
        shutil.rmtree(folder)


@contextmanager
def nobody() -> Iterator[None]:
    """Run the block as the user "nobody" if we are root, who may write everywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_read_only_folder(locked: tuple[Path, str]) -> None:
    folder, model = locked
    line = ["upscale", str(folder / "scene.tif"), "--scale", "2", "-m", model, "--steps", "0", "-q"]
    # Modules must be imported before "nobody" runs, who may not read them.
    assert CliRunner().invoke(main, [*line, "-o", str(folder / "fine.tif")]).exit_code == 0
    for target in (folder / "locked" / "out.tif", folder / "locked" / "nowhere" / "out.tif"):
        with nobody():
            result = CliRunner().invoke(main, [*line, "-o", str(target)])
        refused(result, target, str(folder / "locked"))
    assert not list((folder / "locked").iterdir())
    target = folder / "locked" / "out.tif"
    target.parent.chmod(0o000)
    with nobody():
        result = CliRunner().invoke(main, [*line, "-o", str(target)])
    target.parent.chmod(0o755)
    refused(result, target, str(target))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_values_that_overflow_or_signal(
    tmp_path: Path, upscale: Call, out: Path, dtype: str
) -> None:
    """A value beyond float32 and a signalling NaN leave their neighbours finite."""
    pixels = textured(1, 1, 40, 40, dtype=dtype)
    if dtype == "float32":
        pixels.view(np.uint32)[0, 20, 20] = 0x7FA00000
    else:
        pixels[0, 20, 20] = 1e300
    result = upscale(rasters.write(tmp_path / "a.tif", pixels))
    assert (result.exit_code, result.stderr) == (0, "")
    result = rasters.read(out)[0]
    assert np.isnan(result).sum() == (4 if dtype == "float32" else 0)
    assert np.isfinite(result).sum() >= 80 * 80 - 4


# Failures while a run is in progress


@pytest.fixture
def plan(scene: Path, out: Path, tiny: str) -> Plan:
    return engine.plan(scene, out, Options(scale="3", model=tiny, steps=0))


def failure_of(plan: Plan, harm: Callable[[], object], *, at: int = 4) -> str:
    """Run a plan, call ``harm`` after ``at`` cells, and return the error's message."""

    def progress(done: int, _: int) -> None:
        if done == at:
            harm()

    with pytest.raises(RasterError) as caught:
        engine.run(plan, progress=progress)
    assert not plan.out.exists()
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_source_that_is_deleted(plan: Plan, scene: Path, out: Path) -> None:
    """The file is open, so it can still be read to its end."""
    engine.run(plan)
    expected = out.read_bytes()
    out.unlink()
    engine.run(plan, progress=lambda done, _: scene.unlink() if done == 4 else None)
    assert out.read_bytes() == expected


def test_a_source_that_is_truncated(plan: Plan, scene: Path) -> None:
    assert str(scene) in failure_of(plan, lambda: os.truncate(scene, 1000))


def test_a_source_that_changes(plan: Plan, scene: Path) -> None:
    def replace_it() -> None:
        rasters.write(scene, textured(2, 3, 50, 44), colours=RGB)

    assert f"{scene} changed while it was being read" in failure_of(plan, replace_it)


def test_a_folder_that_vanishes(tmp_path: Path, scene: Path, tiny: str) -> None:
    folder = tmp_path / "short-lived"
    folder.mkdir()
    options = Options(scale="3", model=tiny, steps=0)
    for at in (4, 9):
        folder.mkdir(exist_ok=True)
        plan = engine.plan(scene, folder / "out.tif", options)
        message = failure_of(plan, lambda: shutil.rmtree(folder), at=at)
        assert str(folder) in message
        assert "are kept" not in message
    plan = engine.plan(scene, folder / "out.tif", options) if folder.is_dir() else plan
    shutil.rmtree(folder, ignore_errors=True)
    with pytest.raises(RasterError, match="short-lived"):
        engine.run(plan)


def test_finished_cells_that_are_damaged(plan: Plan, out: Path) -> None:
    failure_of(plan, lambda: out.with_name("scene.tif").write_bytes(b""), at=9)
    plan = engine.plan(
        rasters.write(out.with_name("scene.tif"), textured(1, 3, 50, 44), colours=RGB),
        out,
        plan.options,
    )

    def cut() -> None:
        os.truncate(next(scratch_of(out).glob("*.tif")), 1000)

    message = failure_of(plan, cut, at=9)
    assert "mosaic.vrt" in message
    assert message.endswith("finished cells are kept, run the same command again to resume")
    (scratch_of(out) / "settings.json").write_text("{")
    report = engine.run(plan)
    assert report.dropped is not None


def test_a_damaged_cell_is_computed_again_in_the_same_process(plan: Plan, out: Path) -> None:
    """With any VRT open, GDAL remembers what it could not open, by name."""
    other = virtual(out.with_name("other.vrt"), "scene.tif")
    with rasters.opened(other) as dataset:
        assert dataset.read().any()
        failure_of(plan, lambda: os.truncate(scratch_of(out) / "128_0.tif", 1000), at=9)
        assert not [path for path in scratch_of(out).iterdir() if path.is_dir()]
        assert engine.run(plan).resumed == 8
    again = out.read_bytes()
    out.unlink()
    engine.run(plan)
    assert out.read_bytes() == again


def test_a_failure_that_gdal_does_not_explain_is_one_line(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise SystemError("Unknown GDAL Error. To debug: ...")

    monkeypatch.setattr("rasterio.shutil.copy", fail)
    with pytest.raises(RasterError, match="Unknown GDAL Error"):
        engine.run(plan)


# A full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path | None]:
    """Mount a disk of 4 MB; None if that is not possible."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(disk)]
    tool = shutil.which("mount")
    if os.geteuid() or tool is None or subprocess.run(mount, check=False).returncode:
        yield None
        return
    yield disk
    subprocess.run([tool.replace("mount", "umount"), str(disk)], check=True)


@pytest.mark.parametrize("file_format", ["cog", "gtiff"])
@pytest.mark.parametrize("free", [0, 400_000, 798_000, 822_000, 840_000])
def test_a_full_disk(
    small_disk: Path | None, scene: Path, tiny: str, file_format: Any, free: int
) -> None:
    """With few bytes free after the last cell, the result is complete or absent."""
    options = Options(scale="3", model=tiny, steps=0, format=file_format)
    if small_disk is None:
        fails_with_limited_files(scene, tiny, size=20_000 + free)
        return
    out = small_disk / "out.tif"
    plan = engine.plan(scene, out, options)

    def fill(done: int, total: int) -> None:
        if done == total:
            filling = max(0, shutil.disk_usage(small_disk).free - free)
            (small_disk / "filling").write_bytes(bytes(filling))

    try:
        engine.run(plan, progress=fill)
    except RasterError as error:
        message = str(error)
        assert "\n" not in message
        assert str(small_disk) in message
        assert not out.exists()
        (small_disk / "filling").unlink()
        assert engine.run(plan).resumed == 9
    engine.upscale(scene, scene.with_name("expected.tif"), options)
    np.testing.assert_array_equal(rasters.read(out), rasters.read(scene.with_name("expected.tif")))
    assert {p.name for p in small_disk.iterdir()} <= {"out.tif", "filling"}


def fails_with_limited_files(scene: Path, tiny: str, *, size: int) -> None:
    """Check that the command fails in one line where no file may grow beyond ``size`` bytes."""
    out = scene.with_name("out.tif")
    args = ["upscale", str(scene), "-o", str(out), "--scale", "3", "-m", tiny, "--steps", "0", "-q"]
    ran = subprocess.run(
        [sys.executable, "-c", COMMAND, *args],
        check=False,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    [line] = ran.stderr.splitlines()
    assert line.startswith(f"rs-sr: error: cannot write {out.parent}")
    assert not out.exists()


COMMAND = """
from importlib.metadata import entry_points
[entry] = entry_points(group="console_scripts", name="rs-sr")
entry.load()()
"""


def test_a_limit_on_files(scene: Path, tiny: str) -> None:
    """The libraries write a dozen lines about it, which are kept out of stderr."""
    fails_with_limited_files(scene, tiny, size=30_000)
