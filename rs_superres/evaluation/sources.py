"""The sources of an evaluation: the clean one, and those that are spoiled in a known way."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

from rs_superres.config import ConsistencyConfig
from rs_superres.errors import InputError

FORM = (
    "expected noise=N above 0, jpeg=Q (whole, 1 to 100), sharpen=A above 0 or mtf=M (above 0 and "
    "below 1), each at most once in a source, with + in between, as in noise=8,mtf=0.25+noise=3"
)
"""What a list of spoiled sources looks like, for error messages."""

CLEAN = "clean"
"""The name of the source that is not spoiled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoiledSource:
    """How the low resolution is spoiled, in the order of a sensor and its processing."""

    mtf: float | None = None
    """Modulation transfer of a Gaussian kernel, which replaces the degradation's kernel."""
    noise: float | None = None
    """Standard deviation of white noise that is added, digital numbers."""
    sharpen: float | None = None
    """Amount of an unsharp mask."""
    jpeg: float | None = None
    """Quality of a JPEG compression."""

    @property
    def name(self) -> str:
        """The name in tables, such as ``mtf=0.25+noise=3``; ``clean`` if nothing is spoiled."""
        given = [(field.name, getattr(self, field.name)) for field in fields(self)]
        return "+".join(f"{name}={v:g}" for name, v in given if v is not None) or CLEAN

    @property
    def is_clean(self) -> bool:
        """Whether nothing is spoiled."""
        return self == SpoiledSource()

    def kernel(self, kernel: ConsistencyConfig) -> ConsistencyConfig:
        """Return the kernel that makes this source.

        Args:
            kernel: the kernel that makes the clean source.
        """
        return kernel if self.mtf is None else replace(kernel, kernel="gaussian", mtf=self.mtf)


_ACCEPTED: dict[str, Callable[[float], bool]] = {
    "mtf": lambda value: 0 < value < 1,
    "noise": lambda value: 0 < value < math.inf,
    "sharpen": lambda value: 0 < value < math.inf,
    "jpeg": lambda value: 1 <= value <= 100 and value == round(value),
}
"""The values that each kind of spoiling takes."""


def parse_sources(text: str) -> tuple[SpoiledSource, ...]:
    """Parse a list of spoiled sources such as ``noise=8,mtf=0.25+noise=3``.

    Returns:
        The sources in the order of the text, each once.

    Raises:
        InputError: the text lists something else.
    """
    return tuple(dict.fromkeys(_parse(part) for part in text.split(",")))


def _parse(text: str) -> SpoiledSource:
    """Parse one source.

    Raises:
        InputError: the text is something else.
    """
    values: dict[str, float] = {}
    for part in text.split("+"):
        name, _, number = (piece.strip() for piece in part.partition("="))
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if name in values or name not in _ACCEPTED or not _ACCEPTED[name](value):
            raise InputError(f"spoil={text!r}, {FORM}")
        values[name] = value
    return SpoiledSource(**values)
