"""Samples: their mean, their standard deviation, and what the correction does to them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from scipy.ndimage import gaussian_filter

from rs_superres import engine
from rs_superres.config import TileConfig
from rs_superres.engine import Options, Plan
from rs_superres.errors import InputError
from rs_superres.grid import Lattice, Shape
from rs_superres.image.consistency import reach
from rs_superres.image.degradation import bicubic
from rs_superres.image.noise import normal_field
from rs_superres.scene import samples
from rs_superres.scene.cell import CellResult, compute_window
from rs_superres.scene.inference import CellInput, Drawn
from rs_superres.scene.reader import ArrayReader
from rs_superres.scene.recipe import CellRecipe
from tests import models, rasters
from tests.located import Bilinear, Noise
from tests.rasters import RGB, Array, textured


def make_plan(folder: Path, source: Path, model: str, **options: Any) -> Plan:
    return engine.plan(
        source, folder / "out.tif", Options(**{"scale": "2.5", "model": model, **options})
    )


def with_recipe(plan: Plan, **changes: Any) -> Plan:
    recipe = replace(plan.recipe, **changes)
    return replace(plan, pixels=replace(plan.pixels, recipe=recipe))


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return rasters.write(tmp_path / "a.tif", textured(1, 3, 40, 36, dtype="float32"), colours=RGB)


def fields(seed: int, samples: int) -> Array:
    """The noise of each sample: (sample, band, y, x)."""
    return np.stack(
        [normal_field((seed, k, 0, 0), row=0, column=0, shape=(3, 100, 90)) for k in range(samples)]
    )


BARE: dict[str, Any] = {"consistency": False, "limits": "none"}
"""Options of a run whose result is what its network returns."""


def test_mean_and_std_are_those_of_the_samples(tmp_path: Path, tiny: str, scene: Path) -> None:
    std = tmp_path / "std.tif"
    options = {"steps": 1, "seed": 9, "samples": 5, "uncertainty": std, "value_range": (-2, 2)}
    plan = make_plan(tmp_path, scene, tiny, **BARE, **options)
    engine.run(with_recipe(plan, inference=Noise(), uncertainty_factor=1.5))
    samples = 2.0 * fields(9, 5)
    np.testing.assert_allclose(rasters.read(plan.out), samples.mean(axis=0), atol=1e-6)
    deviation = rasters.read(std)
    assert deviation.dtype == np.float32
    np.testing.assert_allclose(deviation, 1.5 * samples.std(axis=0, ddof=1), rtol=1e-5)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tif", "out.tif", "std.tif"]


def test_one_sample_is_the_first_of_several(tmp_path: Path, tiny: str, scene: Path) -> None:
    plan = make_plan(tmp_path, scene, tiny, steps=1, value_range=(-2, 2), **BARE)
    engine.run(with_recipe(plan, inference=Noise()))
    np.testing.assert_allclose(rasters.read(plan.out), 2 * fields(0, 1)[0], atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "options", "content"),
    [
        ("paper", {"steps": 1, "samples": 2}, "standard deviation of 2 samples"),
        ("scene", {"steps": 0}, "predicted standard deviation of the neural operator's error"),
    ],
)
def test_the_std_file_has_the_grid_and_units_of_the_result(
    tmp_path: Path, kind: str, options: dict[str, Any], content: str
) -> None:
    config = models.config(kind, tiles=TileConfig(size=64, margin=8))
    model = str(models.write(tmp_path / "model", config))
    values = textured(1, 5, 40, 36, dtype="uint16", high=3000) + 10
    values[:, 10:20, 5:9] = 0
    colours = (*RGB, "undefined", "undefined")
    source = rasters.write(tmp_path / "a.tif", values, colours=colours, nodata=0)
    with rasterio.open(source, "r+") as dataset:
        dataset.scales, dataset.offsets = (0.0001,) * 5, (-0.1,) * 5
        dataset.set_band_unit(1, "reflectance")
    uncertainty = tmp_path / "std.tif"
    plan = make_plan(
        tmp_path,
        source,
        model,
        uncertainty=uncertainty,
        nearest=(5,),
        **options,
    )
    engine.run(plan)
    with rasterio.open(plan.out) as out, rasterio.open(uncertainty) as std:
        assert (std.transform, std.crs, std.shape) == (out.transform, out.crs, out.shape)
        assert std.dtypes == ("float32",) * 5
        assert std.scales == (0.0001,) * 5
        assert std.offsets == (0.0,) * 5
        assert std.units[0] == "reflectance"
        assert std.tags()["SUPERRES_CONTENT"] == content
        pixels, valid = std.read(), out.read(1) != 0
    assert np.isnan(pixels[:, ~valid]).all()
    assert (pixels[:4, valid] > 0).mean() > 0.9
    assert (pixels[4, valid] == 0).all()  # resampled by nearest neighbour: no samples


def test_options_that_do_not_go_together_are_refused(
    tmp_path: Path, tiny: str, scene: Path
) -> None:
    for options, message in (
        ({"samples": 0}, "samples=0, expected a whole number, 1 or more"),
        ({"samples": 2, "steps": 0}, "samples=2 of the neural operator alone are all the same"),
        ({"uncertainty": tmp_path / "out.tif", "samples": 2}, "expected different names"),
        ({"uncertainty": scene, "samples": 2}, "is the source"),
        ({"uncertainty": tmp_path / "s.png", "samples": 2}, "expected a name that ends in"),
    ):
        with pytest.raises(InputError, match=message):
            make_plan(tmp_path, scene, tiny, **{"steps": 1, **options})
    (tmp_path / "s.tif").touch()
    with pytest.raises(InputError, match="exists"):
        make_plan(tmp_path, scene, tiny, steps=1, samples=2, uncertainty=tmp_path / "s.tif")


def test_a_model_without_texture_refuses_what_only_texture_can(tmp_path: Path, scene: Path) -> None:
    paper = str(models.write(tmp_path / "paper", models.config("paper")))
    for options, message in (
        ({"uncertainty": tmp_path / "s.tif"}, "with the model paper needs samples=2 or more"),
        ({"texture": 0.5}, "texture=0.5, but the model paper draws no texture"),
    ):
        with pytest.raises(InputError, match=message):
            make_plan(tmp_path, scene, paper, steps=1, **options)


@pytest.mark.parametrize(
    ("mtf", "estimated", "seen"),
    [(0.2, False, 0.2), (0.2, True, None), (0.9, True, 0.78), (2.0, True, 0.78), (2.0, False, 2.0)],
)
def test_the_prior_is_given_no_estimated_blur(
    tmp_path: Path, tiny: str, scene: Path, mtf: float, estimated: bool, seen: float | None
) -> None:
    """Unless the source is clearly blurred, it counts as made by the kernel on the card."""
    recipe = make_plan(tmp_path, scene, tiny).recipe
    group = replace(recipe.groups[0], mtf=mtf, noise=5, estimated=(estimated, True))
    found = recipe.seen(group)
    assert found.noise == 5 / group.value_range.half
    assert found.mtf == (seen if seen is None else pytest.approx(seen, abs=0.03))


def test_a_gaussian_corrects_only_where_the_estimate_is_clear(
    tmp_path: Path, tiny: str, scene: Path
) -> None:
    recipe = make_plan(tmp_path, scene, tiny).recipe
    for mtf, given, estimated in (
        (0.25, "gaussian", "gaussian"),
        (0.45, "gaussian", "bicubic"),
        (0.6, "bicubic", "bicubic"),
    ):
        group = replace(recipe.groups[0], mtf=mtf)
        assert recipe.kernel(group).kernel == given
        assert recipe.kernel(replace(group, estimated=(True, True))).kernel == estimated


def test_a_sharpened_source_is_not_corrected(tmp_path: Path, tiny: str, scene: Path) -> None:
    """A correction would put the sharpening back; an estimate is too uncertain for that."""
    plan = make_plan(tmp_path, scene, tiny, steps=0)
    [group], pixels = plan.recipe.groups, rasters.read(scene)

    def result(recipe: CellRecipe) -> Array:
        return compute_window(recipe, ArrayReader(pixels), plan.pixels.zoom.output.window).values

    estimated, given = (
        replace(plan.recipe, groups=(replace(group, mtf=2.0, estimated=(estimated, False)),))
        for estimated in (True, False)
    )
    off = result(replace(plan.recipe, consistency=False))
    np.testing.assert_array_equal(result(given), off)
    assert (result(estimated) != off).any()
    tags = replace(plan, pixels=replace(plan.pixels, recipe=given)).tags()
    assert tags["SUPERRES_CONSISTENCY"] == "off, the source was sharpened"


def test_the_strength_of_texture_is_a_share_of_what_is_drawn(
    tmp_path: Path, tiny: str, scene: Path
) -> None:
    pixels = rasters.read(scene)

    def result(**options: Any) -> Array:
        plan = make_plan(tmp_path, scene, tiny, consistency=False, limits="none", **options)
        strength = plan.tags()["SUPERRES_TEXTURE"]
        assert float(strength) == (0 if options.get("steps") == 0 else options["texture"])
        window = plan.pixels.zoom.output.window
        return compute_window(plan.recipe, ArrayReader(pixels), window).values.astype(np.float64)

    prior, none, half, full = (
        result(steps=0), result(texture=0.0), result(texture=0.5), result(texture=1.0),
    )  # fmt: skip
    np.testing.assert_array_equal(none, prior)
    assert np.abs(full - prior).mean() > 0.01 * np.ptp(prior)
    drawn, tolerance = full - prior, 1e-4 * np.ptp(prior)
    # Half of it, and less along edges.
    assert (np.abs(half - prior) <= np.abs(drawn) / 2 + tolerance).all()
    assert ((half - prior) * np.sign(drawn) >= -tolerance).all()
    assert np.abs(half - prior).sum() > 0.2 * np.abs(drawn).sum()


def test_the_predicted_error_is_the_same_in_any_cells(tmp_path: Path) -> None:
    """Beyond the border of the scene, the network sees nothing: cells differ there."""
    config = models.config(tiles=TileConfig(size=64, margin=32))
    model = str(models.write(tmp_path / "model", config))
    source = rasters.write(tmp_path / "a.tif", textured(1, 3, 60, 60), colours=RGB)
    plan = make_plan(tmp_path, source, model, steps=0, uncertainty=tmp_path / "s.tif")
    reader, window = ArrayReader(rasters.read(source)), plan.pixels.zoom.output.window
    one, small = (
        compute_window(
            replace(plan.recipe, lattice=Lattice(plan.pixels.zoom.output.shape, Shape(s, s))),
            reader,
            window,
        ).std
        for s in (160, 64)
    )
    assert one is not None
    assert small is not None
    np.testing.assert_allclose(small, one, rtol=1e-4)
    assert np.ptp(one) > 0.02 * one.mean()


class Noisy(Bilinear):
    """An inference that adds noise, which overshoots where the source is saturated."""

    def __call__(self, cell: CellInput) -> Drawn:
        exact = self.exact(cell)
        return Drawn((exact + 0.5 * noise()).astype(np.float32) for noise in cell.noises)


def test_saturated_samples_downsample_more_closely_to_their_source(
    tmp_path: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Samples are clipped to the dtype before the correction, not only when they are rounded."""
    pixels = (4 * textured(1, 3, 40, 36).astype(int) - 400).clip(0, 255).astype(np.uint8)
    assert 0.3 < np.isin(pixels, (0, 255)).mean() < 0.9
    plan = make_plan(tmp_path, rasters.write(tmp_path / "a.tif", pixels, colours=RGB), tiny)
    margin = reach(plan.pixels.zoom)
    recipe = replace(plan.recipe, inference=Noisy(margin=margin, valid_margin=margin))

    def residual() -> float:
        out = compute_window(recipe, ArrayReader(pixels), plan.pixels.zoom.output.window).values
        downsampled = bicubic(out.astype(np.uint8), (40, 36)).astype(np.float64)
        return float(np.abs(downsampled - pixels).mean())

    clipped = residual()
    monkeypatch.setattr(samples, "limits", lambda *_: (-np.inf, np.inf))
    unclipped = residual()
    assert clipped < 0.75 * unclipped


@pytest.mark.parametrize("consistency", [True, False])
def test_the_uncertainty_is_smooth_and_the_same_in_any_cells(
    tmp_path: Path, tiny: str, scene: Path, consistency: bool
) -> None:
    """Its variance is that of the samples, averaged over a Gaussian of half a source pixel."""
    plan = make_plan(
        tmp_path, scene, tiny, samples=6, steps=1, consistency=consistency, limits="none"
    )
    margin = plan.recipe.inference.valid_margin
    inference = Noisy(margin=margin, valid_margin=margin)
    pixels = rasters.read(scene)
    window = plan.pixels.zoom.output.window

    def compute(side: int, factor: float | None) -> CellResult:
        recipe = replace(
            plan.recipe,
            inference=inference,
            uncertainty_factor=factor,
            lattice=Lattice(plan.pixels.zoom.output.shape, Shape(side, side)),
        )
        return compute_window(recipe, ArrayReader(pixels), window)

    one, plain, small = compute(100, 1.0), compute(100, None), compute(32, 1.0)
    assert np.array_equal(one.values, plain.values)  # the uncertainty changes no pixel
    assert one.std is not None
    assert small.std is not None
    np.testing.assert_allclose(small.std, one.std, rtol=1e-5)
    if not consistency:
        half = plan.recipe.groups[0].value_range.half
        draws = 0.5 * half * fields(0, 6)
        variance = gaussian_filter(draws.var(axis=0, ddof=1), (0, 1.25, 1.25), truncate=3)
        inner = np.s_[:, 10:-10, 10:-10]
        np.testing.assert_allclose(one.std[inner], np.sqrt(variance[inner]), rtol=0.01)
    # Pixel by pixel, the standard deviation of six draws varies by a third of itself.
    assert one.std.std() < 0.15 * one.std.mean()
