"""An array is mirrored beyond its border."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rs_superres.grid import Window
from rs_superres.scene.reader import ArrayReader


@given(
    row=st.integers(-40, 20),
    column=st.integers(-40, 20),
    height=st.integers(1, 60),
    width=st.integers(1, 60),
)
def test_array_reader_mirrors(row: int, column: int, height: int, width: int) -> None:
    values = np.arange(2 * 7 * 9).reshape(2, 7, 9)
    valid = values % 5 > 0
    read, mask = ArrayReader(values, valid).read_mirrored(Window(row, column, height, width))
    padded = np.pad(values, ((0, 0), (90, 90), (90, 90)), mode="symmetric")
    expected = padded[:, row + 90 : row + 90 + height, column + 90 : column + 90 + width]
    np.testing.assert_array_equal(read, expected)
    np.testing.assert_array_equal(mask, expected % 5 > 0)
