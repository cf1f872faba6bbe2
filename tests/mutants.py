"""Damaged files: mutants of sound ones, each a function of (seed, number) alone."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

ODD = (0, 1, 2, 3, 7, 8, 255, 256, 32_768, 65_535, 10**9, 2**31 - 1, 2**31, 2**32 - 1, 2**63)
"""Numbers that headers lie with."""

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 16: 8, 17: 8}
"""Bytes of a TIFF field of each type."""


@dataclass(frozen=True)
class Field:
    """An entry of a TIFF directory, by where its parts stand in the file."""

    tag: tuple[int, int]
    """Offset and size, as of the other parts."""
    kind: tuple[int, int]
    count: tuple[int, int]
    values: tuple[int, int]
    """The first of its values, in the entry itself or where it points."""
    number: int
    """How many values."""


def fields(data: bytes) -> Iterator[Field]:
    """The entries of all directories of a TIFF; none of what is no TIFF."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 16:
        return
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    word = "Q" if big else "I"
    wide = struct.calcsize(word)
    at = struct.unpack_from(order + word, data, 8 if big else 4)[0]
    head = "Q" if big else "H"
    try:
        while at:
            many = struct.unpack_from(order + head, data, at)[0]
            at += struct.calcsize(head)
            for _ in range(many):
                kind = struct.unpack_from(order + "H", data, at + 2)[0]
                number = struct.unpack_from(order + word, data, at + 4)[0]
                size, place = SIZES.get(kind, 1), at + 4 + wide
                if size * number > wide:
                    place = struct.unpack_from(order + word, data, place)[0]
                yield Field((at, 2), (at + 2, 2), (at + 4, wide), (place, size), number)
                at += 4 + 2 * wide
            at = struct.unpack_from(order + word, data, at)[0]
    except struct.error:
        return


def mutant(seed: int, number: int, originals: Sequence[bytes]) -> tuple[int, str, bytes]:
    """One damaged file.

    Returns:
        Which original it comes from, the kinds of damage, and its bytes.
    """
    generator = np.random.default_rng((seed, number))
    which = int(generator.integers(len(originals)))
    data = bytearray(originals[which])
    kinds = generator.choice(list(DAMAGES), size=int(generator.choice([1, 1, 1, 2, 3])))
    for kind in kinds:
        DAMAGES[str(kind)](data, generator, originals)
    return which, "+".join(map(str, kinds)), bytes(data)


def _put(data: bytearray, at: int, size: int, value: int, *, little: bool) -> None:
    """Write a number over what stands there, as far as the file goes."""
    data[at : at + size] = (value % 256**size).to_bytes(size, "little" if little else "big")[
        : max(0, len(data) - at)
    ]


def _somewhere(data: bytearray, generator: np.random.Generator) -> int:
    return int(generator.integers(max(1, len(data))))


def _header(data: bytearray, generator: np.random.Generator, _: Sequence[bytes]) -> None:
    """Some of the first bytes are others."""
    for _time in range(int(generator.integers(1, 4))):
        at = int(generator.integers(min(len(data), 64) or 1))
        data[at : at + 1] = generator.bytes(1) if at < len(data) else b""


def _lie(data: bytearray, generator: np.random.Generator, _: Sequence[bytes]) -> None:
    """A directory's entry says something else."""
    found = list(fields(bytes(data)))
    if not found:
        _flip(data, generator, _)
        return
    chosen = found[int(generator.integers(len(found)))]
    name = generator.choice(["tag", "kind", "count", "values", "values", "values"])
    at, size = getattr(chosen, str(name))
    little = data[:2] == b"II"
    if name == "values":
        at += size * int(generator.integers(max(1, min(chosen.number, 10_000))))
    was = int.from_bytes(data[at : at + size], "little" if little else "big")
    near = was + int(generator.integers(-3, 4))
    value = int(generator.choice([*map(float, ODD), near, 2 * was])) if size > 1 else near
    _put(data, at, size, value, little=little)


def _cut(data: bytearray, generator: np.random.Generator, _: Sequence[bytes]) -> None:
    """The file ends early."""
    del data[_somewhere(data, generator) :]


def _flip(data: bytearray, generator: np.random.Generator, _: Sequence[bytes]) -> None:
    """Some bits are turned over."""
    for _time in range(int(generator.integers(1, 65)) if data else 0):
        data[_somewhere(data, generator)] ^= 1 << int(generator.integers(8))


def _splice(data: bytearray, generator: np.random.Generator, originals: Sequence[bytes]) -> None:
    """A block of another file stands in this one."""
    other = originals[int(generator.integers(len(originals)))]
    start, at = int(generator.integers(len(other))), _somewhere(data, generator)
    block = other[start : start + int(generator.integers(1, 4096))][: len(data) - at]
    data[at : at + len(block)] = block


def _blank(data: bytearray, generator: np.random.Generator, _: Sequence[bytes]) -> None:
    """A block is zeros."""
    at = _somewhere(data, generator)
    length = min(int(generator.integers(1, 4096)), len(data) - at)
    data[at : at + length] = bytes(length)


def _shift(data: bytearray, generator: np.random.Generator, _: Sequence[bytes]) -> None:
    """Bytes are lost or come in, and all that follows has moved."""
    at, length = _somewhere(data, generator), int(generator.integers(1, 64))
    if generator.integers(2):
        del data[at : at + length]
    else:
        data[at:at] = generator.bytes(length)


DAMAGES: dict[str, Callable[[bytearray, np.random.Generator, Sequence[bytes]], None]] = {
    "header": _header,
    "lie": _lie,
    "cut": _cut,
    "flip": _flip,
    "splice": _splice,
    "blank": _blank,
    "shift": _shift,
}
