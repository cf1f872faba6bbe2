"""Test training batches: random keys, crops, and the position of their low resolution."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rs_superres.config import Kernel
from rs_superres.errors import InputError
from rs_superres.image.degradation import bicubic
from rs_superres.image.radiometry import ValueRange
from rs_superres.training.batches import Batch, Crops, draw_scale
from rs_superres.training.config import DataConfig, DegradationConfig
from rs_superres.training.scenes import TrainingScene
from tests.located import coordinates
from tests.rasters import RGB, Array, textured
from tests.training.data import scene


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


def crops(
    *scenes: TrainingScene,
    largest: int = 200,
    grey: float = 0.0,
    constant: float = 0.0,
    **degradation: Any,
) -> Crops:
    data = DataConfig(largest_crop=largest, grey=grey, constant=constant)
    return Crops(scenes, data, DegradationConfig(**degradation))


def rgb(folder: Path, pixels: Array, name: str = "a", **profile: Any) -> TrainingScene:
    return scene(folder / name / f"{name}.tif", pixels, colours=RGB, **profile)


@pytest.fixture
def textures(folder: Path) -> TrainingScene:
    folder.mkdir()
    return rgb(folder, textured(1, 3, 130, 140))


def numbers(values: torch.Tensor) -> Array:
    """Convert network values of an 8-bit scene to digital numbers."""
    return ((values.double() + 1) * 127.5).numpy()


# Keys


def test_a_batch_is_a_function_of_its_key(textures: TrainingScene) -> None:
    """A second source draws the same batches in another order."""
    one, other = (
        crops(textures, grey=0.5, compressed=0.5, noise=0.1, noisy=0.5, bicubic=0.5, gaussian=0.5)
        for _ in range(2)
    )
    keys = [(1, 0, step, rank) for step in range(4) for rank in range(2)]
    first = {key: one.batch(key, 3, 10, 2.3) for key in keys}
    second = {key: other.batch(key, 3, 10, 2.3) for key in reversed(keys)}
    for key in keys:
        assert torch.equal(first[key].low, second[key].low)
        assert torch.equal(first[key].high, second[key].high)
        assert first[key].phase == second[key].phase
    assert len({b.high.numpy().tobytes() for b in first.values()}) == len(keys)


@pytest.mark.parametrize("seed", [1, 2])
def test_scales_are_drawn_from_the_whole_range(seed: int) -> None:
    assert draw_scale((seed, 0, 1), (1.25, 7.9)) == draw_scale((seed, 0, 1), (1.25, 7.9))
    drawn = np.array([draw_scale((seed, 0, step), (1.25, 7.9)) for step in range(300)])
    assert 1.25 <= drawn.min() < 1.35
    assert 7.4 < drawn.max() <= 7.9
    assert 0.35 < (drawn < (1.25 * 7.9) ** 0.5).mean() < 0.65  # even in the logarithm


# Low resolution


@pytest.mark.parametrize("scale", [1.7, 2.0, 3.5, 6.3])
def test_batch_is_downsampled_and_rounded(textures: TrainingScene, scale: float) -> None:
    batch = crops(textures).batch((1,), 5, 18, scale)
    pixels = round(18 * scale)
    assert batch.low.shape == (5, 3, 18, 18)
    assert batch.high.shape == (5, 3, pixels, pixels)
    assert batch.scale == pixels / 18
    assert batch.phase == (0.0, 0.0)
    for values in (batch.low, batch.high):
        assert values.dtype == torch.float32
        stored = numbers(values)
        assert np.abs(stored - stored.round()).max() < 1e-4  # as an 8-bit file stores it
        assert 0 <= stored.min() + 1e-4 < stored.max() <= 255.0001
    # Low resolution is Pillow's antialiased bicubic of the crop, to one digital number.
    for high, low in zip(numbers(batch.high), numbers(batch.low), strict=True):
        expected = bicubic(high.round().astype(np.uint8), (18, 18)).astype(float)
        assert np.abs(expected - low).max() <= 1.001


def test_large_scales_use_fewer_low_resolution_pixels(textures: TrainingScene) -> None:
    source = crops(textures, largest=96)
    assert source.batch((1,), 1, 32, 2.0).high.shape == (1, 3, 64, 64)
    assert source.batch((1,), 1, 32, 8.0).low.shape == (1, 3, 12, 12)
    assert source.batch((1,), 1, 32, 16.0).high.shape == (1, 3, 96, 96)


def test_crops_are_no_larger_than_the_scenes(textures: TrainingScene) -> None:
    source = crops(textures, largest=999)
    assert source.largest == 130
    assert source.batch((1,), 2, 32, 8.0).high.shape == (2, 3, 128, 128)


@given(low_side=st.integers(2, 60), side=st.integers(2, 400), phase=st.floats(-0.5, 0.5))
def test_low_and_high_resolution_cover_the_same_extent(
    low_side: int, side: int, phase: float
) -> None:
    """A shift of the low-resolution grid moves the positions the other way."""
    low, high = torch.zeros(1, 3, low_side, low_side), torch.zeros(1, 3, side, side)
    batch = Batch(low=low, high=high, phase=(phase, 0.0))
    even = (np.arange(side) + 0.5) * low_side / side - 0.5
    np.testing.assert_allclose(batch.positions(0).numpy(), even - phase, atol=1e-9)
    np.testing.assert_allclose(batch.positions(1).numpy(), even, atol=1e-9)


@pytest.mark.parametrize("kernel", ["bicubic", "area", "gaussian"])
@pytest.mark.parametrize("scale", [2.5, 4.0])
def test_positions_locate_the_low_resolution(folder: Path, kernel: Kernel, scale: float) -> None:
    """The values are linear in the coordinates: interpolated at the positions, low equals high."""
    folder.mkdir()
    across, down = coordinates(90, 120).astype(np.float32)
    training = rgb(folder, np.stack((across, down, across + 2 * down)))
    shares = dict.fromkeys(("bicubic", "area", "gaussian"), 0.0) | {kernel: 1.0}
    source = crops(training, largest=60, **shares)
    half = (training.groups[0].value_range.high - training.groups[0].value_range.low) / 2
    phases = set()
    for step in range(12):
        batch = source.batch((step,), 2, 14, scale)
        phases.add(batch.phase)
        rows, columns = batch.positions(0).numpy(), batch.positions(1).numpy()
        inner = [(p >= 3) & (p <= 10) for p in (rows, columns)]
        centres = np.arange(14.0)
        for low, high in zip(batch.low.numpy(), batch.high.numpy(), strict=True):
            for small, large in zip(low, high, strict=True):
                tall = np.stack([np.interp(rows, centres, column) for column in small.T], axis=1)
                read = np.stack([np.interp(columns, centres, row) for row in tall])
                error = np.abs(read - large)[np.ix_(*inner)] * half
                assert error.max() < 0.15  # pixels; the third band is three times as steep
    assert (len(phases) == 12) is (kernel == "gaussian")
    assert all(-0.5 <= p <= 0.5 for phase in phases for p in phase)


def test_degradations_are_drawn_with_the_configured_shares(textures: TrainingScene) -> None:
    source = crops(
        textures, bicubic=0.5, area=0.2, gaussian=0.3, noisy=0.25, noise=0.02, mtf=(0.1, 0.4),
        resampled=0.1, sharpened=0.2, sharpening=(0.3, 0.9),
    )  # fmt: skip
    chance = np.random.default_rng(1)
    drawn = [source._draw_degradation(chance, 12, 60, (0.0, 0.0)) for _ in range(2000)]
    assert sum(d.warp is not None for d in drawn) / 2000 == pytest.approx(0.1, abs=0.03)
    amounts = np.array([d.amount for d in drawn])
    assert (amounts > 0).mean() == pytest.approx(0.2, abs=0.04)
    assert 0.3 <= amounts[amounts > 0].min() < 0.32
    assert 0.88 < amounts.max() <= 0.9
    plain = np.array([replace(d, warp=None, amount=0.0).mtf for d in drawn])
    for lowest, highest, share in ((0.7, 0.85, 0.5), (0.5, 0.68, 0.2), (0.0, 0.45, 0.3)):
        found = ((plain > lowest) & (plain < highest)).mean()
        assert found == pytest.approx(share, abs=0.04)
    noise = np.array([d.noise for d in drawn])
    assert (noise > 0).mean() == pytest.approx(0.25, abs=0.04)
    assert 0.036 < noise.max() <= 0.04  # 2 % of a range of width 2
    blurs = plain[plain < 0.5]
    assert 0.09 <= blurs.min() < 0.12  # the mean of both axes, which differ by up to 15 %
    assert 0.38 < blurs.max() <= 0.43
    sharper = [d for d in drawn if d.amount > 0.8 and d.warp is None and d.radius > 1.2]
    assert min(d.mtf / replace(d, amount=0.0).mtf for d in sharper) > 1.7**4


def test_a_second_interpolation_stays_in_place(textures: TrainingScene) -> None:
    """The kernel moves the grid back, so ramps have the same values as without it."""
    source = crops(textures, bicubic=0.0, gaussian=1.0, resampled=1.0)
    ramp = np.tile(np.arange(60, dtype=np.float64), (60, 1))
    chance = np.random.default_rng(3)
    for _ in range(20):
        drawn = source._draw_degradation(chance, 12, 60, (0.2, -0.3))
        assert drawn.warp is not None
        rows, columns = drawn.warp[0] @ drawn.rows, drawn.warp[1] @ drawn.columns
        positions = (np.arange(12) + 0.5) * 5 - 0.5
        across, down = (rows @ ramp @ columns.T)[6], (rows @ ramp.T @ columns.T)[:, 6]
        np.testing.assert_allclose(across[3:-3], positions[3:-3] - 0.3 * 5, atol=0.02)
        np.testing.assert_allclose(down[3:-3], positions[3:-3] + 0.2 * 5, atol=0.02)


def test_a_grey_crop_has_the_same_noise_in_all_bands(folder: Path) -> None:
    folder.mkdir()
    grey = scene(folder / "grey.tif", textured(1, 1, 90, 90))
    low = crops(grey, noise=0.03, noisy=1.0).batch((1,), 4, 30, 2.0).low
    assert torch.equal(low[:, 0], low[:, 1])
    assert torch.equal(low[:, 0], low[:, 2])


def test_qualities_say_what_happened(textures: TrainingScene) -> None:
    batch = crops(textures, noise=0.03, noisy=1.0, compressed=0.5).batch((1,), 12, 30, 2.0)
    clean = crops(textures).batch((1,), 12, 30, 2.0)
    assert batch.qualities is not None
    assert clean.qualities is not None
    assert torch.all((clean.qualities.mtf - 0.78).abs() < 0.02)
    assert torch.all(clean.qualities.noise < 0.4 / 127.5)  # of rounding
    assert batch.qualities.noise.max() > 4 / 127.5
    known = batch.with_given(np.random.default_rng(0), 0.6).given
    assert known is not None
    for true, heard in zip(batch.qualities, known, strict=True):
        is_given = ~heard.isnan()
        assert 0 < is_given.sum() < 12
        assert torch.all((heard / true).log()[is_given].abs() < 0.8)
        assert not torch.equal(heard[is_given], true[is_given])


def test_shrunk_crops_are_sharper(textures: TrainingScene) -> None:
    plain, shrunk = (crops(textures, rescaled=share, largest=130) for share in (0.0, 1.0))
    edges = [
        np.abs(np.diff(source.batch((2,), 24, 20, 2.0).high.numpy())).mean()
        for source in (plain, shrunk)
    ]
    assert shrunk.batch((2,), 3, 20, 2.0).high.shape == (3, 3, 40, 40)
    assert edges[1] > 1.1 * edges[0]


def test_noise_is_added_only_to_the_low_resolution(folder: Path) -> None:
    folder.mkdir()
    flat = rgb(folder, np.full((3, 90, 90), 128, dtype=np.uint8))
    batch = crops(flat, noise=0.04, noisy=1.0).batch((5,), 8, 30, 2.0)
    assert (numbers(batch.high).round() == 128).all()
    std = numbers(batch.low).std()
    assert 0.5 < std < 0.04 * 255 * 1.05
    assert numbers(batch.low).mean() == pytest.approx(128, abs=0.5)


def test_compression_changes_only_8_bit_low_resolution(
    folder: Path, textures: TrainingScene
) -> None:
    plain = crops(textures).batch((1,), 4, 30, 2.0)
    compressed = crops(textures, compressed=1.0, quality=(50, 60)).batch((1,), 4, 30, 2.0)
    assert torch.equal(plain.high, compressed.high)
    error = np.abs(numbers(compressed.low) - numbers(plain.low))
    assert 0.5 < error.mean() < 30
    stored = numbers(compressed.low)
    assert np.abs(stored - stored.round()).max() < 1e-4
    deep = rgb(folder, textured(2, 3, 90, 90, dtype="uint16", high=4000), name="b")
    one, other = (crops(deep, compressed=c).batch((1,), 2, 20, 2.0) for c in (0.0, 1.0))
    assert torch.equal(one.low, other.low)  # JPEG holds 8 bits only


# Crops


def draw(source: Crops, count: int) -> list[Array]:
    batch = source.batch((1,), count, 4, 2.0)
    return list(numbers(batch.high).round().astype(np.uint8))


def test_crops_are_parts_of_the_images(folder: Path) -> None:
    """All eight flips and transpositions occur, and crops reach every border."""
    folder.mkdir()
    rows, columns = np.mgrid[:40, :50]
    image = np.stack((rows, columns, rows + columns)).astype(np.uint8)
    orientations, corners = set(), set()
    for crop in draw(crops(rgb(folder, image)), 1000):
        down, across = (crop[:2, 1, 0].astype(int) - crop[:2, 0, 0]).tolist()
        orientations.add((down, across, *(crop[:2, 0, 1].astype(int) - crop[:2, 0, 0]).tolist()))
        top, left = int(crop[0].min()), int(crop[1].min())
        corners.add((top, left))
        np.testing.assert_array_equal(
            np.sort(crop[2], axis=None),
            np.sort(image[2, top : top + 8, left : left + 8], axis=None),
        )
    assert len(orientations) == 8
    assert {min(c) for c in zip(*corners, strict=True)} == {0}
    assert tuple(max(c) for c in zip(*corners, strict=True)) == (32, 42)


def test_crops_stay_inside_the_area(folder: Path) -> None:
    folder.mkdir()
    image = np.broadcast_to(np.arange(60, dtype=np.uint8)[:, None], (3, 60, 30))
    training = rgb(folder, np.ascontiguousarray(image))
    part = replace(training, area=replace(training.area, row=20, height=12))
    values = np.stack(draw(crops(part), 300))
    assert (values.min(), values.max()) == (20, 31)


def test_scenes_are_drawn_by_area_and_small_ones_never(folder: Path) -> None:
    folder.mkdir()
    sizes = ((20, 20, 1), (40, 40, 2), (7, 90, 3))
    scenes = [rgb(folder, np.full((3, h, w), v, np.uint8), f"i{v}") for h, w, v in sizes]
    values = [int(c[0, 0, 0]) for c in draw(crops(*scenes), 500)]
    assert set(values) == {1, 2}
    assert 0.72 < values.count(2) / 500 < 0.88


def test_only_scenes_that_are_large_enough_are_drawn(folder: Path) -> None:
    folder.mkdir()
    small = rgb(folder, np.full((3, 20, 20), 1, np.uint8), "small")
    large = rgb(folder, np.full((3, 40, 40), 2, np.uint8), "large")
    source = crops(*[small] * 3000, large)
    assert (numbers(source.batch((1,), 4, 20, 2.0).high).round() == 2).all()


def test_bands_are_sometimes_shuffled_or_repeated(folder: Path) -> None:
    folder.mkdir()
    training = rgb(folder, np.stack([np.full((20, 20), v, np.uint8) for v in (10, 20, 30)]))
    colours = {tuple(c[:, 0, 0].tolist()) for c in draw(crops(training, grey=1.0), 200)}
    assert {(10, 10, 10), (20, 20, 20), (30, 30, 30), (30, 20, 10)} <= colours
    assert {tuple(c[:, 0, 0].tolist()) for c in draw(crops(training), 50)} == {(10, 20, 30)}


def test_some_crops_are_constant(textures: TrainingScene) -> None:
    drawn = draw(crops(textures, constant=0.3), 200)
    constant = [(crop == crop[:, :1, :1]).all() for crop in drawn]
    assert 0.2 < np.mean(constant) < 0.4
    assert len({tuple(crop[:, 0, 0].tolist()) for crop in drawn}) > 100


def test_fourth_band_is_grey_and_the_others_are_a_triplet(folder: Path) -> None:
    folder.mkdir()
    pixels = np.stack([np.full((20, 20), v, np.uint8) for v in (10, 20, 30, 90)])
    training = scene(folder / "a" / "a.tif", pixels, colours=(*RGB, "undefined"))
    colours = [tuple(c[:, 0, 0].tolist()) for c in draw(crops(training), 400)]
    assert set(colours) == {(10, 20, 30), (90, 90, 90)}
    assert 0.17 < colours.count((90, 90, 90)) / 400 < 0.33  # one band of four


def test_single_band_is_repeated_three_times(folder: Path) -> None:
    folder.mkdir()
    training = scene(folder / "a" / "a.tif", textured(1, 1, 40, 40))
    batch = crops(training).batch((1,), 2, 8, 2.0)
    assert torch.equal(batch.high[:, 0], batch.high[:, 2])
    assert torch.equal(batch.low[:, 0], batch.low[:, 1])


# Dtypes


def test_16_bit_scenes_use_their_value_range(folder: Path) -> None:
    folder.mkdir()
    training = rgb(folder, textured(1, 3, 100, 100, dtype="uint16", high=3000) + np.uint16(200))
    [group] = training.groups
    assert 200 <= group.value_range.low < group.value_range.high <= 3200
    batch = crops(training).batch((1,), 4, 20, 2.5)
    for values in (batch.low, batch.high):
        stored = group.value_range.from_network(values.numpy())
        assert np.abs(stored - stored.round()).max() < 0.01  # integers
        assert stored.min() > 190
        assert stored.max() > 255


def test_floats_are_not_rounded(folder: Path) -> None:
    folder.mkdir()
    training = rgb(folder, textured(1, 3, 60, 60, dtype="float32", high=0.3))
    batch = crops(training).batch((1,), 2, 12, 2.0)
    assert isinstance(training.groups[0].value_range, ValueRange)
    low = training.groups[0].value_range.from_network(batch.low.numpy())
    assert 0 <= low.min() < low.max() < 0.31
    assert len(np.unique(low)) > 500


# Nodata and damaged files


@pytest.mark.parametrize("kind", ["nodata", "mask", "alpha", "nan"])
def test_windows_with_nodata_are_never_used(folder: Path, kind: str) -> None:
    folder.mkdir()
    valid = np.ones((50, 60), dtype=bool)
    valid[20:30, 25:35] = False
    pixels = textured(1, 3, 50, 60, dtype="float32" if kind == "nan" else "uint8", high=200) + 20
    if kind == "nan":
        pixels[:, ~valid] = np.nan
        training = rgb(folder, pixels)
    elif kind == "alpha":
        pixels[:, ~valid] = 7
        alpha = valid[None].astype(np.uint8) * 255
        stack = np.concatenate((pixels, alpha)).astype(np.uint8)
        training = scene(folder / "a" / "a.tif", stack, colours=(*RGB, "alpha"))
    elif kind == "mask":
        pixels[:, ~valid] = 7
        training = rgb(folder, pixels.astype(np.uint8), mask=valid.astype(np.uint8) * 255)
    else:
        pixels[:, ~valid] = 7
        training = rgb(folder, pixels.astype(np.uint8), nodata=7)
    batch = crops(training).batch((1,), 200, 4, 2.0)
    assert batch.high.isfinite().all()
    if kind != "nan":
        assert numbers(batch.high).min() > 19


def test_scenes_without_valid_windows_are_refused(folder: Path) -> None:
    folder.mkdir()
    hidden = scene(folder / "a" / "a.tif", np.zeros((1, 30, 30), np.uint8), nodata=0)
    with pytest.raises(InputError, match="no window of 8 x 8 pixels without nodata in 200 tries"):
        crops(hidden).batch((1,), 1, 4, 2.0)


def test_unreadable_files_are_counted_and_skipped(folder: Path) -> None:
    folder.mkdir()
    good = rgb(folder, textured(1, 3, 60, 60), "good", cached=False)
    bad = rgb(folder, textured(2, 3, 60, 60), "bad", cached=False)
    content = bad.path.read_bytes()
    bad.path.write_bytes(content[: len(content) * 2 // 3])
    source = crops(good, bad)
    batch = source.batch((1,), 40, 8, 2.0)
    assert batch.high.shape == (40, 3, 16, 16)
    assert {file.path for file in batch.unreadable} == {bad.path}
    assert str(bad.path) in batch.unreadable[0].reason
    assert len(batch.unreadable) > 3
