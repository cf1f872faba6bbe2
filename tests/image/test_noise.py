"""The noise field: a function of key and place, and normal."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rs_superres.image.noise import normal_field

Field = npt.NDArray[np.float32]
KEY = (3, 0, 0, 1)
GOLDEN = [[[-2.352509, 0.224015]], [[-0.327332, 1.07014]], [[0.289259, -0.065733]]]


def field(
    *, key: tuple[int, ...] = KEY, row: int = -150, column: int = -170, side: int = 330
) -> Field:
    return normal_field(key, row=row, column=column, shape=(3, side, side))


@pytest.fixture(scope="module")
def whole() -> Field:
    return field()


@given(
    row=st.integers(-50, 49),
    column=st.integers(-50, 49),
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    channels=st.integers(1, 4),
)
def test_windows_agree_with_the_whole(
    row: int, column: int, height: int, width: int, channels: int
) -> None:
    big = normal_field(KEY, row=-50, column=-50, shape=(4, 120, 120))
    window = normal_field(KEY, row=row, column=column, shape=(channels, height, width))
    place = np.s_[:channels, row + 50 : row + 50 + height, column + 50 : column + 50 + width]
    np.testing.assert_array_equal(window, big[place])


def test_far_away() -> None:
    """A scene's last pixels, and places that 32 bits do not hold."""
    far = normal_field(KEY, row=2**33, column=-(2**40), shape=(2, 30, 30))
    assert np.isfinite(far).all()
    near = normal_field(KEY, row=0, column=0, shape=(2, 30, 30))
    assert abs(np.corrcoef(far.ravel(), near.ravel())[0, 1]) < 0.1


def test_it_is_standard_normal(whole: Field) -> None:
    assert whole.dtype == np.float32
    assert np.isfinite(whole).all()
    for channel in whole:
        values = channel.ravel().astype(np.float64)
        # Five deviations of each estimate for this many draws.
        bound = 5 / np.sqrt(len(values))
        assert abs(values.mean()) < bound
        assert abs(values.var() - 1) < bound * np.sqrt(2)
        assert abs(stats.skew(values)) < bound * np.sqrt(6)
        assert abs(stats.kurtosis(values)) < bound * np.sqrt(24)
        assert stats.kstest(values, "norm").pvalue > 1e-4


def test_the_pixels_about_the_origin_are_normal_too() -> None:
    """Small numbers are where a weak hash shows: the same pixel over many seeds."""
    draws = np.concatenate(
        [
            normal_field((seed, 0, 0, 0), row=-2, column=-2, shape=(1, 5, 5)).ravel()
            for seed in range(400)
        ]
    )
    assert stats.kstest(draws, "norm").pvalue > 1e-4


def correlation(one: Field, other: Field) -> float:
    return float(abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]))


@pytest.mark.parametrize("shift", [(0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (64, 0), (0, 64)])
def test_neighbours_are_uncorrelated(whole: Field, shift: tuple[int, int]) -> None:
    other = field(row=-150 + shift[0], column=-170 + shift[1])
    bound = 5 / np.sqrt(whole.size)
    assert correlation(whole, other) < bound
    # Nor do their magnitudes follow each other.
    assert correlation(np.abs(whole), np.abs(other)) < bound


def test_rows_and_columns_are_not_exchangeable(whole: Field) -> None:
    turned = np.ascontiguousarray(field(row=-170, column=-150).transpose(0, 2, 1))
    assert correlation(whole, turned) < 5 / np.sqrt(whole.size)


def test_channels_are_uncorrelated(whole: Field) -> None:
    for a, b in ((0, 1), (0, 2), (1, 2)):
        bound = 5 / np.sqrt(whole[0].size)
        assert correlation(whole[a], whole[b]) < bound
        assert correlation(np.abs(whole[a]), np.abs(whole[b])) < bound


@pytest.mark.parametrize(
    "key", [(4, 0, 0, 1), (3, 1, 0, 1), (3, 0, 1, 1), (3, 0, 0, 2), (0, 3, 0, 1), (-3, 0, 0, 1)]
)
def test_every_part_of_the_key_counts(whole: Field, key: tuple[int, ...]) -> None:
    other = field(key=key)
    bound = 5 / np.sqrt(whole.size)
    assert correlation(whole, other) < bound
    assert correlation(np.abs(whole), np.abs(other)) < bound


def mixed_back(mixed: int) -> int:
    """What SplitMix64's finaliser makes this number of, in whole numbers of Python."""
    x = mixed
    for shift, factor in ((31, 0x94D049BB133111EB), (27, 0xBF58476D1CE4E5B9), (30, 1)):
        x ^= (x >> shift) ^ (x >> 2 * shift)
        x = x * pow(factor, -1, 2**64) % 2**64
    return x


def test_the_rarest_draw_is_finite() -> None:
    """The pixel whose 64 bits are all 0, where Box and Muller would take the logarithm of 0."""
    golden, first = 0x9E3779B97F4A7C15, 0xE220A8397B1DCDAF  # SplitMix64's step, and first of seed 0
    pixel = -golden % 2**64  # its channel 0 adds one step, and 0 is mixed to 0
    column = ((mixed_back(pixel) - first) * pow(golden, -1, 2**64) - 1) % 2**64
    signed = column - 2**64 if column >= 2**63 else column
    drawn = normal_field((), row=0, column=signed, shape=(2, 1, 1))
    assert drawn.ravel() == pytest.approx([math.sqrt(2 * 32 * math.log(2)), 0])


def test_it_stays_what_it_is() -> None:
    """The field is part of a result's definition: a change of it is a change of all results."""
    drawn = normal_field((1, 2, 3, 4), row=-1, column=7, shape=(3, 1, 2))
    np.testing.assert_allclose(drawn, GOLDEN, rtol=0, atol=1e-6)
