"""Damage sound files: each mutant is a function of (seed, number) alone."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

ODD = (0, 1, 2, 3, 7, 8, 255, 256, 32_768, 65_535, 10**9, 2**31 - 1, 2**31, 2**32 - 1, 2**63)
"""Numbers to write into headers in place of the true ones."""

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 16: 8, 17: 8}
"""Bytes of one value of each TIFF field type."""


@dataclass(frozen=True)
class Field:
    """An entry of a TIFF directory: the offset in the file and the size of each of its parts."""

    tag: tuple[int, int]
    kind: tuple[int, int]
    """The field type, a key of :data:`SIZES`."""
    count: tuple[int, int]
    values: tuple[int, int]
    """The first value, in the entry itself or where the entry points."""
    number: int
    """Number of values."""


def fields(data: bytes) -> Iterator[Field]:
    """Yield the entries of all directories of a TIFF; none for other data."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 16:
        return
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    word = "Q" if big else "I"
    wide = struct.calcsize(word)
    offset = struct.unpack_from(order + word, data, 8 if big else 4)[0]
    head = "Q" if big else "H"
    try:
        while offset:
            entries = struct.unpack_from(order + head, data, offset)[0]
            offset += struct.calcsize(head)
            for _ in range(entries):
                kind = struct.unpack_from(order + "H", data, offset + 2)[0]
                number = struct.unpack_from(order + word, data, offset + 4)[0]
                size, values = SIZES.get(kind, 1), offset + 4 + wide
                if size * number > wide:
                    values = struct.unpack_from(order + word, data, values)[0]
                yield Field(
                    tag=(offset, 2),
                    kind=(offset + 2, 2),
                    count=(offset + 4, wide),
                    values=(values, size),
                    number=number,
                )
                offset += 4 + 2 * wide
            offset = struct.unpack_from(order + word, data, offset)[0]
    except struct.error:
        return


def mutant(seed: int, number: int, originals: Sequence[bytes]) -> tuple[int, str, bytes]:
    """Return one damaged file.

    Args:
        seed: The seed of a series of mutants.
        number: The number of the mutant in its series.
        originals: The contents of sound files.

    Returns:
        The index of the original, the kinds of damage joined by "+", and the file's bytes.
    """
    generator = np.random.default_rng((seed, number))
    index = int(generator.integers(len(originals)))
    data = bytearray(originals[index])
    kinds = generator.choice(list(DAMAGES), size=int(generator.choice([1, 1, 1, 2, 3])))
    for kind in kinds:
        DAMAGES[str(kind)](data, generator, originals)
    return index, "+".join(map(str, kinds)), bytes(data)


def _put(data: bytearray, offset: int, size: int, value: int, *, little: bool) -> None:
    """Overwrite an integer, up to the end of the file."""
    encoded = (value % 256**size).to_bytes(size, "little" if little else "big")
    data[offset : offset + size] = encoded[: max(0, len(data) - offset)]


def _random_offset(data: bytearray, generator: np.random.Generator) -> int:
    """Return an offset in the data."""
    return int(generator.integers(max(1, len(data))))


def _header(data: bytearray, generator: np.random.Generator, _: Sequence[bytes]) -> None:
    """Change some of the first bytes."""
    for _time in range(int(generator.integers(1, 4))):
        offset = int(generator.integers(min(len(data), 64) or 1))
        data[offset : offset + 1] = generator.bytes(1) if offset < len(data) else b""


def _lie(data: bytearray, generator: np.random.Generator, _: Sequence[bytes]) -> None:
    """Change a part of a directory's entry; flip bits in a file that is not a TIFF."""
    entries = list(fields(bytes(data)))
    if not entries:
        _flip(data, generator, _)
        return
    field = entries[int(generator.integers(len(entries)))]
    name = generator.choice(["tag", "kind", "count", "values", "values", "values"])
    offset, size = getattr(field, str(name))
    little = data[:2] == b"II"
    if name == "values":
        offset += size * int(generator.integers(max(1, min(field.number, 10_000))))
    before = int.from_bytes(data[offset : offset + size], "little" if little else "big")
    near = before + int(generator.integers(-3, 4))
    value = int(generator.choice([*map(float, ODD), near, 2 * before])) if size > 1 else near
    _put(data, offset, size, value, little=little)


def _cut(data: bytearray, generator: np.random.Generator, _: Sequence[bytes]) -> None:
    """End the file early."""
    del data[_random_offset(data, generator) :]


def _flip(data: bytearray, generator: np.random.Generator, _: Sequence[bytes]) -> None:
    """Flip some bits."""
    for _time in range(int(generator.integers(1, 65)) if data else 0):
        data[_random_offset(data, generator)] ^= 1 << int(generator.integers(8))


def _splice(data: bytearray, generator: np.random.Generator, originals: Sequence[bytes]) -> None:
    """Overwrite a block by one of another file."""
    other = originals[int(generator.integers(len(originals)))]
    start, offset = int(generator.integers(len(other))), _random_offset(data, generator)
    block = other[start : start + int(generator.integers(1, 4096))][: len(data) - offset]
    data[offset : offset + len(block)] = block


def _blank(data: bytearray, generator: np.random.Generator, _: Sequence[bytes]) -> None:
    """Set a block to zeros."""
    offset = _random_offset(data, generator)
    length = min(int(generator.integers(1, 4096)), len(data) - offset)
    data[offset : offset + length] = bytes(length)


def _shift(data: bytearray, generator: np.random.Generator, _: Sequence[bytes]) -> None:
    """Delete or insert bytes, so that all that follows moves."""
    offset, length = _random_offset(data, generator), int(generator.integers(1, 64))
    if generator.integers(2):
        del data[offset : offset + length]
    else:
        data[offset:offset] = generator.bytes(length)


DAMAGES: dict[str, Callable[[bytearray, np.random.Generator, Sequence[bytes]], None]] = {
    "header": _header,
    "lie": _lie,
    "cut": _cut,
    "flip": _flip,
    "splice": _splice,
    "blank": _blank,
    "shift": _shift,
}
