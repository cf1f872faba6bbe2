"""Grids: exact sizes, corners that never move, and axis mappings that agree with transforms."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import numpy as np
import pytest
from affine import Affine
from hypothesis import assume, given
from hypothesis import strategies as st
from shapely import affinity, box

from rs_superres.errors import InputError
from rs_superres.grid import AxisMapping, Grid, Shape, Window, Zoom, exact_scale
from rs_superres.grid.grid import SNAP

CRS = "EPSG:32633"
sides = st.integers(1, 40_000)
scales = st.decimals("1.0001", 16, places=4).map(str)
windows = st.builds(
    Window, st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 9), st.integers(1, 9)
)


@st.composite
def transforms(draw: st.DrawFn) -> Affine:
    """Draw a transform that is north up, south up, rotated or sheared, and safely invertible."""
    size = draw(st.floats(1e-4, 1e3))
    across, down = (size * draw(st.floats(0.5, 2)) * draw(st.sampled_from((1, -1))) for _ in "xy")
    # Enough for pixels of 5 cm in UTM. Farther out, doubles cannot resolve 1e-6 of a pixel.
    far = st.floats(-1e8, 1e8).map(lambda pixels: pixels * size)
    translation = Affine.translation(draw(far), draw(far))
    rotation = Affine.rotation(draw(st.sampled_from((0, 0, 30, 90, 217.5))))
    shear = Affine.shear(draw(st.sampled_from((0, 0, 20))), 0)
    return translation @ rotation @ shear @ Affine.scale(across, down)


def grid(height: int, width: int, transform: Affine | None = None) -> Grid:
    return Grid(Shape(height, width), transform or Affine(2, 0, 100, 0, -2, 900), CRS)


def corners(of: Grid) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    assert of.transform is not None
    h, w = of.shape.height, of.shape.width
    return np.array([of.transform @ corner for corner in ((0, 0), (w, 0), (0, h), (w, h))])


def pixels_apart(one: Grid, other: Grid) -> float:
    """The largest distance between corresponding corners, in pixels of ``one``."""
    assert one.transform is not None
    a = one.transform
    size = min(math.hypot(a.a, a.d), math.hypot(a.b, a.e))
    return float(np.abs(corners(one) - corners(other)).max() / size)


# Sizes


@given(height=sides, width=sides, scale=scales)
def test_size_is_rounded_half_up_in_exact_decimals(height: int, width: int, scale: str) -> None:
    zoom = Zoom.by_scale(grid(height, width), scale)
    expected = [
        int((side * Decimal(scale)).quantize(Decimal(1), ROUND_HALF_UP)) for side in (height, width)
    ]
    assert [zoom.output.shape.height, zoom.output.shape.width] == expected
    assert [zoom.rows.size, zoom.columns.size] == expected


@pytest.mark.parametrize(
    ("side", "scale", "size"),
    [
        (5, "2.3", 12),  # 11.5, though the nearest double to 2.3 is below it
        (5, "1.1", 6),  # 5.5
        (1, "2.5", 3),  # 2.5; rounding half to even would give 2
        (3, "2.5", 8),
        (15, "1.7", 26),  # 25.5
        (36_000, "8", 288_000),
        (36_001, "1.0001", 36_005),
    ],
)
def test_size_examples(side: int, scale: str, size: int) -> None:
    shape = Zoom.by_scale(grid(side, 2 * side), scale).output.shape
    assert shape.height == size
    assert Zoom.by_scale(grid(side, side), float(scale)).output.shape.height == size


def test_exact_scale_is_the_written_decimal() -> None:
    assert exact_scale("2.3") == exact_scale(2.3) == Fraction(23, 10)
    assert exact_scale(" 4 ") == exact_scale(4.0) == 4
    assert exact_scale(Fraction(7, 3)) == Fraction(7, 3)
    assert exact_scale("1.0000000001") > 1


@pytest.mark.parametrize(
    "scale", ["1", 1, "0", "-2", 0.5, "nan", math.nan, "inf", math.inf, "-inf", "two", "", "1/0"]
)
def test_invalid_scales_are_refused(scale: str | float) -> None:
    with pytest.raises(InputError, match=f"scale={scale}, expected a number above 1"):
        Zoom.by_scale(grid(10, 10), scale)


# Corners


@given(
    height=st.integers(1, 9000), width=st.integers(1, 9000), scale=scales, transform=transforms()
)
def test_corners_never_move(height: int, width: int, scale: str, transform: Affine) -> None:
    source = grid(height, width, transform)
    zoom = Zoom.by_scale(source, scale)
    assert zoom.output.crs == CRS
    # Doubles near 1e6 are exact to 1e-10, which is less than 1e-6 of the smallest pixel here.
    assert pixels_apart(source, zoom.output) < 1e-5
    assert zoom.inside
    assert zoom.scale == pytest.approx(
        math.sqrt(zoom.rows.size / height * zoom.columns.size / width)
    )


def test_grid_without_georeference() -> None:
    zoom = Zoom.by_scale(Grid(Shape(10, 12), None), "1.5")
    assert zoom.output == Grid(Shape(15, 18), None, None)
    for bare in (Grid(Shape(10, 12), None), Grid(Shape(10, 12), Affine.scale(2, -2))):
        needs = "needs a raster with an affine transform and a CRS; use scale= instead"
        with pytest.raises(InputError, match=f"resolution= {needs}"):
            Zoom.by_resolution(bare, 1, 1)
        for source, like in ((bare, grid(20, 20)), (grid(20, 20), bare)):
            with pytest.raises(InputError, match=f"like= {needs}"):
                Zoom.by_grid(source, like)


# Axis mappings, against exact fractions


@given(source=sides, scale=scales, data=st.data())
def test_positions_of_a_scale_are_exact(source: int, scale: str, data: st.DataObject) -> None:
    size = Zoom.by_scale(grid(source, source), scale).rows.size
    axis = AxisMapping.over_extent(source, size)
    o = data.draw(st.integers(0, size - 1))
    true = Fraction((2 * o + 1) * source, 2 * size) - Fraction(1, 2)
    [position], [pixel] = axis.positions(o, 1), axis.under(o, 1)
    assert position == float(true)  # only the division rounds
    assert pixel == math.floor(true + Fraction(1, 2))
    assert 0 <= pixel < source
    assert axis.step == pytest.approx(source / size, rel=1e-15)


axes = st.one_of(
    st.builds(AxisMapping.over_extent, st.just(50), st.integers(51, 900)),
    st.builds(
        lambda step, start: AxisMapping.stepping(50, 300, step=step, start=start),
        st.floats(0.01, 0.9999),
        st.floats(-1e4, 1e4),
    ),
)


@given(axis=axes, start=st.integers(-500, 900), count=st.integers(1, 300))
def test_reach_covers_the_neighbours_of_any_window(
    axis: AxisMapping, start: int, count: int
) -> None:
    positions = axis.positions(start, count)
    first = math.floor(positions[0])
    assert np.all(np.diff(positions) > 0)
    needed = math.floor(positions[-1]) + 2 - first
    assert needed <= axis.reach(count) <= needed + 1  # enough, and at most one pixel too many
    np.testing.assert_array_equal(positions[1:], axis.positions(start + 1, count - 1))


@given(axis=axes, o=st.integers(-500, 900))
def test_edge_inverts_positions(axis: AxisMapping, o: int) -> None:
    [centre] = axis.positions(o, 1) + 0.5  # a pixel coordinate
    assert axis.edge(float(centre)) == pytest.approx(o + 0.5, abs=1e-6)


@given(axis=axes, start=st.integers(0, 300), size=st.integers(1, 50))
def test_part_of_an_axis_keeps_its_positions(axis: AxisMapping, start: int, size: int) -> None:
    part = axis.part(start, size)
    assert (part.source, part.size) == (axis.source, size)
    expected = axis.positions(start, size)
    np.testing.assert_allclose(part.positions(0, size), expected, rtol=1e-12, atol=1e-9)


@given(source=sides, scale=scales)
def test_by_scale_covers_all_source_pixels(source: int, scale: str) -> None:
    axis = Zoom.by_scale(grid(source, 1), scale).rows
    assert axis.covered() == range(source)


@given(
    step=st.floats(0.01, 0.9999),
    start=st.floats(-20, 70),
    size=st.integers(1, 4000),
)
def test_covered_source_pixels_have_both_edges_in_the_output(
    step: float, start: float, size: int
) -> None:
    covered = AxisMapping.stepping(50, size, step=step, start=start).covered()
    first, last, slack = Fraction(start), Fraction(start) + size * Fraction(step), step / 500
    assert [i for i in range(50) if first <= i and i + 1 <= last] == [
        i for i in covered if first <= i and i + 1 <= last
    ]
    assert all(first - slack <= i and i + 1 <= last + slack for i in covered)


@pytest.mark.parametrize(
    ("start", "size", "covered"),
    [
        (3.0, 8, range(3, 7)),
        (3.0004, 8, range(3, 7)),  # within the tolerance of 0.001 output pixels
        (2.9996, 8, range(3, 7)),
        (3.001, 8, range(4, 7)),
        (2.999, 8, range(3, 6)),
        (-2.0, 6, range(1)),
        (48.0, 9, range(48, 50)),
    ],
)
def test_covered_examples(start: float, size: int, covered: range) -> None:
    assert AxisMapping.stepping(50, size, step=0.5, start=start).covered() == covered


def test_part_of_a_zoom_is_a_window_of_its_output() -> None:
    zoom = Zoom.by_scale(grid(7, 30), "2.3")  # 16.1 and 69: the steps of the two axes differ
    part = zoom.part(Window(5, 11, 7, 13))
    assert part.source == zoom.source
    assert part.output == zoom.output.crop(Window(5, 11, 7, 13))
    assert_axes_follow_transforms(part)
    assert (part.rows.size, part.columns.size) == (7, 13)
    assert part.scale == pytest.approx(zoom.scale)


# By resolution


@given(
    height=st.integers(1, 9000),
    width=st.integers(1, 9000),
    transform=transforms(),
    shares=st.tuples(st.floats(0.05, 0.999), st.floats(0.05, 0.999)),
)
def test_by_resolution(
    height: int, width: int, transform: Affine, shares: tuple[float, float]
) -> None:
    source = grid(height, width, transform)
    sizes = math.hypot(transform.a, transform.d), math.hypot(transform.b, transform.e)
    x, y = (size * share for size, share in zip(sizes, shares, strict=True))
    zoom = Zoom.by_resolution(source, x, y)
    out = zoom.output.transform
    assert out is not None
    assert (out.c, out.f) == (transform.c, transform.f)
    assert (math.hypot(out.a, out.d), math.hypot(out.b, out.e)) == pytest.approx((x, y), rel=1e-12)
    if transform.b == transform.d == 0:
        assert (abs(out.a), abs(out.e), out.b, out.d) == (x, y, 0, 0)
        assert (out.a > 0, out.e > 0) == (transform.a > 0, transform.e > 0)
    for side, source_size, output_size, axis in (
        (width, sizes[0], x, zoom.columns),
        (height, sizes[1], y, zoom.rows),
    ):
        # Halves round up although doubles may lie just below: 1 / 0.4 counts as 2.5.
        extent = Fraction(side) * Fraction(source_size) / Fraction(output_size) + Fraction(1, 2)
        assert axis.size in {math.floor(extent), math.floor(extent + Fraction(SNAP))}
    assert zoom.inside
    assert_axes_follow_transforms(zoom)


def test_by_resolution_examples() -> None:
    zoom = Zoom.by_resolution(grid(5, 7, Affine(0.75, 0, 10, 0, 0.75, 20)), 0.5, 0.625)
    assert zoom.output == grid(6, 11, Affine(0.5, 0, 10, 0, 0.625, 20))  # 10.5 across
    # Exactly 0.7, though 1.2 x (0.7 / 1.2) is a different double.
    zoom = Zoom.by_resolution(grid(5, 7, Affine(-1.2, 0, 10, 0, 1.2, 20)), 0.7, 0.7)
    assert zoom.output.transform == Affine(-0.7, 0, 10, 0, 0.7, 20)


@pytest.mark.parametrize(
    "transform",
    [
        # North up before the rotation: both off-diagonal terms are equal.
        Affine.rotation(30) @ Affine.scale(2, -2),
        Affine.rotation(-30) @ Affine.scale(2, -2),
        Affine(3, 0, 7, 4, -2, 8),
        Affine(3, 4, 7, 0, -2, 8),
    ],
)
def test_by_resolution_keeps_rotation_and_shear(transform: Affine) -> None:
    sizes = math.hypot(transform.a, transform.d), math.hypot(transform.b, transform.e)
    zoom = Zoom.by_resolution(grid(5, 7, transform), sizes[0] / 2, sizes[1] / 4)
    assert zoom.output.transform is not None
    assert [*zoom.output.transform] == pytest.approx([*transform @ Affine.scale(1 / 2, 1 / 4)])


def test_a_centre_on_the_far_edge_is_in_the_source() -> None:
    zoom = Zoom.by_resolution(grid(5, 5, Affine(3, 0, 0, 0, -3, 0)), 2, 2)
    assert zoom.columns.size == 8  # 7.5: the last centre lies at 15, where the source ends
    assert zoom.columns.under(0, 8).tolist() == [0, 1, 1, 2, 3, 3, 4, 4]
    assert zoom.inside
    axis = AxisMapping.stepping(6, 4, step=1.0, start=2.5)
    assert axis.under(0, 4).tolist() == [3, 4, 5, 5]


@pytest.mark.parametrize("size", [0, -1, math.nan, 2, 3, math.inf])
@pytest.mark.parametrize("other", [0.5, 1.0])
def test_invalid_resolutions_are_refused(size: float, other: float) -> None:
    for x, y in ((size, other), (other, size)):
        with pytest.raises(InputError, match="finer than the source's 2 x 2"):
            Zoom.by_resolution(grid(9, 9), x, y)
    with pytest.raises(InputError, match=r"resolution=5,1, .* finer than the source's 4 x 2"):
        Zoom.by_resolution(grid(9, 9, Affine(4, 0, 0, 0, -2, 0)), 5, 1)


def assert_axes_follow_transforms(zoom: Zoom) -> None:
    """Check the first and last pixel of each axis mapping against the two transforms."""
    assert zoom.source.transform is not None
    assert zoom.output.transform is not None
    between = ~zoom.source.transform @ zoom.output.transform
    shape = zoom.output.shape
    for row, column in ((0, 0), (shape.height - 1, shape.width - 1)):
        x, y = between @ (column + 0.5, row + 0.5)
        assert zoom.columns.positions(column, 1)[0] == pytest.approx(x - 0.5, abs=1e-4)
        assert zoom.rows.positions(row, 1)[0] == pytest.approx(y - 0.5, abs=1e-4)


# By grid


@given(
    transform=transforms(),
    steps=st.tuples(st.floats(0.05, 0.99), st.floats(0.05, 0.99)),
    start=st.tuples(st.floats(-20, 35), st.floats(-20, 25)),
    shape=st.builds(Shape, st.integers(1, 200), st.integers(1, 200)),
)
def test_by_grid(
    transform: Affine, steps: tuple[float, float], start: tuple[float, float], shape: Shape
) -> None:
    source = grid(30, 40, transform)
    like = Grid(shape, transform @ Affine.translation(*start) @ Affine.scale(*steps), CRS)
    sizes = shape.width, shape.height
    last = [s + step * n for s, step, n in zip(start, steps, sizes, strict=True)]
    if last[0] < 0.1 or last[1] < 0.1:
        # The grids touch if a pixel's centre does, so leave out what half a pixel decides.
        assume(last[0] < -1 or last[1] < -1)
        with pytest.raises(InputError, match="does not touch the source"):
            Zoom.by_grid(source, like)
        return
    assume(last[0] > 1 and last[1] > 1)
    zoom = Zoom.by_grid(source, like)
    assert zoom.output == like
    assert_axes_follow_transforms(zoom)
    within = min(start) >= 0 and last[0] <= 40 and last[1] <= 30
    assert zoom.inside or not within
    centres = [(s + step / 2, e - step / 2) for s, step, e in zip(start, steps, last, strict=True)]
    if any(a < -1e-3 or b > side + 1e-3 for (a, b), side in zip(centres, (40, 30), strict=True)):
        assert not zoom.inside


@pytest.mark.parametrize(
    ("like", "message"),
    [
        (grid(20, 20, Affine(2, 0, 100, 0, -2, 900)), "pixels are 1 x 1 source pixels"),
        (grid(20, 20, Affine(2, 0, 100, 0, -1, 900)), "pixels are 1 x 0.5 source pixels"),
        (grid(20, 20, Affine(1, 0, 100, 0, -2, 900)), "pixels are 0.5 x 1 source pixels"),
        (grid(20, 20, Affine(1, 0, 100, 0, -3, 900)), "pixels are 0.5 x 1.5 source pixels"),
        (grid(20, 20, Affine(3, 0, 100, 0, -1, 900)), "pixels are 1.5 x 0.5 source pixels"),
        (grid(20, 20, Affine(-1, 0, 120, 0, -1, 900)), "rows and columns in the same directions"),
        (grid(20, 20, Affine(1, 0, 100, 0, 1, 890)), "rows and columns in the same directions"),
        (grid(20, 20, Affine(1, 0.01, 100, 0, -1, 900)), "rotated against the source"),
        (grid(20, 20, Affine(1, 0, 100, 0.01, -1, 900)), "rotated against the source"),
        # A drift of 1e-7 source pixels per pixel exceeds the tolerance of 1e-6 over the length.
        (grid(1, 20, Affine(1, 0, 100, 2e-7, -1, 900)), "rotated against the source"),
        (grid(20, 1, Affine(1, 2e-7, 100, 0, -1, 900)), "rotated against the source"),
        (grid(20, 20, Affine(1, 0, 200, 0, -1, 900)), "does not touch the source"),
        (grid(20, 20, Affine(1, 0, 100, 0, -1, 860)), "does not touch the source"),
        (grid(20, 20, Affine(1, 0, 79, 0, -1, 900)), "does not touch the source"),
        (grid(20, 20, Affine(1, 0, 80, 0, -1, 900)), "does not touch the source"),
        (grid(20, 20, Affine(1, 0, 140, 0, -1, 900)), "does not touch the source"),
        (grid(20, 20, Affine(1, 0, 100, 0, -1, 920)), "does not touch the source"),
    ],
)
def test_unusable_grids_are_refused(like: Grid, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Zoom.by_grid(grid(20, 20), like)


@pytest.mark.parametrize(
    "transform",
    [
        Affine(1, 0, 81, 0, -1, 900),
        Affine(1, 0, 139, 0, -1, 900),
        Affine(1, 0, 100, 0, -1, 861),
        Affine(1, 0, 100, 0, -1, 919),
        Affine(1, 5e-8, 100, 5e-8, -1, 900),
    ],
)
def test_grids_that_overlap_by_one_pixel_or_rotate_by_rounding_are_accepted(
    transform: Affine,
) -> None:
    like = grid(20, 20, transform)
    assert Zoom.by_grid(grid(20, 20), like).output == like


@pytest.mark.parametrize(
    ("x", "y", "inside"),
    [
        (100, 900, True),
        (120, 880, True),
        (99, 900, False),
        (100, 901, False),
        (121, 880, False),
        (120, 879, False),
    ],
)
def test_inside_is_false_if_one_line_of_pixels_is_outside(x: float, y: float, inside: bool) -> None:
    like = grid(20, 20, Affine(1, 0, x, 0, -1, y))
    assert Zoom.by_grid(grid(20, 20), like).inside == inside


# Windows


@given(transform=transforms(), height=sides, width=sides)
def test_bounds_are_the_bounding_box_of_the_corners(
    transform: Affine, height: int, width: int
) -> None:
    outline = affinity.affine_transform(box(0, 0, width, height), transform.to_shapely())
    tiny = 1e-6 * math.hypot(transform.a, transform.d)
    assert grid(height, width, transform).bounds == pytest.approx(outline.bounds, abs=tiny)


@given(transform=transforms(), window=windows, nudge=st.sampled_from((0.0, 1e-8, 0.3, -0.3)))
def test_bounds_snap_outward(transform: Affine, window: Window, nudge: float) -> None:
    source = grid(12, 14, Affine(*transform))
    if transform.b or transform.d:
        return  # the bounds of a rotated window cover more than the window; tested below
    left, top = transform @ (window.column + nudge, window.row + nudge)
    right, bottom = transform @ (
        window.column + window.width - nudge,
        window.row + window.height - nudge,
    )
    bounds = min(left, right), min(bottom, top), max(left, right), max(bottom, top)
    grown = window
    if nudge < 0:
        grown = Window(window.row - 1, window.column - 1, window.height + 2, window.width + 2)
    assert source.window_of(bounds) == grown.intersection(source.window)


def test_bounds_on_a_rotated_grid_cover_the_box() -> None:
    rotated = Affine.translation(100, 200) @ Affine.rotation(45) @ Affine.scale(1, -1)
    # The box from (x, y) = (120, 195) to (125, 200).
    window = Grid(Shape(40, 40), rotated, CRS).window_of((120, 195, 125, 200))
    assert window is not None
    root = math.sqrt(0.5)
    assert (window.row, window.column) == (math.floor(root * 20), math.floor(root * 15))
    assert window.row + window.height == math.ceil(root * 30)
    assert window.column + window.width == math.ceil(root * 25)


def test_bounds_need_a_transform() -> None:
    with pytest.raises(InputError, match="need a georeferenced raster"):
        Grid(Shape(4, 4), None).window_of((0, 0, 1, 1))
    with pytest.raises(InputError, match="need a georeferenced raster"):
        _ = Grid(Shape(4, 4), None).bounds


@pytest.mark.parametrize(
    "box",
    [
        (2.0, 2.0, 2.0, 4.0),
        (4.0, 2.0, 2.0, 4.0),
        (2.0, 3.0, 4.0, 3.0),
        (10.0, 0.3, 11.6, 4.0),
        (-3.0, 0.0, 0.0, 4.0),
        (0.0, 14.0, 4.0, 15.0),
    ],
)
def test_boxes_without_pixels_have_no_window(box: tuple[float, float, float, float]) -> None:
    assert grid(10, 14).snapped(box) is None


def test_boxes_are_cut_to_the_raster() -> None:
    assert grid(10, 14).window == Window(0, 0, 10, 14)
    assert grid(10, 14).snapped((8.5, 12.2, 9.5, 99.0)) == Window(8, 12, 2, 2)
    assert grid(10, 14).snapped((-99.0, -99.0, 99.0, 99.0)) == Window(0, 0, 10, 14)


@given(one=windows, other=windows)
def test_intersection_holds_the_shared_pixels(one: Window, other: Window) -> None:
    def pixels(window: Window | None) -> set[tuple[int, int]]:
        if window is None:
            return set()
        return {
            (window.row + i, window.column + j)
            for i in range(window.height)
            for j in range(window.width)
        }

    shared = one.intersection(other)
    assert pixels(shared) == pixels(one) & pixels(other)
    assert (shared is None) == (not pixels(shared))


@given(transform=transforms(), window=windows)
def test_crop_moves_the_origin(transform: Affine, window: Window) -> None:
    cropped = grid(12, 14, transform).crop(window)
    assert cropped.shape == Shape(window.height, window.width)
    assert cropped.transform is not None
    corner = transform @ (window.column, window.row)
    assert (cropped.transform.c, cropped.transform.f) == pytest.approx(corner)
    moved = Affine(*cropped.transform) @ ~transform
    assert (moved.a, moved.b, moved.d, moved.e) == pytest.approx((1, 0, 0, 1), abs=1e-9)
    assert cropped.crs == CRS
    assert Grid(Shape(12, 14), None).crop(window) == Grid(cropped.shape, None)


def test_window_slices_and_relative_windows() -> None:
    array = np.arange(30).reshape(5, 6)
    window = Window(1, 2, 3, 2)
    assert array[window.slices].tolist() == [[8, 9], [14, 15], [20, 21]]
    assert Window(9, 5, 3, 2).relative_to(Window(1, 4, 7, 8)) == Window(8, 1, 3, 2)


def test_by_resolution_rounds_decimals_as_written() -> None:
    # 7 x 0.3 / 0.2 is 10.5, but slightly less in doubles.
    zoom = Zoom.by_resolution(grid(7, 7, Affine(0.3, 0, 0, 0, -0.3, 0)), 0.2, 0.2)
    assert zoom.output.shape == Shape(11, 11)
    assert zoom.inside  # the last centre lies on the far edge, up to rounding


@pytest.mark.parametrize("scale", ["1e9", "1e400"])
def test_sides_too_long_for_a_file_are_refused(scale: str) -> None:
    with pytest.raises(InputError, match="choose a smaller scale"):
        Zoom.by_scale(Grid(Shape(10, 10), None), scale)


def test_the_largest_side_is_accepted() -> None:
    most = 2_147_483_647  # GDAL's largest signed 32-bit integer
    assert Zoom.by_scale(grid(1, 1), str(most)).output.shape == Shape(most, most)
    for shape in (Shape(1, 2), Shape(2, 1)):
        with pytest.raises(InputError, match=f"more than {most} pixels"):
            Zoom.by_scale(Grid(shape, None), str(2**30))
    with pytest.raises(InputError, match="choose a smaller scale"):
        Zoom.by_resolution(grid(4, 4), 1e-9, 1)
