"""Describe a raster and how it would be super-resolved, for ``rs-sr info``."""

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
from rs_superres.image.radiometry import PERCENTILES, ValueRange
from rs_superres.options import PixelOptions
from rs_superres.raster import Band, Description, Product, crs_code, inspect, open_source
from rs_superres.scene.advice import colour_note, drone_note, pixel_size_warning, wrapped_note
from rs_superres.scene.bands import BandGroup, band_groups, decide
from rs_superres.scene.quality import QualityRule, estimator_of


@dataclass(frozen=True, slots=True, kw_only=True)
class RasterReport:
    """A raster, and how it would be super-resolved by default."""

    description: Description
    """Everything that the raster's file says, except pixels."""
    groups: tuple[BandGroup, ...]
    """Bands that go through the network together; empty if the raster is refused."""
    refusal: str | None
    """Why the raster cannot be super-resolved; None if it can."""
    numbers: tuple[int, ...] = ()
    """The number in the source of each band, as options take it; empty if all are described."""
    hint: str | None = None
    """What the names of the bands say of their colours, or how to tell; None if nothing."""
    wrapped: str | None = None
    """What is odd about values near the end of the dtype; None if nothing."""

    def facts(self) -> dict[str, Any]:
        """The report as plain values by name, ready for JSON."""
        description = self.description
        return {
            "path": description.path,
            "driver": description.driver,
            "size": [description.grid.shape.width, description.grid.shape.height],
            "grid": grid_facts(description.grid),
            "control_points": len(description.control_points),
            "control_crs": (
                None if description.control_crs is None else _crs_name(description.control_crs)
            ),
            "rational_polynomials": description.rational is not None,
            "bands": [self._band(i, band) for i, band in enumerate(description.bands)],
            "groups": [
                {
                    "bands": [self._number(i) for i in group.bands],
                    "network": "jointly" if len(group.bands) > 1 else "singly",
                    "value_range": [group.value_range.low, group.value_range.high],
                    "rule": range_rule(description.bands[group.bands[0]], group.value_range),
                    "mtf": group.mtf,
                    "noise": group.noise,
                }
                for group in self.groups
            ],
            "pages_not_read": list(description.pages),
            "product": None if description.product is None else self._product(description.product),
            "warnings": self._warnings(),
            "hints": list(filter(None, [self.hint, drone_note(self.description.tags)])),
            "options": _options(description.grid),
            "model": _model(),
            "refused": self.refusal,
        }

    def _product(self, product: Product) -> dict[str, Any]:
        """Facts about the product that the raster is."""
        names = [band.description or "?" for band in self.description.bands]
        others = [band.name for band in product.bands if band.name not in names]
        return {
            "understood": product.words(names),
            "sensor": product.sensor,
            "other_bands": others,
            "tags": dict(product.tags),
        }

    def _warnings(self) -> list[str]:
        """Return what a user should know before upscaling with the default model."""
        if self.refusal is not None:
            return []
        trained = zoo.config_of(zoo.DEFAULT).trained
        warning = pixel_size_warning(self.description.grid, zoo.DEFAULT, trained)
        return [text for text in (warning, self.wrapped) if text is not None]

    def _number(self, index: int) -> int:
        """The number in the source of a band, by its index here."""
        return self.numbers[index] if self.numbers else index + 1

    def _band(self, index: int, band: Band) -> dict[str, Any]:
        """Facts about one band, by its index."""
        sizes = [len(group.bands) for group in self.groups if index in group.bands]
        network = ("jointly" if sizes[0] > 1 else "singly") if sizes else None
        return {
            "band": self._number(index),
            "dtype": band.dtype,
            "description": band.description,
            "unit": band.unit,
            "interpretation": band.interpretation,
            "nodata": _number(band.nodata),
            "scale": band.scale,
            "offset": band.offset,
            "mask": mask_words(band, self.description.mask_flags[index]),
            "network": network if self.refusal else _without_network(band) or network,
        }


def survey(path: str) -> RasterReport:
    """Describe a raster, even one that cannot be super-resolved.

    Args:
        path: a path, or anything else that GDAL opens.

    Raises:
        RasterError: the raster cannot be opened.
        InputError: the path is a directory, or the file has no bands at the top level.
    """
    description, refusal = inspect(path)
    groups: tuple[BandGroup, ...] = ()
    hint = wrapped = None
    numbers: tuple[int, ...] = ()
    if refusal is None:
        try:
            with open_source(path) as source:
                roles = decide(description, PixelOptions())
                chosen = source.selected(roles.selection)
                description, numbers = chosen.description, roles.selection.bands
                hint = colour_note(description.bands, roles, description.sensor)
                samples = list(chosen.samples())
                wrapped = wrapped_note(description.bands, samples)
                groups = _quality(description.sensor).apply(
                    band_groups(roles, description.bands, samples, None), description.bands, samples
                )
        except (InputError, RasterError) as error:
            refusal = str(error)
    return RasterReport(
        description=description,
        groups=groups,
        refusal=refusal,
        numbers=numbers,
        hint=hint,
        wrapped=wrapped,
    )


def grid_facts(grid: Grid) -> dict[str, Any]:
    """Where a raster lies, as plain values by name; None for what its file does not say.

    Args:
        grid: the raster's grid.
    """
    facts: dict[str, Any] = {
        "crs": None if grid.crs is None else _crs_name(grid.crs),
        "crs_code": crs_code(grid.crs),
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
    """Say in words what marks a band's invalid pixels.

    Args:
        band: the band.
        flags: rasterio's names of the band's mask flags.
    """
    if "alpha" in flags:
        words = "none but the alpha band"
    elif "nodata" in flags and band.nodata is not None:
        words = f"nodata value {band.nodata:g}"
    elif "all_valid" in flags:
        words = "none"
    elif "per_dataset" in flags:
        words = "one mask for all bands, in the file or in a .msk file"
    else:
        words = "a mask of this band"
    if not band.dtype.startswith("float"):
        return words
    more = "NaN and infinite values"
    return more if words == "none" else f"{words}; {more}"


def range_rule(band: Band, value_range: ValueRange) -> str:
    """Say in words how a band's value range is found if the caller gives none.

    Args:
        band: the band.
        value_range: its value range.
    """
    if band.dtype == "uint8":
        return "all values of uint8" if band.bits is None else f"all values of {band.bits} bits"
    low, high = PERCENTILES
    rule = f"percentiles {low:g} and {high:g} of sampled windows"
    return (
        f"{rule}, of values that differ: nearly all are the same" if value_range.widened else rule
    )


def _without_network(band: Band) -> str | None:
    """Say how a band is resampled that does not go through the network; None if it does."""
    if band.is_alpha:
        return "alpha"
    return "nearest" if band.nearest else None


def _options(grid: Grid) -> list[str]:
    """The options of the output grid that a raster can be upscaled with, as keywords."""
    options = ["scale=", "bounds="]
    if grid.transform is not None and grid.crs is not None:
        options += ["resolution=", "like=", "aoi="]
    return options


def _quality(sensor: str | None) -> QualityRule:
    """How the default model estimates the blur and noise of a source, if it can.

    The blur of a known sensor depends on the scale, so it is not said here.
    """
    if sensor is not None or not zoo.config_of(zoo.DEFAULT).encoder.source_aware:
        return QualityRule()
    return QualityRule(estimator=estimator_of(zoo.load(zoo.DEFAULT).network))


def _model() -> dict[str, Any]:
    """Facts about the default model."""
    config = zoo.config_of(zoo.DEFAULT)
    return {
        "name": zoo.DEFAULT,
        "steps": config.steps,
        "scales": list(config.trained.scales),
    }


def _number(value: float | None) -> float | str | None:
    """A number for JSON, which cannot hold NaN and infinity: they become words."""
    return value if value is None or math.isfinite(value) else str(value)


def _crs_name(wkt: str) -> str:
    """The name of a CRS."""
    match = re.match(r'\w+\[\s*"([^"]*)"', wkt)
    return match[1] if match else "unnamed"


def _crs_unit(wkt: str) -> str | None:
    """The unit of a CRS's coordinates; None if it is unknown."""
    try:
        name: str = CRS.from_wkt(wkt).units_factor[0]
    except CRSError:
        return None
    return name
