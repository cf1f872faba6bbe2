"""Build the command lines of rs-sr."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .errors import PluginError

SENSORS = (
    "sentinel-2",
    "landsat-8",
    "quickbird",
    "ikonos",
    "geoeye-1",
    "worldview-2",
    "worldview-3",
)
"""The sensors that ``rs-sr upscale --sensor`` knows."""


@dataclass(frozen=True)
class Options:
    """The options that ``rs-sr upscale`` and ``rs-sr batch`` share."""

    scale: float | None = None
    """Scale factor; not used if there is a pixel size or a reference."""
    resolution: float | None = None
    """Pixel size of the result, in units of the source's CRS."""
    like: str = ""
    """A raster whose grid the result gets."""
    measure: bool = False
    """Whether to draw no texture."""
    texture: float | None = None
    """Strength of the texture, 0 to 1; None for the model's."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """Values by flag, such as ``{"--sensor": "sentinel-2"}``; empty ones are left out."""
    switches: Mapping[str, bool] = field(default_factory=dict)
    """Flags without a value, and whether to give them."""
    more: str = ""
    """Further options, as one types them."""

    def check(self) -> None:
        """Refuse options that contradict each other.

        Raises:
            PluginError: They do.
        """
        self.words()

    def words(self) -> list[str]:
        """Return the options as words of a command line."""
        words = [*self._target(), *self._mode()]
        for flag, value in self.texts.items():
            if value.strip():
                words += [flag, value.strip()]
        words += [flag for flag, given in self.switches.items() if given]
        return [*words, *split(self.more)]

    def _target(self) -> list[str]:
        """Return the option that sets the result's grid."""
        if self.resolution is not None and self.like:
            raise PluginError(
                "a pixel size and a reference raster are given: the reference has a pixel size of "
                "its own, so clear one of them"
            )
        if self.like:
            return ["--like", self.like]
        if self.resolution is not None:
            return ["--res", number(self.resolution)]
        if self.scale is not None:
            return ["--scale", number(self.scale)]
        raise PluginError(
            "no size is given: set a scale factor, a pixel size or a reference raster"
        )

    def _mode(self) -> list[str]:
        """Return the options that say how much texture is drawn."""
        if self.measure and self.texture:
            raise PluginError(
                f"a texture strength of {number(self.texture)} is given with the mode for "
                "measuring, which draws none: clear it, or choose the other mode"
            )
        if self.measure:
            return ["--steps", "0"]
        return [] if self.texture is None else ["--texture", number(self.texture)]


def upscale(
    options: Options,
    source: str,
    out: str,
    *,
    bounds: Sequence[float] | None = None,
    aoi: str = "",
    uncertainty: str = "",
) -> list[str]:
    """Return the arguments of ``rs-sr upscale``.

    Args:
        options: What to do.
        source: The source, anything that GDAL opens.
        out: The result's file.
        bounds: Left, bottom, right and top in the source's CRS; None for all of it.
        aoi: A file with polygons, ``FILE|layer=NAME``.
        uncertainty: The file of the expected errors.
    """
    # Files come last: what a user typed as more options must not change where the result goes.
    words = ["upscale", *options.words()]
    if bounds is not None:
        words += ["--bounds", *map(number, bounds)]
    for flag, path in (("--aoi", aoi), ("--uncertainty", uncertainty)):
        if path:
            words += [flag, path]
    return [*words, "-o", out, "--", source]


def batch(options: Options, folder: str, out: str, *, report: str = "") -> list[str]:
    """Return the arguments of ``rs-sr batch``.

    Args:
        options: What to do with each raster.
        folder: The folder of the rasters.
        out: The folder of the results.
        report: The file of a report.
    """
    words = ["batch", *options.words(), *(["--report", report] if report else [])]
    return [*words, "--json", "-o", out, "--", folder]


def verify(out: str, source: str, *, bands: str = "") -> list[str]:
    """Return the arguments of ``rs-sr verify``.

    Args:
        out: The result.
        source: The raster that it was made from.
        bands: The bands of the source that the result holds.
    """
    chosen = ["--bands", bands.strip()] if bands.strip() else []
    return ["verify", "--json", *chosen, "--", out, source]


def info(source: str, *, as_json: bool) -> list[str]:
    """Return the arguments of ``rs-sr info``."""
    return ["info", *(["--json"] if as_json else []), "--", source]


def shown(words: Sequence[str]) -> str:
    """Return a command line as one would type it."""
    return " ".join(["rs-sr", *map(shlex.quote, words)])


def split(text: str) -> list[str]:
    """Split options that a user typed into words.

    Quotes join words. A backslash is an ordinary character, because paths of Windows have it.

    Raises:
        PluginError: A quote is not closed.
    """
    lexer = shlex.shlex(text, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.escape, lexer.commenters = True, "", ""
    try:
        return list(lexer)
    except ValueError as error:
        raise PluginError(f"more options are {text!r}, in which a quote is not closed") from error


def number(value: float) -> str:
    """Write a number without rounding it, and without ``.0``."""
    return repr(float(value)).removesuffix(".0")
