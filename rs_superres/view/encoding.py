"""Pixels as text: deflated differences in base64, which ``map.js`` decodes."""

from __future__ import annotations

import base64
import zlib

import numpy as np

from rs_superres.types import Valid, Values

EXACT = ("uint8", "int8", "uint16", "int16", "float32")
"""Dtypes that a page holds as they are. Others become float32."""

LEVEL = 6
"""Effort of the compression; higher levels save little."""

LARGEST = float(np.finfo(np.float32).max)


def page_dtype(dtype: str) -> str:
    """Return the dtype in which a page holds pixels of a raster's dtype."""
    return dtype if dtype in EXACT else "float32"


def page_bytes(count: int) -> int:
    """Return the most characters that so many bytes of pixels take in a page."""
    # Deflate adds 5 bytes to each 16 kB that it cannot shrink; base64 makes 4 characters of 3.
    return (count + count // 1000 + 64) * 4 // 3 + 4


def encode_pixels(values: Values, valid: Valid) -> str:
    """Encode one band of digital numbers, (y, x).

    Each number becomes its difference from the one before, and the bytes of all numbers are sorted
    by their significance: smooth images then shrink well.

    Args:
        values: digital numbers; what lies under invalid pixels is left out.
        valid: which of them are valid.
    """
    dtype = page_dtype(values.dtype.name)
    shown = np.where(valid, values, values.dtype.type(0))
    if dtype != values.dtype.name:
        shown = shown.astype(np.float64).clip(-LARGEST, LARGEST)
    numbers = np.ascontiguousarray(shown.astype(np.dtype(dtype).newbyteorder("<"))).ravel()
    bits = numbers.view(f"<u{numbers.itemsize}")
    steps = np.diff(bits, prepend=bits.dtype.type(0))  # unsigned: the sum wraps back
    planes = steps.view(np.uint8).reshape(-1, numbers.itemsize).T
    return _text(planes.tobytes())


def encode_mask(valid: Valid) -> str | None:
    """Encode the validity of one band, (y, x), as one bit a pixel; None if all are valid."""
    return None if valid.all() else _text(np.packbits(valid).tobytes())


def _text(data: bytes) -> str:
    """Compress bytes, and write them in base64."""
    return base64.b64encode(zlib.compress(data, LEVEL)).decode("ascii")
