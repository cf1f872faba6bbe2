"""The gain on a scene without a truth, compared with scores that are computed by hand."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rs_superres
from rs_superres.demo.synthetic_scene import render_scene
from rs_superres.errors import InputError
from rs_superres.evaluation import tiles
from rs_superres.evaluation import wald as module
from rs_superres.evaluation.wald import ACCEPTED, WaldReport, wald
from rs_superres.image.degradation import kernel_matrix
from rs_superres.options import PixelOptions
from rs_superres.scene.image import LowResolution, upscale_onto_grid
from rs_superres.zoo.sensors import blur_between
from tests import models, rasters
from tests.rasters import RGB, Array, textured

SIDE = 72
B2, B3, B4, B8 = 0.304, 0.276, 0.233, 0.222
"""The modulation transfer of Sentinel-2's bands, from models/sensors.toml."""


@pytest.fixture(scope="module")
def town() -> Array:
    """The demo's town as a sensor shows it, (3, y, x)."""
    fine = render_scene(3 * SIDE, samples=1).astype(float)
    rows = kernel_matrix("gaussian", SIDE, 3 * SIDE, mtf=0.3)
    seen: Array = np.rint(rows @ fine @ rows.T).clip(0, 255).astype(np.uint8)
    return seen


def measure(scene: Path, model: str, **options: Any) -> WaldReport:
    given = {"scale": 2, "steps": 0, "model": model, "precision": "fp32", **options}
    return wald(scene, PixelOptions(**given))


def shrunk(band: Array, scale: float, kernel: Any, mtf: float = 0.25) -> Array:
    weights = kernel_matrix(kernel, round(SIDE / scale), SIDE, mtf=mtf)
    low: Array = np.rint(weights @ band.astype(float) @ weights.T).clip(0, None).astype(band.dtype)
    return low


def enlarged(low: Array) -> Array:
    weights = kernel_matrix("bicubic", SIDE, low.shape[-1])
    cubic: Array = np.rint(weights @ low.astype(float) @ weights.T).clip(0, None)
    return cubic


def root(image: Array, truth: Array) -> float:
    return math.sqrt(((image.astype(float) - truth) ** 2).mean())


def write_named(path: Path, image: Array, names: tuple[str, ...]) -> Path:
    rasters.write(path, image)
    with rasters.opened(path, "r+") as dataset:
        dataset.descriptions = names
    return path


@pytest.mark.parametrize("scale", [2, 3])
def test_every_band_is_shrunk_by_its_own_blur_and_the_model_knows_it(
    tmp_path: Path, tiny: str, town: Array, scale: int
) -> None:
    image = np.concatenate([town[::-1], town[:1]]).astype(np.uint16) * 11 + 300
    names, rgb, value_range = ("B2", "B3", "B4", "B8"), (3, 2, 1), (200, 3400)
    scene = write_named(tmp_path / "scene.tif", image, names)
    report = measure(
        scene, tiny, scale=scale, sensor="sentinel-2", rgb=rgb, value_range=value_range
    )

    mtfs = [m ** (1 - 1 / scale**2) for m in (B2, B3, B4, B8)]
    assert [b.kernel.mtf for b in report.bands] == [
        blur_between(m, scale) for m in (B2, B3, B4, B8)
    ]
    low = np.stack([shrunk(b, scale, "gaussian", m) for b, m in zip(image, mtfs, strict=True)])
    source = write_named(tmp_path / "low.tif", low, names)
    rs_superres.upscale(
        source, tmp_path / "out.tif", scale=scale, sensor="sentinel-2", steps=0, model=tiny,
        precision="fp32", rgb=rgb, value_range=value_range,
    )  # fmt: skip
    result = rasters.read(tmp_path / "out.tif")
    assert [b.number for b in report.bands] == [1, 2, 3, 4]
    assert [b.description for b in report.bands] == [*names]
    for i, band in enumerate(report.bands):
        accuracy, by_model = band.accuracy, root(result[i], image[i])
        by_cubic = root(enlarged(low[i]), image[i])
        assert accuracy.rmse == pytest.approx(by_model)
        assert accuracy.rmse_cubic == pytest.approx(by_cubic)
        assert accuracy.psnr == pytest.approx(20 * math.log10(3200 / by_model))
        assert accuracy.gain == pytest.approx(20 * math.log10(by_cubic / by_model))
    assert report.overall.rmse == pytest.approx(root(result, image))
    assert report.overall.psnr == pytest.approx(20 * math.log10(3200 / root(result, image)))
    assert (report.tiles, report.pixels) == (1, SIDE**2)


def test_an_mtf_is_used_for_all_bands(tmp_path: Path, tiny: str, town: Array) -> None:
    scene = rasters.write(tmp_path / "scene.tif", town, colours=RGB)
    report = measure(scene, tiny, mtf=0.2)
    assert {b.kernel_words for b in report.bands} == {"Gaussian with an MTF of 0.2"}
    low = np.stack([shrunk(band, 2, "gaussian", 0.2) for band in town])
    result = rs_superres.upscale(
        low, scale=2, mtf=0.2, rgb=(1, 2, 3), steps=0, model=tiny, precision="fp32"
    )
    assert report.overall.rmse == pytest.approx(root(result, town))


def test_an_unknown_blur_is_that_of_the_card(tmp_path: Path, tiny: str, town: Array) -> None:
    scene = rasters.write(tmp_path / "scene.tif", town.astype(np.float32), colours=RGB)
    report = measure(scene, tiny)
    assert {b.kernel_words for b in report.bands} == {"antialiased bicubic"}
    assert report == measure(scene, tiny, mtf=0.7)  # as for upscale: sharper than a Gaussian


def test_the_low_resolution_is_as_noisy_as_the_scene(
    tmp_path: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    noisy = np.random.default_rng(1).normal(1000, 40, (1, 240, 240)).round().astype(np.uint16)
    scene = rasters.write(tmp_path / "scene.tif", noisy)
    lows: list[LowResolution] = []
    upscale = upscale_onto_grid

    def recorded(low: LowResolution, *args: Any) -> Any:
        lows.append(low)
        return upscale(low, *args)

    monkeypatch.setattr(module, "upscale_onto_grid", recorded)
    for noise in (None, 40, 40):
        report = measure(scene, tiny, mtf=0.25, noise=noise)
        assert report.noise == noise
    averaged, one, two = (low.values for low in lows)
    assert averaged.std() < 20
    assert one.std() == pytest.approx(40, rel=0.03)
    np.testing.assert_array_equal(one, two)


def test_holes_are_not_compared(tmp_path: Path, tiny: str, town: Array) -> None:
    reports = []
    for fill in (0, 255):
        image = town.clip(1, 254)
        image[:, 20:40, 30:60] = fill
        scene = rasters.write(tmp_path / f"{fill}.tif", image, colours=RGB, nodata=fill)
        reports.append(measure(scene, tiny, mtf=0.3))
    assert reports[0].overall == reports[1].overall
    assert 0.5 * SIDE**2 < reports[0].pixels < SIDE**2 - 20 * 30
    # The nodata value may be given, and bands chosen.
    image[:, 20:40, 30:60] = 0
    scene = rasters.write(tmp_path / "undeclared.tif", image, colours=RGB)
    assert measure(scene, tiny, mtf=0.3, nodata=0).overall == reports[0].overall
    chosen = measure(scene, tiny, mtf=0.3, nodata=0, bidx=(3, 1))
    assert [b.number for b in chosen.bands] == [3, 1]
    assert chosen.bands[0].accuracy.psnr_cubic == reports[0].bands[2].accuracy.psnr_cubic


def test_large_scenes_are_compared_in_tiles(
    tmp_path: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "LARGEST_TILE_SIDE", 48)
    scene = rasters.write(tmp_path / "scene.tif", textured(1, 3, 150, 40), colours=RGB)
    steps: list[tuple[int, int]] = []
    options = PixelOptions(scale=2, steps=0, model=tiny)
    report = wald(scene, options, lambda *done: steps.append(done))
    assert (report.tiles, report.pixels) == (2, 2 * 48 * 40)
    assert steps == [(1, 2), (2, 2)]


def test_alpha_and_classes_are_not_compared(tmp_path: Path, tiny: str, town: Array) -> None:
    alpha = np.full((1, SIDE, SIDE), 255, np.uint8)
    alpha[:, :20] = 0
    rgba = np.concatenate([town, alpha])
    scene = rasters.write(tmp_path / "rgba.tif", rgba, colours=(*RGB, "alpha"))
    report = measure(scene, tiny)
    assert [b.number for b in report.bands] == [1, 2, 3]
    assert report.pixels <= SIDE * (SIDE - 20)
    scene = rasters.write(tmp_path / "classes.tif", np.stack([town[0] // 60, town[0]]))
    assert [b.number for b in measure(scene, tiny, nearest=1).bands] == [2]
    palette = rasters.write(tmp_path / "palette.tif", town[:1] // 60)
    with rasters.opened(palette, "r+") as dataset:
        dataset.write_colormap(1, {n: (50 * n, 200 - 40 * n, 90, 255) for n in range(5)})
    assert [b.number for b in measure(palette, tiny, classes="expand").bands] == [1, 2, 3]


def test_unusable_options_and_scenes_are_refused_in_one_line(
    tmp_path: Path, tiny: str, town: Array
) -> None:
    scene = rasters.write(tmp_path / "scene.tif", town, colours=RGB)
    flat = rasters.write(tmp_path / "flat.tif", np.full((1, 60, 60), 7, np.uint8))
    blank = rasters.write(tmp_path / "blank.tif", np.zeros((1, 60, 60), np.uint16), nodata=0)
    islands = np.zeros((1, 60, 60), np.uint8)
    islands[:, ::2, ::2] = 9
    rasters.write(tmp_path / "islands.tif", islands, nodata=0)
    prior = str(models.write(tmp_path / "prior", models.config(denoiser=False)))
    cases: list[tuple[Path, dict[str, Any], str]] = [
        (scene, {"scale": None}, "scale= is needed"),
        (scene, {"bounds": (0, 0, 1, 1)}, "bounds= does not apply to Wald's protocol, expected"),
        (scene, {"limits": "none"}, "limits= does not apply"),
        (scene, {"sensor": "kodak"}, "sensor=kodak, expected one of sentinel-2"),
        (scene, {"sensor": "ikonos", "mtf": 0.3}, "sensor= and mtf= were both given"),
        (scene, {"scale": 7}, "scene.tif has 72 pixels on a side to compare, expected at least 84"),
        (scene, {"bidx": 7}, "bidx= lists band 7"),
        (scene, {"nearest": (1, 2, 3)}, "no band that is super-resolved"),
        (scene, {"model": prior, "steps": 2}, "steps"),
        (flat, {}, "flat.tif has nothing to compare"),
        (blank, {}, "blank.tif has no tile of which 25% are valid"),
        (tmp_path / "islands.tif", {}, "islands.tif has no pixel to compare"),
        (tmp_path / "missing.tif", {}, "missing.tif"),
        (tmp_path / "missing.tif", {"mtf": 2}, "mtf=2, expected a number below 1"),
    ]
    for path, given, message in cases:
        with pytest.raises(rs_superres.SuperResError, match=re.escape(message)) as caught:
            measure(path, **{"model": tiny, **given})
        assert "\n" not in str(caught.value)
        assert isinstance(caught.value, InputError) or "missing" in message


def test_the_accepted_options_are_options() -> None:
    assert set(ACCEPTED) < set(PixelOptions.__dataclass_fields__)
