"""What the tool sees in a raster, and what it would do with it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from rasterio.crs import CRS
from rasterio.errors import CRSError

from rs_superres import zoo
from rs_superres.errors import InputError, RasterError
from rs_superres.grid import Grid
from rs_superres.image.radiometry import PERCENTILES
from rs_superres.options import PixelOptions
from rs_superres.raster import Band, Description, inspect, open_source
from rs_superres.scene.bands import BandGroup, band_groups, decide


@dataclass(frozen=True, slots=True, kw_only=True)
class RasterReport:
    """A raster as the tool sees it."""

    description: Description
    groups: tuple[BandGroup, ...]
    """Bands that go through the network together; none where the raster is refused."""
    refusal: str | None
    """Why it is not super-resolved; None where it is."""

    def facts(self) -> dict[str, Any]:
        """All of it by name, plain values that JSON takes."""
        told = self.description
        return {
            "path": told.path,
            "driver": told.driver,
            "size": [told.grid.shape.width, told.grid.shape.height],
            "grid": grid_facts(told.grid),
            "control_points": len(told.control_points),
            "control_crs": None if told.control_crs is None else _crs_name(told.control_crs),
            "rational_polynomials": told.rational is not None,
            "bands": [self._band(i, band) for i, band in enumerate(told.bands)],
            "groups": [
                {
                    "bands": [i + 1 for i in group.bands],
                    "network": "jointly" if len(group.bands) > 1 else "singly",
                    "value_range": [group.value_range.low, group.value_range.high],
                    "rule": range_rule(told.bands[group.bands[0]]),
                }
                for group in self.groups
            ],
            "pages_not_read": list(told.pages),
            "options": _options(told.grid),
            "model": _model(),
            "refused": self.refusal,
        }

    def _band(self, index: int, band: Band) -> dict[str, Any]:
        """One band's facts."""
        members = [group.bands for group in self.groups if index in group.bands]
        through = "jointly" if members and len(members[0]) > 1 else "singly" if members else None
        return {
            "band": index + 1,
            "dtype": band.dtype,
            "description": band.description,
            "unit": band.unit,
            "interpretation": band.interpretation,
            "nodata": _number(band.nodata),
            "scale": band.scale,
            "offset": band.offset,
            "mask": mask_words(band, self.description.mask_flags[index]),
            "network": "alpha" if band.is_alpha and not self.refusal else through,
        }


def survey(path: str) -> RasterReport:
    """Look at a raster; a kind that is refused is described too.

    Raises:
        RasterError: it cannot be opened.
        InputError: it is a directory, or holds no bands of its own.
    """
    description, refusal = inspect(path)
    groups: tuple[BandGroup, ...] = ()
    if refusal is None:
        try:
            with open_source(path) as source:
                roles = decide(description, PixelOptions())
                groups = tuple(band_groups(roles, description.bands, list(source.samples()), None))
        except (InputError, RasterError) as error:
            refusal = str(error)
    return RasterReport(description=description, groups=groups, refusal=refusal)


def grid_facts(grid: Grid) -> dict[str, Any]:
    """Where a raster lies: the values are None where it does not say so."""
    facts: dict[str, Any] = {
        "crs": None if grid.crs is None else _crs_name(grid.crs),
        "crs_code": None if grid.crs is None else _crs_code(grid.crs),
        "unit": None if grid.crs is None else _crs_unit(grid.crs),
    }
    t = grid.transform
    if t is None:
        return facts | dict.fromkeys(
            ("transform", "corners", "pixel_size", "rotation", "sheared", "south_up")
        )
    width, height = grid.shape.width, grid.shape.height
    sizes = math.hypot(t.a, t.d), math.hypot(t.b, t.e)
    return facts | {
        "transform": list(t[:6]),
        "corners": {
            "upper_left": list(t @ (0, 0)),
            "upper_right": list(t @ (width, 0)),
            "lower_right": list(t @ (width, height)),
            "lower_left": list(t @ (0, height)),
        },
        "pixel_size": list(sizes),
        "rotation": math.degrees(math.atan2(t.d, t.a)),
        "sheared": abs(t.a * t.b + t.d * t.e) > 1e-9 * sizes[0] * sizes[1],
        "south_up": t.determinant > 0,
    }


def mask_words(band: Band, flags: tuple[str, ...]) -> str:
    """What a band's mask comes from, in words."""
    if "alpha" in flags:
        words = "none; the alpha band goes through as a band"
    elif "nodata" in flags and band.nodata is not None:
        words = f"nodata value {band.nodata:g}"
    elif "all_valid" in flags:
        words = "none"
    elif "per_dataset" in flags:
        words = "one mask for all bands, in the file or beside it"
    else:
        words = "a mask of its own"
    return f"{words}; what is not finite" if band.dtype.startswith("float") else words


def range_rule(band: Band) -> str:
    """Where a value range comes from when none is given, in words."""
    if band.dtype == "uint8":
        return "all values of uint8" if band.bits is None else f"all values of {band.bits} bits"
    low, high = PERCENTILES
    return f"percentiles {low:g} and {high:g} of sampled windows"


def _options(grid: Grid) -> list[str]:
    """The options of grid and place that a raster can be given."""
    mapped = grid.transform is not None and grid.crs is not None
    return (
        ["--scale", "--bounds", "--res", "--like", "--aoi"] if mapped else ["--scale", "--bounds"]
    )


def _model() -> dict[str, Any]:
    """The default model."""
    config = zoo.config_of(zoo.DEFAULT)
    return {
        "name": zoo.DEFAULT,
        "steps": config.steps,
        "scales": list(config.trained.scales),
    }


def _number(value: float | None) -> float | str | None:
    """A number that JSON can hold: NaN and the infinities as words."""
    return value if value is None or math.isfinite(value) else str(value)


def _crs_name(wkt: str) -> str:
    """The name of a CRS."""
    named = re.match(r'\w+\[\s*"([^"]*)"', wkt)
    return named[1] if named else "unnamed"


def _crs_code(wkt: str) -> str | None:
    """A CRS's authority and code; None where it has none."""
    try:
        authority = CRS.from_wkt(wkt).to_authority()
    except CRSError:
        return None
    return None if authority is None else ":".join(authority)


def _crs_unit(wkt: str) -> str | None:
    """The unit of a CRS's coordinates; None where it is unknown."""
    try:
        name: str = CRS.from_wkt(wkt).units_factor[0]
    except CRSError:
        return None
    return name
