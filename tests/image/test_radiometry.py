"""Digital numbers to network values and back, holes, and limits of dtypes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from rs_superres.image.radiometry import (
    DTYPES,
    LARGEST_NETWORK_VALUE,
    SINGLE,
    ValueRange,
    eroded,
    fill_holes,
    limits,
    neighbour_range,
    quantise,
    valid_by_value,
    weigh_colours,
)

INTEGERS = tuple(d for d in DTYPES if np.dtype(d).kind in "iu")
EXACT_INTEGERS = tuple(d for d in SINGLE if np.dtype(d).kind in "iu")
ranges = st.builds(
    lambda low, width: ValueRange(low, low + width), st.floats(-3e4, 6e4), st.floats(1, 6e4)
)


# Ranges


@given(value_range=ranges)
def test_the_ends_map_to_minus_one_and_one(value_range: ValueRange) -> None:
    low, high = value_range.low, value_range.high
    numbers = np.array([low, (low + high) / 2, high])
    np.testing.assert_allclose(value_range.to_network(numbers), [-1, 0, 1], atol=1e-6)
    ends = value_range.from_network(np.array([-1.0, 1.0]))
    np.testing.assert_allclose(ends, [low, high], atol=1e-6)
    assert value_range.centre == numbers[1]
    assert value_range.from_network(np.array([0.0]))[0] == pytest.approx(value_range.centre)
    assert value_range.centre + value_range.half == pytest.approx(high)


@given(value_range=ranges, values=arrays.arrays(np.float64, 9, elements=st.floats(-1e5, 1e5)))
def test_values_beyond_the_ends_are_converted_back(
    value_range: ValueRange, values: npt.NDArray[np.float64]
) -> None:
    network_values = value_range.to_network(values)
    # float32 in between: an error of 6e-8 of the largest network value, in digital numbers.
    largest = np.abs(network_values).max() + 1
    np.testing.assert_allclose(
        value_range.from_network(network_values),
        values,
        rtol=0,
        atol=2e-7 * value_range.half * largest,
    )


def test_odd_values_are_clipped_without_a_warning() -> None:
    """Invalid pixels can hold anything."""
    most = LARGEST_NETWORK_VALUE
    odd = np.array([np.inf, -np.inf, 1e300, -3e38, np.nan, 0.0])
    expected = np.array([most, -most, most, -most, np.nan, -1], dtype=np.float32)
    signalling_nan = np.array([0x7F800001], dtype=np.uint32).view(np.float32)
    for value_range in (ValueRange(0.0, 2.0), ValueRange(0.0, 1e-300)):
        np.testing.assert_array_equal(value_range.to_network(odd), expected)
        assert np.isnan(value_range.to_network(signalling_nan)).all()


@pytest.mark.parametrize("dtype", EXACT_INTEGERS)
def test_every_integer_survives_conversion_and_back(dtype: str) -> None:
    limits = np.iinfo(dtype)
    numbers = np.arange(limits.min, limits.max + 1).astype(dtype)[None, None]
    for value_range in (ValueRange(0.0, 255.0), ValueRange(100.5, 3071.25)):
        back = quantise(value_range.from_network(value_range.to_network(numbers)), dtype, None)
        np.testing.assert_array_equal(back, numbers)


def test_range_of_samples() -> None:
    many = ValueRange.of_samples(np.arange(0, 10_001, dtype=np.uint16))
    assert (many.low, many.high) == (50, 9950)
    assert ValueRange.of_samples(np.array([], dtype=np.uint16)) == ValueRange(0.0, 1.0)
    constant = ValueRange.of_samples(np.full((3, 4), 7, dtype=np.int16))
    assert constant == ValueRange(7.0, 8.0)
    assert constant.to_network(np.array([7.0])) == -1


def test_the_range_of_nearly_equal_values_is_that_of_the_others() -> None:
    counts = np.zeros(10_000)
    counts[:40] = np.arange(1, 41) * 100
    assert ValueRange.of_samples(counts) == ValueRange(
        0.0, float(np.percentile(counts[:40], 99.5)), widened=True
    )
    assert ValueRange.of_samples(-counts).low == -float(np.percentile(counts[:40], 99.5))
    # One wild value does not decide the range of the rest.
    wild = np.append(np.arange(1000.0), -3.4e38)
    assert ValueRange.of_samples(wild).low > 0


# Validity


@pytest.mark.parametrize(
    ("dtype", "nodata", "valid"),
    [
        ("uint8", 7.0, [True, False, True]),
        ("uint8", None, [True, True, True]),
        ("int16", 0.0, [False, True, True]),
        ("float32", None, [True, True, True]),
        ("float64", 200.0, [True, True, False]),
    ],
)
def test_nodata_is_not_valid(dtype: str, nodata: float | None, valid: list[bool]) -> None:
    values = np.array([0, 7, 200]).astype(dtype)
    assert valid_by_value(values, nodata).tolist() == valid


def test_nan_and_infinities_are_not_valid() -> None:
    values = np.array([[np.nan, np.inf], [-np.inf, -9999.0], [0.0, 1.0]], dtype=np.float32)
    for nodata in (None, float("nan")):
        valid = valid_by_value(values, nodata)
        assert valid.tolist() == [[False, False], [False, True], [True, True]]
    assert valid_by_value(values, -9999.0).tolist()[1] == [False, False]
    # Tags can hold a float32 with more digits than it has.
    for written in (-3.4028234663852886e38, 0.1):
        assert not valid_by_value(np.array([written], dtype=np.float32), written).any()


# Quantising


@pytest.mark.parametrize("dtype", INTEGERS)
def test_halves_round_to_even_and_values_are_clipped(dtype: str) -> None:
    limits = np.iinfo(dtype)
    values = np.array([0.5, 1.5, 2.5, 3.4999, 1e10, -1e10])
    expected = [0, 2, 2, 3, limits.max, limits.min]
    out = quantise(values, dtype, None)
    assert out.dtype == dtype
    assert out.tolist() == expected


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("where", ["smallest", "largest", "within"])
def test_integers_never_become_nodata(dtype: str, where: str) -> None:
    limits = np.iinfo(dtype)
    nodata = {"smallest": limits.min, "largest": limits.max, "within": 5}[where]
    values = nodata + np.array([-1e10, -1, -0.5, -0.4, 0, 0.4, 0.5, 1, 1e10])
    out = quantise(values, dtype, float(nodata)).astype(np.int64)
    assert nodata not in out
    plain = quantise(values, dtype, None).astype(np.int64)
    moved = plain == nodata
    assert moved.any()
    np.testing.assert_array_equal(out[~moved], plain[~moved])
    assert (np.abs(out[moved] - nodata) == 1).all()
    if where == "within":
        assert out.tolist() == [limits.min, 4, 4, 4, 6, 6, 6, 6, limits.max]


@pytest.mark.parametrize(("dtype", "bits"), [("uint8", 1), ("uint8", 4), ("uint16", 12)])
def test_fewer_bits_have_a_lower_limit(dtype: str, bits: int) -> None:
    largest = 2**bits - 1
    values = np.array([-1.0, 0.4, largest + 0.4, largest + 0.6, 1e9])
    assert quantise(values, dtype, None, bits).tolist() == [0, 0, largest, largest, largest]
    assert quantise(values, dtype, largest, bits).tolist() == [0, 0, *[largest - 1] * 3]
    assert limits(dtype, bits) == (0, largest)


@pytest.mark.parametrize("dtype", DTYPES)
def test_limits_are_those_of_the_dtype(dtype: str) -> None:
    smallest, largest = limits(dtype)
    assert np.array([smallest, largest]).astype(dtype).tolist() == [smallest, largest]
    if np.dtype(dtype).kind == "f":
        assert -smallest == largest == np.finfo(dtype).max
    else:
        assert int(largest) - int(smallest) + 1 == 2 ** (8 * np.dtype(dtype).itemsize)


@pytest.mark.parametrize("nodata", [0.0, 1.0, -9999.0, 3.4028234663852886e38])
def test_floats_never_become_nodata(nodata: float) -> None:
    values = np.array([nodata, 0.25, -7.5])
    out = quantise(values, "float32", nodata)
    assert out.dtype == np.float32
    assert out[0] != np.float32(nodata)
    assert np.isfinite(out[0])
    # The next float towards 0, or above 0 if nodata is 0.
    nearest = np.nextafter(np.float32(nodata), np.float32(0))
    assert out[0] == (nearest if nodata else np.finfo(np.float32).smallest_subnormal)
    assert out[1:].tolist() == [0.25, -7.5]
    assert quantise(values, "float32", None).tolist() == values.astype(np.float32).tolist()


def test_nan_as_nodata_changes_nothing() -> None:
    assert quantise(np.array([0.5, -7.5]), "float32", float("nan")).tolist() == [0.5, -7.5]


def test_floats_are_clipped_to_their_dtype() -> None:
    largest = float(np.finfo(np.float32).max)
    clipped = quantise(np.array([1e39, -1e300, 3.0]), "float32", None)
    assert clipped.tolist() == [largest, -largest, 3.0]
    assert quantise(np.array([-1e39]), "float32", -largest)[0] > -largest  # not nodata


def test_nodata_outside_the_dtype_changes_nothing() -> None:
    assert quantise(np.array([0.4, 255.2]), "uint8", -9999.0).tolist() == [0, 255]
    assert quantise(np.array([0.4, 255.2]), "uint8", float("nan")).tolist() == [0, 255]


# Holes

masks = arrays.arrays(np.bool_, (2, 9, 11), elements=st.booleans())


@given(valid=masks, seed=st.integers(0, 99))
def test_filling_does_not_depend_on_invalid_values(valid: npt.NDArray[np.bool_], seed: int) -> None:
    generator = np.random.default_rng(seed)
    values = generator.normal(size=valid.shape).astype(np.float32)
    other = np.where(valid, values, np.float32(np.nan))
    other[~valid & (generator.random(valid.shape) < 0.3)] = np.inf
    filled = fill_holes(values, valid)
    np.testing.assert_array_equal(filled, fill_holes(other, valid))
    np.testing.assert_array_equal(filled[valid], values[valid])
    for i in range(2):
        if valid[i].any():
            # All are means of valid values, or means of such means.
            low, high = values[i][valid[i]].min(), values[i][valid[i]].max()
            assert filled[i].min() >= low - 1e-5
            assert filled[i].max() <= high + 1e-5
        else:
            assert (filled[i] == 0).all()


@pytest.mark.parametrize("radius", [0, 1, 3, 16])
def test_filling_reaches_exactly_its_radius(radius: int) -> None:
    valid = np.zeros((1, 50, 50), dtype=np.bool_)
    valid[:, 25, 25] = True
    values = np.full(valid.shape, 0.75, dtype=np.float32)
    filled = fill_holes(values, valid, radius)
    rows, columns = np.mgrid[:50, :50]
    near = np.maximum(np.abs(rows - 25), np.abs(columns - 25)) <= radius
    np.testing.assert_array_equal(filled[0], np.where(near, np.float32(0.75), 0))
    assert np.array_equal(filled, fill_holes(values, valid)) == (radius == 16)  # the default


@given(row=st.integers(0, 20), column=st.integers(0, 20), seed=st.integers(0, 9))
def test_filling_a_window_equals_filling_the_scene(row: int, column: int, seed: int) -> None:
    """The compared part lies the radius inside the window."""
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(1, 40, 40)).astype(np.float32)
    valid = generator.random(values.shape) < 0.05
    scene = fill_holes(values, valid, radius=5)
    window = np.s_[:, row : row + 20, column : column + 20]
    part = fill_holes(values[window], valid[window], radius=5)
    np.testing.assert_array_equal(part[:, 5:-5, 5:-5], scene[window][:, 5:-5, 5:-5])


def test_each_ring_is_the_mean_of_known_neighbours() -> None:
    nan = np.nan
    values = np.array([[[2, nan, 4, nan, nan, nan, 8], [nan, nan, nan, 16, nan, nan, nan]]])
    expected = [[2, 3, 4, 10, 16, 8, 8], [2, 3, 10, 16, 16, 8, 8]]
    np.testing.assert_allclose(fill_holes(values, np.isfinite(values))[0], expected)
    # Bands are filled separately.
    two = np.concatenate((values, np.full_like(values, nan)))
    filled = fill_holes(two, np.isfinite(two))
    np.testing.assert_allclose(filled, np.array([expected, [[0] * 7] * 2]))
    line = np.array([[[6, nan, nan, nan, 12.0]]])
    np.testing.assert_allclose(fill_holes(line, np.isfinite(line)), [[[6, 6, 9, 12, 12]]])


def test_filling_keeps_double_precision() -> None:
    values = np.array([[[1e9 + 0.125, np.nan, 1e9 + 0.125]]])
    filled = fill_holes(values, np.isfinite(values))
    assert filled.dtype == np.float64
    assert (filled == 1e9 + 0.125).all()


def test_filling_returns_complete_values_themselves() -> None:
    values = np.ones((1, 4, 4), dtype=np.float32)
    assert fill_holes(values, np.ones(values.shape, dtype=np.bool_)) is values


# Partial alpha


def test_equally_opaque_colours_stay() -> None:
    values = np.arange(24, dtype=np.uint8).reshape(1, 4, 6)
    alpha = np.full(values.shape, 128.0)
    alpha[0, 1, 2] = 0
    assert weigh_colours(values, alpha) is values


def test_colours_are_weighed_by_relative_alpha() -> None:
    values = np.full((1, 5, 7), 100, dtype=np.uint8)
    alpha = np.full(values.shape, 200.0)
    values[0, 2, 3], alpha[0, 2, 3] = 20, 50
    values[0, 2, 4], alpha[0, 2, 4] = 255, 0
    out = weigh_colours(values, alpha)
    colour = (7 * 200 * 100 + 50 * 20) / (7 * 200 + 50)
    opacity = (7 * 200**2 + 50**2) / (7 * 200 + 50)
    assert out[0, 2, 3] == pytest.approx(colour + 50 / opacity * (20 - colour))
    others = np.ones((5, 7), dtype=np.bool_)
    others[2, 3] = False
    np.testing.assert_array_equal(out[0][others], values[0][others])


@given(radius=st.integers(1, 3), height=st.integers(1, 9), width=st.integers(1, 9))
def test_the_range_around_a_pixel_is_that_of_its_valid_neighbours(
    radius: int, height: int, width: int
) -> None:
    generator = np.random.default_rng(height)
    values, valid = generator.normal(size=(height, width)), generator.random((height, width)) > 0.3
    least, greatest = neighbour_range(values, valid, radius)
    for row, column in np.ndindex(height, width):
        square = (
            slice(max(0, row - radius), row + radius + 1),
            slice(max(0, column - radius), column + radius + 1),
        )
        known = values[square][valid[square]]
        assert least[row, column] == known.min(initial=np.inf)
        assert greatest[row, column] == known.max(initial=-np.inf)


def test_eroded_keeps_pixels_whose_whole_square_is_valid() -> None:
    valid = np.ones((7, 9), dtype=np.bool_)
    assert eroded(valid, 2) is valid
    valid[3, 2] = False
    expected = np.ones((7, 9), dtype=np.bool_)
    expected[1:6, 0:5] = False
    np.testing.assert_array_equal(eroded(valid, 2), expected)
