"""The lattice: its cells partition the output, and each reads as much of the source as it needs."""

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
def test_the_cells_of_a_window_are_those_that_it_meets(
    lattice: Lattice, data: st.DataObject
) -> None:
    shape = lattice.shape
    row = data.draw(st.integers(0, shape.height - 1))
    column = data.draw(st.integers(0, shape.width - 1))
    height = data.draw(st.integers(1, shape.height - row))
    width = data.draw(st.integers(1, shape.width - column))
    window = Window(row, column, height, width)
    cells = list(lattice.cells(window))
    assert cells == [c for c in lattice.cells() if c.intersection(window) is not None]
    shared = [c.intersection(window) for c in cells]
    assert sum(c.height * c.width for c in shared if c is not None) == height * width


def test_the_cells_of_a_window_by_example() -> None:
    lattice = Lattice(Shape(400, 500), Shape(64, 128))
    starts = [(cell.row, cell.column) for cell in lattice.cells(Window(130, 300, 70, 90))]
    assert starts == [(128, 256), (128, 384), (192, 256), (192, 384)]


@pytest.mark.parametrize(
    ("shape", "side", "cell"),
    [
        (Shape(512, 513), 512, Shape(512, 320)),
        (Shape(64, 65), 512, Shape(64, 128)),
        (Shape(1, 1300), 512, Shape(64, 448)),
    ],
)
def test_a_side_is_shared_out_evenly(shape: Shape, side: int, cell: Shape) -> None:
    assert Lattice.over(shape, side).cell == cell


@given(extent=st.integers(1, 4000), side=st.sampled_from((64, 128, 192, 512)))
def test_no_smaller_cell_that_suits_a_unet_needs_as_few(extent: int, side: int) -> None:
    fewest = -(-extent // side)
    (least,) = itertools.islice(
        (c for c in range(SMALLEST, side + 1, SMALLEST) if c * fewest >= extent), 1
    )
    lattice = Lattice.over(Shape(extent, 1), side)
    assert (lattice.rows, lattice.cell) == (fewest, Shape(least, SMALLEST))


@given(
    source=st.integers(1, 60),
    size=st.integers(61, 400),
    margin=st.integers(0, 40),
    halo=st.integers(0, 20),
    count=st.sampled_from((64, 128)),
)
def test_patches_are_of_one_size_and_hold_the_halo(
    source: int, size: int, margin: int, halo: int, count: int
) -> None:
    axis = AxisMapping.over_extent(source, size)
    patches = [
        axis_support(axis, start, count, margin=margin, halo=halo)
        for start in range(0, size, count)
    ]
    assert len({p.count for p in patches}) == 1
    for number, p in enumerate(patches):
        wanted = axis.positions(number * count - margin, count + 2 * margin)
        np.testing.assert_array_equal(p.positions, wanted)
        # Each position lies between two cells; the halo stands around both.
        assert np.floor(wanted[0]) - halo == p.start
        spare = p.start + p.count - 1 - (np.floor(wanted[-1]) + 1 + halo)
        assert 0 <= spare <= 1


@given(
    size=st.integers(1, 12),
    before=st.integers(0, 40),
    after=st.integers(0, 40),
)
def test_the_scene_goes_on_as_its_mirror_image(size: int, before: int, after: int) -> None:
    cells = np.arange(size)
    wanted = np.pad(cells, (before, after), mode="symmetric")
    np.testing.assert_array_equal(reflected(-before, before + size + after, size), wanted)


@given(size=st.integers(1, 400), side=st.integers(1, 100), most=st.integers(1, 9))
def test_spans_are_spread_evenly(size: int, side: int, most: int) -> None:
    starts = evenly_spaced(size, side, most)
    assert starts[0] == 0
    assert len(starts) <= most
    ends = [start + side for start in starts]
    if len(starts) > 1:
        assert ends[-1] == size
        steps = np.diff(starts)
        assert steps.max() - steps.min() <= 1
    if len(starts) < most:  # all is covered, and one span fewer would not do
        assert all(start <= end for start, end in zip(starts[1:], ends, strict=False))
        assert (len(starts) - 1) * side < size <= len(starts) * side


class Scene:
    """A random scene, some of it invalid, that remembers what was read of it."""

    def __init__(self, shape: Shape) -> None:
        generator = np.random.default_rng(7)
        self.values = generator.integers(0, 60_000, (2, shape.height, shape.width), np.uint16)
        self.valid = self.values < 40_000
        self.read: list[Window] = []

    def __call__(self, window: Window) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.bool_]]:
        self.read.append(window)
        place = np.s_[:, *window.slices]
        return self.values[place], self.valid[place]


@given(
    shape=st.builds(Shape, st.integers(1, 9), st.integers(1, 9)),
    window=st.builds(
        Window, st.integers(-30, 30), st.integers(-30, 30), st.integers(1, 30), st.integers(1, 30)
    ),
)
def test_a_window_is_read_of_the_mirrored_scene(shape: Shape, window: Window) -> None:
    scene = Scene(shape)
    values, valid = read_mirrored(scene, window, shape)
    around = (0, 0), (30, 60), (30, 60)
    place = np.s_[
        :, *Window(window.row + 30, window.column + 30, window.height, window.width).slices
    ]
    for found, whole in ((values, scene.values), (valid, scene.valid)):
        assert found.dtype == whole.dtype
        np.testing.assert_array_equal(found, np.pad(whole, around, mode="symmetric")[place])
    # One read, of no more than the window shows.
    assert scene.read == [covered(window, shape)]
    rows, columns = np.mgrid[: shape.height, : shape.width]
    shown = [np.pad(cells, around[1:], mode="symmetric")[place[1:]] for cells in (rows, columns)]
    top, left, bottom, right = (f(s) for f in (np.min, np.max) for s in shown)
    assert scene.read == [Window(top, left, bottom - top + 1, right - left + 1)]
