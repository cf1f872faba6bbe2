"""The lattice: its cells partition the output, and each reads as much of the source as it needs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rs_superres.grid import Axis, Shape, Window
from rs_superres.tiles import SMALLEST, Lattice, patch, reflected

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
    assert len(cells) == lattice.rows * lattice.columns


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
    covered = [c.intersection(window) for c in cells]
    assert sum(c.height * c.width for c in covered if c is not None) == height * width


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


@given(lattice=lattices)
def test_cells_suit_a_unet(lattice: Lattice) -> None:
    assert lattice.cell.height % SMALLEST == lattice.cell.width % SMALLEST == 0


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
    axis = Axis.over_extent(source, size)
    patches = [
        patch(axis, start, count, margin=margin, halo=halo) for start in range(0, size, count)
    ]
    assert len({p.count for p in patches}) == 1
    for number, p in enumerate(patches):
        wanted = axis.positions(number * count - margin, count + 2 * margin)
        np.testing.assert_array_equal(p.positions, wanted)
        # Each position lies between two cells; the halo stands around both.
        assert np.floor(wanted[0]) - halo == p.start
        assert np.floor(wanted[-1]) + 1 + halo < p.start + p.count


@given(
    size=st.integers(1, 12),
    before=st.integers(0, 40),
    after=st.integers(0, 40),
)
def test_the_scene_goes_on_as_its_mirror_image(size: int, before: int, after: int) -> None:
    cells = np.arange(size)
    wanted = np.pad(cells, (before, after), mode="symmetric")
    np.testing.assert_array_equal(reflected(-before, before + size + after, size), wanted)
