"""The noise field: a function of key and position, standard normal and uncorrelated."""

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
def large_field() -> Field:
    return field()


@given(
    row=st.integers(-50, 49),
    column=st.integers(-50, 49),
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    channels=st.integers(1, 4),
)
def test_windows_agree_with_the_large_field(
    row: int, column: int, height: int, width: int, channels: int
) -> None:
    big = normal_field(KEY, row=-50, column=-50, shape=(4, 120, 120))
    window = normal_field(KEY, row=row, column=column, shape=(channels, height, width))
    place = np.s_[:channels, row + 50 : row + 50 + height, column + 50 : column + 50 + width]
    np.testing.assert_array_equal(window, big[place])


def test_positions_beyond_32_bits() -> None:
    far = normal_field(KEY, row=2**33, column=-(2**40), shape=(2, 30, 30))
    assert np.isfinite(far).all()
    near = normal_field(KEY, row=0, column=0, shape=(2, 30, 30))
    assert abs(np.corrcoef(far.ravel(), near.ravel())[0, 1]) < 0.1


def test_noise_is_standard_normal(large_field: Field) -> None:
    assert large_field.dtype == np.float32
    assert np.isfinite(large_field).all()
    for channel in large_field:
        values = channel.ravel().astype(np.float64)
        # Five standard errors of each estimate for this many draws.
        bound = 5 / np.sqrt(len(values))
        assert abs(values.mean()) < bound
        assert abs(values.var() - 1) < bound * np.sqrt(2)
        assert abs(stats.skew(values)) < bound * np.sqrt(6)
        assert abs(stats.kurtosis(values)) < bound * np.sqrt(24)
        assert stats.kstest(values, "norm").pvalue > 1e-4


def test_noise_near_the_origin_is_normal_over_seeds() -> None:
    """Small inputs reveal a weak hash."""
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
def test_neighbours_are_uncorrelated(large_field: Field, shift: tuple[int, int]) -> None:
    other = field(row=-150 + shift[0], column=-170 + shift[1])
    bound = 5 / np.sqrt(large_field.size)
    assert correlation(large_field, other) < bound
    # Their magnitudes are uncorrelated too.
    assert correlation(np.abs(large_field), np.abs(other)) < bound


def test_rows_and_columns_are_not_interchangeable(large_field: Field) -> None:
    transposed = np.ascontiguousarray(field(row=-170, column=-150).transpose(0, 2, 1))
    assert correlation(large_field, transposed) < 5 / np.sqrt(large_field.size)


def test_channels_are_uncorrelated(large_field: Field) -> None:
    for a, b in ((0, 1), (0, 2), (1, 2)):
        bound = 5 / np.sqrt(large_field[0].size)
        assert correlation(large_field[a], large_field[b]) < bound
        assert correlation(np.abs(large_field[a]), np.abs(large_field[b])) < bound


@pytest.mark.parametrize(
    "key", [(4, 0, 0, 1), (3, 1, 0, 1), (3, 0, 1, 1), (3, 0, 0, 2), (0, 3, 0, 1), (-3, 0, 0, 1)]
)
def test_every_part_of_the_key_changes_the_noise(large_field: Field, key: tuple[int, ...]) -> None:
    other = field(key=key)
    bound = 5 / np.sqrt(large_field.size)
    assert correlation(large_field, other) < bound
    assert correlation(np.abs(large_field), np.abs(other)) < bound


def unmixed(mixed: int) -> int:
    """Invert SplitMix64's finaliser, in Python integers."""
    x = mixed
    for shift, factor in ((31, 0x94D049BB133111EB), (27, 0xBF58476D1CE4E5B9), (30, 1)):
        x ^= (x >> shift) ^ (x >> 2 * shift)
        x = x * pow(factor, -1, 2**64) % 2**64
    return x


def test_the_most_extreme_draw_is_finite() -> None:
    """The pixel whose 64 bits are all 0, for which Box-Muller would take the logarithm of 0."""
    # SplitMix64's step, and its first output for seed 0, which is the state of row 0.
    golden, first = 0x9E3779B97F4A7C15, 0xE220A8397B1DCDAF
    pixel = -golden % 2**64  # channel 0 adds one step, which gives 0, and 0 is mixed to 0
    column = ((unmixed(pixel) - first) * pow(golden, -1, 2**64) - 1) % 2**64
    signed = column - 2**64 if column >= 2**63 else column
    drawn = normal_field((), row=0, column=signed, shape=(2, 1, 1))
    assert drawn.ravel() == pytest.approx([math.sqrt(2 * 32 * math.log(2)), 0])


def test_noise_never_changes_between_versions() -> None:
    """If the field changed, all results would change."""
    drawn = normal_field((1, 2, 3, 4), row=-1, column=7, shape=(3, 1, 2))
    np.testing.assert_allclose(drawn, GOLDEN, rtol=0, atol=1e-6)
