"""What a plan refuses, before anything is computed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from affine import Affine

from rs_superres import engine
from rs_superres.engine import Options, Plan
from rs_superres.errors import InputError, RasterError, SuperResError, UnknownModelError
from tests import rasters
from tests.located import StoppedError
from tests.rasters import NORTH_UP, RGB, textured

Make = Callable[..., Plan]


class Disks:
    """Replaces the machine's disks: reports how much is free, and records the folders checked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, scratch: Path | None = None) -> None:
        """Set up one disk, or a second one for the folder ``scratch``."""
        self.scratch = scratch
        self.free: dict[int, int] = {}
        self.checked: list[Path] = []
        monkeypatch.setattr("shutil.disk_usage", self.usage)
        for module in ("planning", "outputs"):
            monkeypatch.setattr(f"rs_superres.engine.{module}.file_system", self.number)

    def number(self, folder: Path) -> int:
        """1 for the scratch folder and what lies below it, else 0."""
        return int(self.scratch is not None and folder.is_relative_to(self.scratch))

    def usage(self, folder: Path) -> Any:
        assert folder.is_dir()
        self.checked.append(folder)
        return SimpleNamespace(free=self.free.get(self.number(folder), 10**12))


def test_a_disk_that_is_too_small_is_refused(
    make: Make, scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, disks = make(scene, scale="3"), Disks(monkeypatch)
    assert list(plan.disk_needs()) == [plan.scratch]
    disks.free[0] = plan.disk_bytes - 1
    with pytest.raises(RasterError, match=r"GB of disk in .*rs-sr, .* are free; .*scratch="):
        engine.run(plan)
    assert not plan.scratch.exists()
    assert disks.checked == [scene.parent]
    disks.free[0] = plan.disk_bytes
    engine.run(plan)


def test_cells_that_are_finished_count_on_the_disk_that_they_fill(
    make: Make, scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, disks = make(scene, scale="3"), Disks(monkeypatch)
    interrupted(plan, cells=8)
    held = sum(path.stat().st_size for path in plan.scratch.iterdir())
    assert held > 8 * 3 * 64 * 64
    disks.free[0] = plan.disk_bytes - held - 1
    with pytest.raises(RasterError, match="GB of disk"):
        engine.run(plan)
    disks.free[0] = plan.disk_bytes - held
    assert engine.run(plan).resumed == 8


def test_cells_of_other_settings_count_too_since_they_are_deleted(
    make: Make, scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disks = Disks(monkeypatch)
    interrupted(make(scene, scale="3"), cells=8)
    plan = make(scene, scale="3", value_range=(0, 200))
    held = sum(path.stat().st_size for path in plan.scratch.iterdir())
    disks.free[0] = plan.disk_bytes - held
    assert engine.run(plan).resumed == 0


def test_a_finished_run_is_never_refused(
    make: Make, scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, disks = make(scene, scale="3"), Disks(monkeypatch)
    with monkeypatch.context() as patched:
        patched.setattr("rs_superres.engine.runner.assemble", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            engine.run(plan)
    disks.free[0] = 0
    assert engine.run(make(scene, scale="3")).resumed == 9


def test_scratch_on_another_disk(
    tmp_path: Path, make: Make, scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cells and result lie in the scratch folder, one copy at the output."""
    disks = Disks(monkeypatch, tmp_path / "fast")
    options = {"scale": "3", "samples": 2, "steps": 1, "scratch": tmp_path / "fast" / "work"}
    plan = make(scene, **options, uncertainty=tmp_path / "std.tif")
    needs = plan.disk_needs()
    assert list(needs) == [plan.scratch, tmp_path]
    # A GeoTIFF stores whole tiles.
    result, std = 512 * 512 * 3 * 4 // 3, 512 * 512 * 3 * 4 * 4 // 3
    assert needs[tmp_path] == result + std
    cells, overviews = len(plan.cells) * 64 * 64 * (3 + 3 * 4), 512 * 512 * (3 + 3 * 4) / 3
    assert needs[plan.scratch] == pytest.approx(cells + needs[tmp_path] + overviews, abs=2)
    seen = make(scene, **options, uncertainty=tmp_path / "std.tif", preview=tmp_path / "seen.png")
    more = {folder: size - needs[folder] for folder, size in seen.disk_needs().items()}
    assert more == {plan.scratch: 6 * 2**20, tmp_path: 6 * 2**20}
    (tmp_path / "fast").mkdir()
    for full in (0, 1):
        disks.free = dict(enumerate(needs[f] for f in (tmp_path, plan.scratch)))
        disks.free[full] -= 1
        folder = tmp_path if full == 0 else plan.scratch
        with pytest.raises(RasterError, match=f"GB of disk in {folder}, "):
            engine.run(plan)
        disks.free[full] += 1
    disks.checked.clear()
    engine.run(plan)
    assert disks.checked == [tmp_path / "fast", tmp_path]


def test_a_result_that_no_disk_holds_is_refused_before_the_source_is_sampled(
    tmp_path: Path, make: Make, scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disks = Disks(monkeypatch, tmp_path / "fast")
    monkeypatch.setattr("rs_superres.raster.Source.samples", lambda _: pytest.fail("sampled"))
    disks.free = {0: 10**12, 1: 100_000}
    (tmp_path / "fast").mkdir()
    with pytest.raises(RasterError, match=r"GB of disk in .*fast"):
        make(scene, scale="3", scratch=tmp_path / "fast")
    assert disks.checked == [tmp_path / "fast"]


def interrupted(plan: Plan, *, cells: int) -> None:
    """Run a plan until some cells are finished."""

    def stop(done: int, _: int) -> None:
        if done == cells:
            raise StoppedError

    with pytest.raises(StoppedError):
        engine.run(plan, progress=stop)


def test_output_names_that_would_lose_data_are_refused(
    tmp_path: Path, make: Make, scene: Path
) -> None:
    (tmp_path / "there.tif").write_bytes(b"precious")
    (tmp_path / "link.tif").symlink_to(scene)
    for out, options, message in (
        ("none/out.tif", {}, "folder .*none does not exist"),
        ("scene.tif", {}, "is the source"),
        ("scene.tif", {"overwrite": True}, "is the source"),
        ("link.tif", {"overwrite": True}, "is the source"),
        ("there.tif", {}, "exists already; overwrite=True"),
    ):
        with pytest.raises(InputError, match=message):
            make(scene, out, scale="3", **options)
    assert (tmp_path / "there.tif").read_bytes() == b"precious"
    plan = make(scene, "there.tif", scale="3", overwrite=True)
    assert (tmp_path / "there.tif").read_bytes() == b"precious"
    engine.run(plan)
    assert rasters.read(plan.out).shape == (3, 150, 132)


def test_in_a_folder_a_result_gets_the_name_of_its_source(
    tmp_path: Path, tiny: str, scene: Path
) -> None:
    options = engine.Options(scale=2, model=tiny, steps=0)
    folder = tmp_path / "finer"
    with pytest.raises(InputError, match=r"folder .*finer does not exist"):
        engine.plan(scene, f"{folder}/", options)
    folder.mkdir()
    source = rasters.write(tmp_path / "a.b.img", rasters.read(scene))
    for out in (folder, str(folder), f"{folder}/"):
        assert engine.plan(scene, out, options).out == folder / "scene.tif"
        assert engine.plan(source, out, options).out == folder / "a.b.tif"
    with pytest.raises(InputError, match=r"finer is a folder, expected a file name .* 2 sources"):
        engine.plan([scene, scene], folder, options)
    with pytest.raises(InputError, match="is the source"):
        engine.plan(scene, tmp_path, options)


@pytest.mark.parametrize("kept", [True, False])
def test_files_next_to_an_output_need_permission_and_are_deleted(
    tmp_path: Path, make: Make, scene: Path, kept: bool
) -> None:
    """Whether or not the raster that they belonged to still exists."""
    options = {"scale": "3", "samples": 2, "steps": 1}
    options |= {"uncertainty": tmp_path / "std.tif", "preview": tmp_path / "seen.png"}
    world = "3\n0\n0\n-3\n7\n7\n"
    pam = "<PAMDataset><Metadata><MDI key='OLD'>1</MDI></Metadata></PAMDataset>"
    old = {
        "out": {"out.tfw": world, "out.tif.aux.xml": pam, "out.tif.ovr": "damaged"},
        "std": {"std.tif.aux.xml": pam, "std.wld": world},
        "seen": {"seen.png.aux.xml": pam},
    }
    outputs = {"out": "out.tif", "std": "std.tif", "seen": "seen.png"}
    for name, files in reversed(old.items()):  # the result's name is checked first
        for path, text in files.items():
            (tmp_path / path).write_text(text)
        if kept:
            rasters.write(tmp_path / outputs[name], textured(2, 1, 9, 9))
        message = ", ".join(sorted(files)).replace(".", r"\.") + ".*overwrite=True"
        refused(InputError, message, partial(make, scene, **options))
    engine.run(make(scene, **options, overwrite=True))
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*outputs.values(), "scene.tif"])
    with rasters.opened(tmp_path / "out.tif") as dataset:
        assert "OLD" not in dataset.tags()
        assert dataset.files == [str(tmp_path / "out.tif")]


def test_files_that_an_output_would_share_are_refused(
    tmp_path: Path, make: Make, scene: Path
) -> None:
    world = tmp_path / "other.wld"
    world.write_text("10\n0\n0\n-10\n500005\n5399995\n")
    with rasters.opened(scene) as opened:
        profile = {"count": 3, "height": 50, "width": 44, "dtype": "uint8"}
        with rasters.opened(tmp_path / "other.png", "w", driver="PNG", **profile) as dataset:
            dataset.write(opened.read())
    for source, owner in ((scene, r"other\.png"), (tmp_path / "other.png", "the source")):
        plan = partial(make, source, "other.tif", scale="3", overwrite=True)
        refused(InputError, rf"other\.wld belongs to .*{owner}, .*choose another name", plan)
    assert world.exists()


def refused(kind: type[SuperResError], message: str, call: Callable[[], object]) -> None:
    with pytest.raises(kind, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_impossible_options_are_refused(tmp_path: Path, make: Make, scene: Path) -> None:
    one = "one of scale=, resolution= and like= is needed"
    for options in ({}, {"scale": 2, "resolution": (1, 1)}, {"scale": 2, "like": scene}):
        refused(InputError, one, partial(make, scene, **options))
    other = rasters.write(
        tmp_path / "other.tif",
        textured(1, 1, 9, 9),
        transform=NORTH_UP @ Affine.scale(0.5),
        crs="EPSG:32632",
    )
    refused(InputError, "has another CRS than the source", lambda: make(scene, like=other))
    refused(RasterError, "cannot open", lambda: make(scene, like=tmp_path / "none.tif"))
    refused(UnknownModelError, "no model", lambda: make(scene, scale=2, model="none"))
    refused(InputError, "device='tpu', expected auto", lambda: make(scene, scale=2, device="tpu"))
    refused(InputError, "steps=-1, expected a whole number", lambda: make(scene, scale=2, steps=-1))
    refused(RasterError, "cannot open", lambda: make(tmp_path / "none.tif", scale=2))
    refused(InputError, "lower number first", lambda: make(scene, scale=2, value_range=(9, 9)))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other.tif", "scene.tif"]


def test_bands_that_lose_their_colours_are_told(tmp_path: Path, tiny: str) -> None:
    """A series is stacked band by band: its images hold red, green and blue several times."""
    colours = [*RGB, "undefined"]
    images = [
        rasters.write(tmp_path / f"{i}.tif", textured(i, 4, 20, 22), colours=colours)
        for i in range(3)
    ]
    grey = rasters.write(tmp_path / "grey.tif", textured(1, 1, 20, 22))
    twice = rasters.write(tmp_path / "twice.tif", textured(1, 6, 20, 22), colours=[*RGB, *RGB])

    def warnings(*sources: Path, **options: Any) -> list[str]:
        chosen = Options(model=tiny, steps=0, scale=2, **options)
        return engine.plan(sources, tmp_path / "out.tif", chosen).colour_warnings()

    (warning,) = warnings(*images)
    assert "several of the 12 bands are marked as red, green or blue" in warning
    assert "rs-sr batch upscales each of the 3 files" in warning
    assert (
        warning
        in engine.plan(
            images, tmp_path / "out.tif", Options(model=tiny, steps=0, scale=2)
        ).warnings()
    )
    assert "rs-sr batch" not in warnings(twice)[0]
    assert "rgb=" in warnings(twice)[0]
    for sources, options in (
        ([images[0], grey], {}),
        ([grey, grey], {}),
        (images, {"rgb": (1, 2, 3)}),
        (images, {"rgb": "none"}),
        (images, {"bidx": (5, 6, 7)}),
        (images, {"nearest": (5, 6, 7, 8, 9, 10, 11, 12)}),
    ):
        assert warnings(*sources, **options) == []


def test_what_names_say_of_colours_is_noted_unless_the_caller_decides(
    tmp_path: Path, tiny: str
) -> None:
    pixels = textured(1, 1, 20, 22, dtype="uint16")
    files = [rasters.write(tmp_path / f"B0{n}.tif", pixels) for n in (2, 3, 4, 8)]

    def planned(**given: Any) -> tuple[Any, list[str]]:
        chosen = Options(model=tiny, steps=0, scale=2, **given)
        plan = engine.plan(files, tmp_path / "out.tif", chosen)
        return plan.tags()["SUPERRES_BANDS"], plan.notes()

    bands, (note,) = planned()
    assert (bands, note[:40]) == ("alone 1,2,3,4", "bands 3,2,1 are named B4, B3 and B2, whi")
    bands, (note,) = planned(sensor="sentinel-2")
    assert bands == "joint 3,2,1; alone 4"
    assert note == (
        "bands 3,2,1 are named B4, B3 and B2, the red, green and blue of sentinel-2: sharpened "
        "together; rgb='none' treats each alone"
    )
    assert planned(sensor="sentinel-2", rgb="none") == ("alone 1,2,3,4", [])
    assert planned(rgb=(3, 2, 1)) == ("joint 3,2,1; alone 4", [])
