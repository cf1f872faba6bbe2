"""Pixels as text, decoded by other code than the page's."""

from __future__ import annotations

import base64
import zlib

import numpy as np
import pytest

from rs_superres.view.encoding import encode_mask, encode_pixels, page_bytes, page_dtype
from tests.rasters import Array

DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")


def decoded(text: str, dtype: str) -> Array:
    """Decode a band as docs of ``encode_pixels`` say: planes of bytes, then differences."""
    item = np.dtype(dtype).itemsize
    planes = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).reshape(item, -1)
    steps = sum(planes[k].astype(np.uint64) << np.uint64(8 * k) for k in range(item))
    total = np.cumsum(steps, dtype=np.uint64).astype(f"<u{item}")
    values: Array = total.view(dtype)
    return values


@pytest.mark.parametrize("dtype", DTYPES)
def test_values_survive(dtype: str) -> None:
    kind = np.dtype(dtype)
    limits = np.iinfo(kind) if kind.kind in "iu" else np.finfo(kind)
    values = np.array([[0, 1, 255, -1, limits.min], [limits.max, 3, 3, 100, 7]]).astype(dtype)
    valid = np.ones(values.shape, np.bool_)
    valid[1, 1] = False
    got = decoded(encode_pixels(values, valid), page_dtype(dtype)).reshape(values.shape)
    assert got[1, 1] == 0
    with np.errstate(over="ignore"):
        expected = values.astype(page_dtype(dtype))
    largest = np.finfo(np.float32).max
    if dtype == "float64":  # infinite in single precision
        expected = expected.clip(-largest, largest)
    np.testing.assert_array_equal(got[valid], expected[valid])


def test_what_lies_under_a_mask_is_left_out() -> None:
    values = np.array([[5.0, np.nan, -1e30]], dtype=np.float32)
    valid = np.array([[True, False, False]])
    assert decoded(encode_pixels(values, valid), "float32").tolist() == [5, 0, 0]
    assert encode_pixels(values, valid) == encode_pixels(np.array([[5, 1, 2]], np.float32), valid)


def test_masks() -> None:
    assert encode_mask(np.ones((3, 3), np.bool_)) is None
    valid = np.eye(3, dtype=np.bool_)
    text = encode_mask(valid)
    assert text is not None
    bits = np.unpackbits(np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8))[:9]
    np.testing.assert_array_equal(bits.reshape(3, 3), valid)


@pytest.mark.parametrize("side", [1, 7, 300])
def test_the_size_has_a_limit(side: int) -> None:
    """Noise is the worst case: it cannot be compressed."""
    noise = np.random.default_rng(1).integers(0, 2**16, (side, side)).astype(np.uint16)
    length = len(encode_pixels(noise, np.ones(noise.shape, np.bool_)))
    assert length <= page_bytes(noise.nbytes)
    if side == 300:
        assert length > 0.95 * page_bytes(noise.nbytes)
    smooth = np.broadcast_to(np.arange(side, dtype=np.uint16), (side, side))
    assert len(encode_pixels(smooth, np.ones(smooth.shape, np.bool_))) < 2000
