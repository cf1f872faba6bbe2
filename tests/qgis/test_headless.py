"""The plugin in QGIS itself: ``qgis_process``, and a session without a window.

Their marker keeps these tests out of other runs, because QGIS takes a gigabyte. ``make qgis-test``
runs them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.warp import transform_bounds

from tests.qgis.plugin import build, program
from tests.rasters import RGB, textured, write

pytestmark = pytest.mark.qgis

Run = Callable[..., subprocess.CompletedProcess[str]]
SESSION = Path(__file__).with_name("session.py")
SYSTEM_PYTHON = "/usr/bin/python3"
"""The Python that a system's package of QGIS belongs to."""

DEBIAN = "apt-get install --no-install-recommends qgis"


@pytest.fixture(scope="session")
def qgis_process() -> str:
    """The path of QGIS's command line."""
    # Debian's script qgis_process passes an option that its program does not know.
    found = shutil.which("qgis_process.bin") or shutil.which("qgis_process")
    if found is None:
        pytest.skip(f"qgis_process is not on PATH; on Debian: {DEBIAN}")
    return found


@pytest.fixture(scope="session")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of plugins in a new profile of QGIS, with our zip file unpacked in it."""
    profiles = tmp_path_factory.mktemp("QGIS profile")
    folder = profiles / "profiles" / "default" / "python" / "plugins"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(build.write(profiles)) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="session")
def environ(plugins: Path) -> dict[str, str]:
    """QGIS's environment variables: no screen, the new profile, rs-sr, and a trap for it."""
    trap = plugins.parents[3] / "trap"
    trap.mkdir()
    # Without the plugin's cleaning, this would be the rasterio of rs-sr.
    (trap / "rasterio.py").write_text("raise RuntimeError('the Python of QGIS')\n")
    return os.environ | {
        "QT_QPA_PLATFORM": "offscreen",
        "QGIS_CUSTOM_CONFIG_PATH": str(plugins.parents[3]),
        "PYTHONPATH": str(trap),
        program.VARIABLE: str(Path(sys.executable).parent),
    }


@pytest.fixture(scope="session")
def run(qgis_process: str, environ: dict[str, str]) -> Run:
    """A function that runs an algorithm as ``qgis_process run`` does."""
    enabled = subprocess.run(
        [qgis_process, "plugins", "enable", "rs_superres"],
        env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Enabled rs_superres" in enabled.stdout, enabled.stdout + enabled.stderr

    def call(
        name: str, variables: dict[str, str] | None = None, **values: Any
    ) -> subprocess.CompletedProcess[str]:
        words = [f"--{key}={item}" for key, value in values.items()
                 for item in (value if isinstance(value, list) else [value])]  # fmt: skip
        return subprocess.run(
            [qgis_process, "run", f"rs_superres:{name}", *words],
            env=environ | (variables or {}), capture_output=True, text=True, check=False,
        )  # fmt: skip

    return call


@pytest.fixture
def quick(tiny: str) -> dict[str, Any]:
    """Values for a quick run: the tiny model, for measuring."""
    return {"MODEL": tiny, "MODE": 1, "DEVICE": "cpu", "EXTRA": "--precision fp32"}


@pytest.fixture
def session(environ: dict[str, str], plugins: Path, tmp_path: Path) -> Callable[..., Any]:
    """A function that plays a scenario of ``session.py`` in QGIS, and returns what it tells."""
    probe = [SYSTEM_PYTHON, "-c", "import qgis.core"]
    if not Path(SYSTEM_PYTHON).exists() or subprocess.run(probe, check=False).returncode:
        pytest.skip(f"{SYSTEM_PYTHON} has no module qgis; on Debian: {DEBIAN}")

    def play(scenario: str, **arguments: Any) -> Any:
        path = tmp_path / "arguments.json"
        path.write_text(json.dumps(arguments))
        done = subprocess.run(
            [SYSTEM_PYTHON, SESSION, scenario, path, plugins],
            env=environ, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return play


def corners(path: Path) -> list[float]:
    """Left, bottom, right and top of a raster."""
    with rasterio.open(path) as dataset:
        return [*dataset.bounds]


# The command line


def test_qgis_lists_and_explains_the_algorithms(
    run: Run, qgis_process: str, environ: dict[str, str]
) -> None:
    del run  # it enables the plugin
    listed = subprocess.run(
        [qgis_process, "list"], env=environ, capture_output=True, text=True, check=True
    ).stdout
    for name in ("upscale", "batch", "verify", "info"):
        assert f"rs_superres:{name}\t" in listed
        shown = subprocess.run(
            [qgis_process, "help", f"rs_superres:{name}"],
            env=environ, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        assert "INPUT" in shown


def test_a_result_lies_where_its_source_lies(
    run: Run, scene: Path, tmp_path: Path, quick: dict[str, Any]
) -> None:
    out = tmp_path / "größer 2,5.tif"
    done = run("upscale", INPUT=scene, SCALE=2.5, OUTPUT=out, **quick)
    assert done.returncode == 0, done.stdout + done.stderr
    with rasterio.open(scene) as source, rasterio.open(out) as result:
        assert result.bounds == source.bounds
        assert result.crs == source.crs
        assert result.shape == (125, 110)
        assert result.dtypes == source.dtypes
        assert result.tags()["SUPERRES_METHOD"]
    assert "--scale 2.5 --steps 0" in done.stdout


def test_options_reach_rs_sr(run: Run, scene: Path, tmp_path: Path, quick: dict[str, Any]) -> None:
    outs = {"OUTPUT": tmp_path / "a.tif", "UNCERTAINTY": tmp_path / "std.tif"}
    more = quick | {"MODE": 0, "EXTRA": "--precision fp32 --samples 2 --seed 5"}
    done = run(
        "upscale", INPUT=scene, RESOLUTION=4, BANDS=[3, 1], TEXTURE=0.5, FORMAT="gtiff", **outs,
        **more,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    with rasterio.open(outs["OUTPUT"]) as result:
        assert (result.count, result.res) == (2, (4, 4))
        assert result.tags()["SUPERRES_SEED"] == "5"
    assert corners(outs["UNCERTAINTY"]) == corners(outs["OUTPUT"])
    like = run("upscale", INPUT=scene, LIKE=outs["OUTPUT"], OUTPUT=tmp_path / "b.tif", **quick)
    assert like.returncode == 0, like.stdout + like.stderr
    assert corners(tmp_path / "b.tif") == corners(outs["OUTPUT"])


def test_an_extent_is_brought_into_the_crs_of_the_source(
    run: Run, scene: Path, tmp_path: Path, quick: dict[str, Any]
) -> None:
    with rasterio.open(scene) as source:
        left, bottom, right, top = source.bounds
        wanted = (left + 100, bottom + 120, left + 250, bottom + 300)
        degrees = transform_bounds(source.crs, "EPSG:4326", *wanted, densify_pts=21)
    west, south, east, north = degrees
    extent = f"{west},{east},{south},{north} [EPSG:4326]"
    done = run("upscale", INPUT=scene, OUTPUT=tmp_path / "o.tif", EXTENT=extent, **quick)
    assert done.returncode == 0, done.stdout + done.stderr
    found = corners(tmp_path / "o.tif")
    assert np.allclose(found, wanted, atol=10)  # degrees are not parallel to the grid: a pixel
    assert (found[0] - left) % 5 == pytest.approx(0)  # on the grid of the whole result
    assert found[2] < right
    assert found[3] < top


def test_polygons_in_another_crs_mask_the_result(
    run: Run, scene: Path, tmp_path: Path, quick: dict[str, Any]
) -> None:
    with rasterio.open(scene) as source:
        left, bottom, right, top = transform_bounds(source.crs, "EPSG:4326", *source.bounds)
    triangle = [[left, bottom], [right, bottom], [left, top], [left, bottom]]
    aoi = tmp_path / "fields of ünal.geojson"
    aoi.write_text(json.dumps({"type": "Polygon", "coordinates": [triangle]}))
    done = run("upscale", INPUT=scene, OUTPUT=tmp_path / "o.tif", AOI=aoi, **quick)
    assert done.returncode == 0, done.stdout + done.stderr
    with rasterio.open(tmp_path / "o.tif") as result:
        valid = result.dataset_mask() > 0
    assert valid.mean() == pytest.approx(0.5, abs=0.02)
    assert valid[-2, 2]
    assert not valid[2, -2]
    both = run("upscale", INPUT=scene, OUTPUT="o.tif", AOI=aoi, EXTENT="0,1,0,1", **quick)
    assert both.returncode != 0
    assert "clear one" in both.stdout + both.stderr


def test_an_existing_result_is_replaced_only_on_request(
    run: Run, scene: Path, tmp_path: Path, quick: dict[str, Any]
) -> None:
    out = tmp_path / "o.tif"
    out.write_text("precious")
    done = run("upscale", INPUT=scene, OUTPUT=out, **quick)
    assert done.returncode != 0
    assert f"{out} exists already" in done.stderr
    assert out.read_text() == "precious"
    done = run("upscale", INPUT=scene, OUTPUT=out, OVERWRITE=1, **quick)
    assert done.returncode == 0, done.stdout + done.stderr
    assert corners(out) == corners(scene)


def test_failures_are_a_line(run: Run, scene: Path, tmp_path: Path, quick: dict[str, Any]) -> None:
    broken = tmp_path / "broken.tif"
    pixels = textured(2, 3, 300, 300)
    whole = write(tmp_path / "whole.tif", pixels, colours=RGB).read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    done = run("upscale", INPUT=broken, OUTPUT=tmp_path / "o.tif", **quick)
    assert done.returncode != 0
    assert "broken.tif" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    folders = os.environ["PATH"].split(os.pathsep)
    path = os.pathsep.join(f for f in folders if not (Path(f) / "rs-sr").exists())
    nowhere = {program.VARIABLE: "", "PATH": path, "HOME": str(tmp_path)}
    done = run("upscale", nowhere, INPUT=scene, OUTPUT=tmp_path / "o.tif", **quick)
    assert done.returncode != 0
    assert program.MISSING in done.stderr
    done = run("upscale", INPUT=scene, OUTPUT=tmp_path / "o.tif", TEXTURE=0.5, **quick)
    assert done.returncode != 0
    assert "draws none" in done.stdout + done.stderr
    assert not (tmp_path / "o.tif").exists()


def test_a_folder_is_upscaled(run: Run, tmp_path: Path, quick: dict[str, Any]) -> None:
    scenes, out = tmp_path / "my scenes", tmp_path / "finer"
    (scenes / "below").mkdir(parents=True)
    first = write(scenes / "a.tif", textured(1, 3, 40, 40), colours=RGB)
    second = write(scenes / "below" / "b.tif", textured(2, 3, 40, 40), colours=RGB)
    report = tmp_path / "report.html"
    values = quick | {"EXTRA": "--precision fp32 --workers 1", "REPORT": report}
    done = run("batch", INPUT=scenes, OUTPUT=out, **values)
    assert done.returncode == 0, done.stdout + done.stderr
    assert corners(out / "a.tif") == corners(first)
    assert corners(out / "below" / "b.tif") == corners(second)
    assert "DONE:\t2" in done.stdout
    assert report.exists()
    (scenes / "c.tif").write_text("no raster")
    done = run("batch", INPUT=scenes, OUTPUT=out, SKIP_EXISTING=1, OVERWRITE=1, **values)
    assert done.returncode != 0
    assert "1 of 3 scenes failed" in done.stderr
    assert "c.tif" in done.stderr


def test_a_result_is_audited(run: Run, scene: Path, tmp_path: Path, quick: dict[str, Any]) -> None:
    out = tmp_path / "o.tif"
    assert run("upscale", INPUT=scene, OUTPUT=out, **quick).returncode == 0
    paths = {"REPORT": tmp_path / "r.html", "FINDINGS": tmp_path / "f.json"}
    done = run("verify", INPUT=out, SOURCE=scene, **paths)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASSED:\ttrue" in done.stdout
    assert json.loads(paths["FINDINGS"].read_text("utf-8"))["passed"]
    assert "PASS" in paths["REPORT"].read_text("utf-8")
    done = run("verify", INPUT=scene, SOURCE=scene, **paths)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASSED:\tfalse" in done.stdout
    assert "placement" in done.stdout


def test_a_raster_is_described(run: Run, scene: Path, tmp_path: Path) -> None:
    facts = tmp_path / "facts.json"
    done = run("info", INPUT=scene, FACTS=facts)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ACCEPTED:\ttrue" in done.stdout
    assert "44 x 50 pixels" in done.stdout
    assert json.loads(facts.read_text("utf-8"))["size"] == [44, 50]


def test_the_setting_comes_before_the_environment_variable(
    run: Run, plugins: Path, scene: Path, tmp_path: Path
) -> None:
    profiles = shutil.copytree(plugins.parents[3], tmp_path / "profiles of ünal")
    with (profiles / "profiles" / "default" / "QGIS" / "QGIS3.ini").open("a") as settings:
        settings.write(f"\n[Processing]\nConfiguration\\{program.KEY}=/nowhere/rs-sr\n")
    done = run("info", {"QGIS_CUSTOM_CONFIG_PATH": str(profiles)}, INPUT=scene)
    assert done.returncode != 0
    assert f"{program.SETTING} is /nowhere/rs-sr, which is not a program" in done.stderr


# In the window


@pytest.mark.parametrize("bands", [[], [3, 2, 1]])
def test_a_result_is_shown_as_its_source(
    session: Callable[..., Any], tmp_path: Path, quick: dict[str, Any], bands: list[int]
) -> None:
    source = write(tmp_path / "scene.tif", textured(1, 3, 60, 60), colours=RGB)
    values = {"SCALE": 2, "BANDS": bands, **quick}
    answer = session("styled", source=str(source), values=values, picture=str(tmp_path / "drawn"))
    assert answer["bands"] == ([1, 2, 3] if bands else [3, 2, 1])
    assert answer["stretch"] == [10, 150]
    assert answer["progress"] == 100
    drawn = [
        np.asarray(Image.open(tmp_path / f"drawn-{name}.png").convert("RGB"), np.float64)
        for name in ("source", "result")
    ]
    same = np.corrcoef(drawn[0].ravel(), drawn[1].ravel())[0, 1]
    moved = np.corrcoef(drawn[0][:, 8:].ravel(), drawn[1][:, :-8].ravel())[0, 1]
    assert same > 0.9
    assert same > moved + 0.05


def test_a_cancelled_run_resumes(
    session: Callable[..., Any], run: Run, tmp_path: Path, quick: dict[str, Any]
) -> None:
    source = write(tmp_path / "large.tif", textured(1, 3, 300, 300), colours=RGB)
    out = tmp_path / "o.tif"
    values = quick | {"SCALE": 3, "EXTRA": "-v --precision fp32"}
    values |= {"INPUT": str(source), "OUTPUT": str(out)}
    answer = session("cancelled", values=values, word="cell at row 0, column 448")
    assert "cancelled" in answer["reason"]
    assert not any("computed" in line for line in answer["lines"])
    assert not out.exists()
    done = run("upscale", **values)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "of an earlier run" in done.stdout
    assert corners(out) == corners(source)


def test_a_layer_that_is_no_file_is_refused(session: Callable[..., Any], tmp_path: Path) -> None:
    source, provider = "type=xyz&url=file:///{x}/{y}/{z}.png&zmax=3&zmin=0", "wms"
    values = {"OUTPUT": str(tmp_path / "o.tif")}
    answer = session("refused", source=source, provider=provider, values=values)
    assert "export it to a GeoTIFF first" in answer["reason"]
    assert "\n" not in answer["reason"]
