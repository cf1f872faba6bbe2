"""The lattice: cells partition the output, and each reads as much of the source as it needs."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rs_superres.grid import AxisMapping, Lattice, Shape, Window, axis_support
from rs_superres.grid.lattice import SMALLEST, covered, evenly_spaced, read_mirrored, reflected

shapes = st.builds(Shape, st.integers(1, 400), st.integers(1, 400))
lattices = st.builds(Lattice.over, shapes, st.sampled_from((64, 128, 192, 512)))


def draw_window(data: st.DataObject, shape: Shape) -> Window:
    """Draw a window within an output of the given shape."""
    row = data.draw(st.integers(0, shape.height - 1))
    column = data.draw(st.integers(0, shape.width - 1))
    height = data.draw(st.integers(1, shape.height - row))
    width = data.draw(st.integers(1, shape.width - column))
    return Window(row, column, height, width)


@given(lattice=lattices)
def test_cells_partition_the_output(lattice: Lattice) -> None:
    shape = lattice.shape
    times = np.zeros((shape.height, shape.width), dtype=int)
    cells = list(lattice.cells())
    for cell in cells:
        assert Shape(cell.height, cell.width) == lattice.cell
        shared = cell.intersection(Window(0, 0, shape.height, shape.width))
        assert shared is not None
        times[shared.slices] += 1
    assert (times == 1).all()
    assert len(cells) == len(lattice.cells())
    assert lattice.rows == len({cell.row for cell in cells})
    assert lattice.columns == len({cell.column for cell in cells})


@given(lattice=lattices, data=st.data())
def test_cells_of_a_window_are_those_that_overlap_it(lattice: Lattice, data: st.DataObject) -> None:
    window = draw_window(data, lattice.shape)
    cells = list(lattice.cells(window))
    assert cells == [c for c in lattice.cells() if c.intersection(window) is not None]
    assert len(cells) == len(lattice.cells(window))


def test_cells_of_a_window_examples() -> None:
    lattice = Lattice(Shape(400, 500), Shape(64, 128))
    starts = [(cell.row, cell.column) for cell in lattice.cells(Window(130, 300, 70, 90))]
    assert starts == [(128, 256), (128, 384), (192, 256), (192, 384)]


@given(lattice=lattices, data=st.data())
def test_parts_tile_a_window(lattice: Lattice, data: st.DataObject) -> None:
    """Copying every part from its cell fills each pixel of the window once, at its place."""
    window, shape = draw_window(data, lattice.shape), lattice.cell
    size = Shape(lattice.rows * shape.height, lattice.columns * shape.width)
    numbers = np.arange(size.height * size.width).reshape(size.height, size.width)
    copied = np.full((window.height, window.width), -1)
    cells = []
    for cell, in_cell, in_window in lattice.parts(window):
        target = copied[in_window.slices]
        assert (in_window.height, in_window.width) == (in_cell.height, in_cell.width)
        assert (target == -1).all()  # no two parts overlap
        target[:] = numbers[cell.slices][in_cell.slices]
        cells.append(cell)
    np.testing.assert_array_equal(copied, numbers[window.slices])
    assert cells == list(lattice.cells(window))


def test_parts_of_a_window_examples() -> None:
    lattice = Lattice(Shape(100, 200), Shape(64, 128))
    assert list(lattice.parts(Window(60, 10, 20, 30))) == [
        (Window(0, 0, 64, 128), Window(60, 10, 4, 30), Window(0, 0, 4, 30)),
        (Window(64, 0, 64, 128), Window(0, 10, 16, 30), Window(4, 0, 16, 30)),
    ]


@pytest.mark.parametrize(
    ("shape", "side", "cell"),
    [
        (Shape(512, 513), 512, Shape(512, 320)),
        (Shape(64, 65), 512, Shape(64, 128)),
        (Shape(1, 1300), 512, Shape(64, 448)),
    ],
)
def test_cells_share_a_side_evenly(shape: Shape, side: int, cell: Shape) -> None:
    assert Lattice.over(shape, side).cell == cell


@given(extent=st.integers(1, 4000), side=st.sampled_from((64, 128, 192, 512)))
def test_cells_are_as_few_and_then_as_small_as_possible(extent: int, side: int) -> None:
    fewest = -(-extent // side)
    (smallest,) = itertools.islice(
        (c for c in range(SMALLEST, side + 1, SMALLEST) if c * fewest >= extent), 1
    )
    lattice = Lattice.over(Shape(extent, 1), side)
    assert (lattice.rows, lattice.cell) == (fewest, Shape(smallest, SMALLEST))


@given(
    source=st.integers(1, 60),
    size=st.integers(61, 400),
    margin=st.integers(0, 40),
    halo=st.integers(0, 20),
    count=st.sampled_from((64, 128)),
)
def test_axis_supports_have_one_size_and_hold_the_halo(
    source: int, size: int, margin: int, halo: int, count: int
) -> None:
    axis = AxisMapping.over_extent(source, size)
    supports = [
        axis_support(axis, start, count, margin=margin, halo=halo)
        for start in range(0, size, count)
    ]
    assert len({support.count for support in supports}) == 1
    for number, support in enumerate(supports):
        positions = axis.positions(number * count - margin, count + 2 * margin)
        np.testing.assert_array_equal(support.positions, positions)
        # Each position lies between two source pixels; the halo surrounds both.
        assert np.floor(positions[0]) - halo == support.start
        spare = support.start + support.count - 1 - (np.floor(positions[-1]) + 1 + halo)
        assert 0 <= spare <= 1


@given(
    size=st.integers(1, 12),
    before=st.integers(0, 40),
    after=st.integers(0, 40),
)
def test_reflected_is_symmetric_padding(size: int, before: int, after: int) -> None:
    expected = np.pad(np.arange(size), (before, after), mode="symmetric")
    np.testing.assert_array_equal(reflected(-before, before + size + after, size), expected)


@given(size=st.integers(1, 400), side=st.integers(1, 100), most=st.integers(1, 9))
def test_spans_are_evenly_spaced(size: int, side: int, most: int) -> None:
    starts = evenly_spaced(size, side, most)
    assert starts[0] == 0
    assert len(starts) <= most
    ends = [start + side for start in starts]
    if len(starts) > 1:
        assert ends[-1] == size
        steps = np.diff(starts)
        assert steps.max() - steps.min() <= 1
    if len(starts) < most:  # they cover the axis, and one span fewer would not
        assert all(start <= end for start, end in zip(starts[1:], ends, strict=False))
        assert (len(starts) - 1) * side < size <= len(starts) * side


class Scene:
    """A random source with invalid pixels that records which windows are read."""

    def __init__(self, shape: Shape) -> None:
        generator = np.random.default_rng(7)
        self.values = generator.integers(0, 60_000, (2, shape.height, shape.width), np.uint16)
        self.valid = self.values < 40_000
        self.windows: list[Window] = []

    def read(self, window: Window) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.bool_]]:
        self.windows.append(window)
        place = np.s_[:, *window.slices]
        return self.values[place], self.valid[place]


@given(
    shape=st.builds(Shape, st.integers(1, 9), st.integers(1, 9)),
    window=st.builds(
        Window, st.integers(-30, 30), st.integers(-30, 30), st.integers(1, 30), st.integers(1, 30)
    ),
)
def test_read_mirrored_reads_the_smallest_window_once(shape: Shape, window: Window) -> None:
    scene = Scene(shape)
    values, valid = read_mirrored(scene.read, window, shape)
    padding = (0, 0), (30, 60), (30, 60)
    place = np.s_[
        :, *Window(window.row + 30, window.column + 30, window.height, window.width).slices
    ]
    for result, array in ((values, scene.values), (valid, scene.valid)):
        assert result.dtype == array.dtype
        np.testing.assert_array_equal(result, np.pad(array, padding, mode="symmetric")[place])
    assert scene.windows == [covered(window, shape)]
    indices = [
        np.pad(index, padding[1:], mode="symmetric")[place[1:]]
        for index in np.mgrid[: shape.height, : shape.width]
    ]
    top, left, bottom, right = (f(index) for f in (np.min, np.max) for index in indices)
    assert scene.windows == [Window(top, left, bottom - top + 1, right - left + 1)]
