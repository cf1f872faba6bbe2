"""Limits: results stay near the range of their source, totals stay, and windows agree."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from rs_superres.config import ConsistencyConfig, Kernel
from rs_superres.grid import AxisMapping, Grid, Shape, WindowAxis, Zoom
from rs_superres.image.consistency import Projection
from rs_superres.image.limits import SHARE, Limiter, Limits, local_range, reach
from tests.rasters import Array

SIDE = 40
"""Source pixels of a side of the test images."""
EVERYTHING = (-np.finfo(np.float64).max, np.finfo(np.float64).max)


def zoom(scale: str) -> Zoom:
    return Zoom.by_scale(Grid(Shape(SIDE, SIDE), None), scale)


def counts(seed: int = 0) -> Array:
    """Zero, except for a few large numbers."""
    generator = np.random.default_rng(seed)
    out = np.zeros((SIDE, SIDE))
    places = generator.integers(3, SIDE - 3, (2, 30))
    out[*places] = generator.uniform(500, 9000, 30)
    return out


def sharp(along: Zoom, source: Array, kernel: ConsistencyConfig) -> Array:
    """A result with much overshoot that downsamples to the source."""
    side = along.output.shape.height
    noise = np.random.default_rng(3).normal(scale=source.std(), size=(side, side))
    rows, columns = (
        WindowAxis(mapping, range(side), range(SIDE)) for mapping in (along.rows, along.columns)
    )
    project = Projection(kernel, rows, columns)
    out: Array = project(noise, source, 1.0)
    return out


def limited(  # noqa: PLR0913 (what the limiter takes)
    along: Zoom,
    result: Array,
    source: Array,
    *,
    rows: range | None = None,
    columns: range | None = None,
    valid: Array | None = None,
    bounds: tuple[float, float] = EVERYTHING,
    kernel: ConsistencyConfig | None = None,
    consistent: bool = True,
) -> Array:
    """Limit a window of a result."""
    side = along.output.shape.height
    pixels = rows or range(side), columns or range(side)
    limiter = Limiter(
        kernel or ConsistencyConfig(),
        WindowAxis(along.rows, pixels[0], range(SIDE)),
        WindowAxis(along.columns, pixels[1], range(SIDE)),
    )
    out = result[pixels[0].start : pixels[0].stop, pixels[1].start : pixels[1].stop].copy()
    valid = np.ones(source.shape, dtype=np.bool_) if valid is None else valid
    limiter(out, source, valid, bounds, consistent=consistent)
    return out


def at_pixels(values: Array, along: AxisMapping) -> Array:
    """Repeat a square image of source pixels on the output pixels under them."""
    under = along.under(0, along.size)
    return values[under][:, under]


@pytest.mark.parametrize("kernel", ["bicubic", "area", "gaussian"])
@pytest.mark.parametrize("scale", ["1.25", "2", "3.7", "8"])
def test_results_stay_in_range_and_totals_stay(kernel: Kernel, scale: str) -> None:
    along, config = zoom(scale), ConsistencyConfig(kernel=kernel)
    source = counts()
    result = sharp(along, source, config)
    assert result.min() < -500
    out = limited(along, result, source, kernel=config)
    low, high = local_range(source, np.ones(source.shape, dtype=np.bool_))
    assert (out >= at_pixels(low, along.rows)).all()
    assert (out <= at_pixels(high, along.rows)).all()
    assert out.min() >= 0
    assert out.mean() == pytest.approx(source.mean(), rel=2e-3)
    # Clipping alone adds far more.
    assert result.clip(0).mean() > 1.1 * source.mean()


def test_results_without_consistency_stay_in_range() -> None:
    along, source = zoom("2.5"), counts()
    result = sharp(along, source, ConsistencyConfig()) + 50
    out = limited(along, result, source, consistent=False)
    assert out.min() >= 0
    assert out.mean() == pytest.approx(source.mean(), rel=0.25)


@pytest.mark.parametrize("scale", ["2", "3.7"])
def test_pixels_in_range_do_not_change(scale: str) -> None:
    along = zoom(scale)
    source = gaussian_filter(np.random.default_rng(0).normal(size=(SIDE, SIDE)), 3)
    result = at_pixels(source, along.rows)
    np.testing.assert_array_equal(limited(along, result, source), result)
    result[20, 20] += 10.0
    out = limited(along, result, source)
    assert out[20, 20] < source.max() + 1
    far = round(float(scale) * 4)
    changed = np.argwhere(out != result)
    assert len(changed) > 1
    assert (np.abs(changed - 20) <= far).all()


@pytest.mark.parametrize("kernel", ["bicubic", "gaussian"])
@pytest.mark.parametrize("scale", ["1.25", "2", "3.7"])
def test_windows_agree_to_the_bit(kernel: Kernel, scale: str) -> None:
    along, config = zoom(scale), ConsistencyConfig(kernel=kernel)
    source = counts() + np.random.default_rng(2).normal(scale=9, size=(SIDE, SIDE))
    result = sharp(along, source, config)
    complete = limited(along, result, source, kernel=config)
    margin, side = reach(along), along.output.shape.height
    middle = side // 2
    for rows, columns in (
        (range(middle + margin), range(side)),
        (range(middle - margin, side), range(middle - margin - 1, side)),
    ):
        part = limited(along, result, source, rows=rows, columns=columns, kernel=config)
        top = 0 if rows.start == 0 else margin
        bottom = len(rows) if rows.stop == side else len(rows) - margin
        left = 0 if columns.start == 0 else margin
        np.testing.assert_array_equal(
            part[top:bottom, left:],
            complete[rows.start + top : rows.start + bottom, columns.start + left :],
        )


def test_the_local_range_does_not_change_sign_and_ignores_holes() -> None:
    source = np.array([[1.0, 3.0, 9.0], [2.0, 2.0, -99.0], [1.0, 1.0, 1.0]])
    valid = source > 0
    low, high = local_range(source, valid)
    assert low[0].tolist() == [0.0, 0.0, 0.0]  # 1 or 2 less 3/4 of the difference, or 0
    assert low[2].tolist() == [0.25, 0.25, 0.25]
    assert high[0, 0] == 3 + SHARE * 2
    assert high[0, 2] == 9 + SHARE * 7
    low, high = local_range(-source, valid)
    assert high[0].tolist() == [0.0, 0.0, 0.0]
    low, high = local_range(source, np.zeros_like(valid))
    assert np.isneginf(low).all()
    assert np.isposinf(high).all()


def test_values_under_holes_do_not_count() -> None:
    along, source = zoom("2"), counts()
    valid = np.ones(source.shape, dtype=np.bool_)
    valid[10:14, 10:14] = False
    filled = source.copy()
    filled[~valid] = -50.0
    result = sharp(along, filled, ConsistencyConfig())
    out = limited(along, result, filled, valid=valid)
    assert out[at_pixels(valid, along.rows)].min() >= 0


def test_bounds_hold_beyond_the_local_range() -> None:
    along = zoom("3")
    source = np.random.default_rng(0).uniform(-5, 120, (SIDE, SIDE))
    out = limited(along, sharp(along, source, ConsistencyConfig()), source, bounds=(0.0, 100.0))
    assert out.min() == 0
    assert out.max() == 100


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("largest", [1e300, EVERYTHING[1]])
def test_the_largest_numbers_stay_finite(largest: float) -> None:
    along = zoom("2")
    source = np.zeros((SIDE, SIDE))
    source[10, 10], source[20, 20] = largest, -largest
    result = at_pixels(source, along.rows)
    result[20, 30], result[5, 5] = largest, -largest
    assert np.isfinite(limited(along, result, source)).all()


def test_limits_describe_themselves() -> None:
    assert str(Limits()) == "within the range of 3 x 3 source pixels plus 75% of it"
    assert str(Limits((0, 100))).endswith("of it, and from 0 to 100")
    assert Limits().within(0, 255) == (0, 255)
    assert Limits((-5, 100)).within(0, 255) == (0, 100)
