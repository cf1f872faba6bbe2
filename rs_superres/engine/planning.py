"""The plan of a run from files to a file: everything that is decided before a pixel is computed."""

from __future__ import annotations

import hashlib
import json
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rs_superres.engine.outputs import (
    OVERVIEWS,
    PREVIEW,
    check_disk,
    check_name,
    check_raster_replaced,
    file_system,
    pixel_bytes,
    result_path,
    sizes_and_times,
    stored_pixels,
)
from rs_superres.engine.pixels import PixelPlan, plan_pixels
from rs_superres.engine.region import output_region
from rs_superres.engine.store import published, scratch_of
from rs_superres.errors import InputError
from rs_superres.grid import Cells, Window
from rs_superres.options import Options
from rs_superres.raster import (
    Band,
    Description,
    Paths,
    Source,
    Target,
    check_creation,
    checksum,
    domain_names,
    keeps_domains,
    open_source,
)
from rs_superres.scene.advice import colour_note, drone_note, wrapped_note
from rs_superres.scene.bands import decide, loses_colours
from rs_superres.scene.recipe import CellRecipe
from rs_superres.system.memory import memory
from rs_superres.system.names import check_folder

DRIVERS = {"cog": "COG", "gtiff": "GTiff"}
"""GDAL's drivers for the formats of a result."""

BLOCK_CACHE = 128 * 2**20
"""Upper limit of GDAL's block cache, in bytes: a row of cells of a scene stored in strips."""

SETTINGS_TAG = "SUPERRES_SETTINGS_SHA256"
"""The tag that identifies the settings of a result: a result made with others has another value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that a run from files to a file does, decided before a pixel is computed."""

    options: Options
    """The options of the run, as given."""
    pixels: PixelPlan
    """Everything that decides the pixels of the result."""
    sources: tuple[str, ...]
    """Paths, or other names that GDAL opens: ``/vsizip/...``, ``https://...``."""
    out: Path
    """The name of the result."""
    wrapped: str | None = None
    """What a user should know about values near the end of the source's dtype; None if nothing."""
    source_checksum: str
    """SHA-256 of the source's header and sampled windows, hexadecimal."""

    @property
    def recipe(self) -> CellRecipe:
        """Everything that decides the pixels of a cell, apart from the source's pixels."""
        return self.pixels.recipe

    @property
    def window(self) -> Window:
        """The part of the output grid that is written, output pixels."""
        return self.pixels.window

    @property
    def cells(self) -> Cells | tuple[Window, ...]:
        """The lattice cells that make up the result."""
        return self.pixels.cells

    def open_source(self) -> AbstractContextManager[Source]:
        """Open the bands of the source that the result is computed from."""
        return open_source(self.sources, self.pixels.roles.selection)

    @property
    def item(self) -> Path | None:
        """The name of the result's STAC item; None if none is written."""
        return self.out.with_suffix(".json") if self.options.stac else None

    @property
    def scratch(self) -> Path:
        """The folder of finished cells."""
        return scratch_of(self.out, self.options.scratch)

    @property
    def memory_limit(self) -> int:
        """Bytes of memory that the process may use."""
        return memory() // 2 if self.options.memory is None else self.options.memory

    @property
    def block_cache(self) -> int:
        """Size limit of GDAL's block cache, in bytes."""
        return min(self.memory_limit // 16, BLOCK_CACHE)

    def disk_needs(self) -> dict[Path, int]:
        """Return upper limits of the bytes that the run writes, a folder for each file system.

        Cells and result are written in the scratch folder. The result is then renamed, or copied if
        its folder lies on another file system.

        Raises:
            OSError: a folder cannot be examined.
        """
        cell, needs = self.recipe.lattice.cell, {self.scratch: 0}
        cell_pixels = cell.height * cell.width * len(self.cells)
        description, stored = self.pixels.description, stored_pixels(self.window)
        pixels = [(self.out, pixel_bytes(description, masked=self.recipe.masked))]
        if self.options.uncertainty is not None:
            std = _std_description(description)
            pixels.append((self.options.uncertainty, pixel_bytes(std, masked=False)))
        outputs = [(out, int(size * stored * (1 + OVERVIEWS))) for out, size in pixels]
        if self.options.preview is not None:
            needs[self.scratch] += PREVIEW
            outputs.append((self.options.preview, PREVIEW))
        for _, size in pixels:
            needs[self.scratch] += size * cell_pixels + _raster_bytes(size, stored)
        for out, size in outputs:
            there = file_system(out.parent)
            folder = next((f for f in needs if file_system(f) == there), out.parent)
            if folder != self.scratch:
                needs[folder] = needs.get(folder, 0) + size
        return needs

    @property
    def disk_bytes(self) -> int:
        """Upper limit of what the run writes, in bytes: cells and result."""
        return sum(self.disk_needs().values())

    def settings(self) -> dict[str, Any]:
        """Return, by name, everything that the result's pixels depend on."""
        return {
            "source": self.source_checksum,
            "source file": sizes_and_times(self.pixels.description.files),
            **self.pixels.settings(),
        }

    @property
    def checksum(self) -> str:
        """SHA-256 of everything that the result's file depends on; time and place are not."""
        settings = self.settings()
        del settings["source file"]
        settings["file"] = [self.options.format, *self.options.creation]
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()

    def tags(self) -> dict[str, str]:
        """Return the provenance tags of the result."""
        return {
            **self.pixels.tags(),
            "SUPERRES_SOURCE_SHA256": self.source_checksum,
            SETTINGS_TAG: self.checksum,
        }

    def warnings(self) -> list[str]:
        """Return what a user should know before using the result."""
        wrapped = [] if self.wrapped is None else [self.wrapped]
        return [*self.pixels.warnings(), *wrapped, *self.colour_warnings()]

    def colour_warnings(self) -> list[str]:
        """Return a warning if the bands hold colours, but too many for the network to use them."""
        bands, count = self.pixels.description.bands, len(self.sources)
        if self.options.rgb or not loses_colours(bands, self.pixels.roles):
            return []
        fact = (
            f"several of the {len(bands)} bands are marked as red, green or blue: each band is "
            "sharpened alone, without colours; "
        )
        if count == 1:
            return [f"{fact}choose three bands with rgb="]
        series = f"rs-sr batch upscales each of the {count} files to its own result"
        return [f"{fact}{series}, or choose three bands with rgb="]

    def notes(self) -> list[str]:
        """Return what a user may want to do otherwise, and what is lost, a sentence each."""
        source = self.pixels.description
        notes = [*source.notes, *filter(None, [self.pixels.understood])]
        if len({repr(b.nodata) for b in source.bands if not b.is_alpha}) > 1:
            notes.append(
                f"the bands' nodata values differ, a GeoTIFF holds one: {self.recipe.nodata:g}"
            )
        if self.options.format == "cog" and not keeps_domains(source):
            notes.append(
                "GDAL's COG driver drops the tags of metadata domains or of bands, here those of "
                f"the domains {', '.join(domain_names(source))}; format='gtiff' keeps all"
            )
        if not self.options.rgb:
            sensor = self.options.sensor_of(source.sensor)
            note = colour_note(source.bands, self.pixels.roles, sensor)
            notes += [] if note is None else [note]
        if self.options.mtf is None and self.options.sensor is None:
            drone = drone_note(source.tags)
            notes += [] if drone is None else [drone]
        if len(source.bands) > 1 and any(b.colours for b in source.bands):
            notes.append("a GeoTIFF of several bands holds no colour table: it is left out")
        if self.options.format == "cog" and source.min_is_white:
            notes.append(
                "white is the smallest value in the source (MINISWHITE), which a COG cannot say: "
                "viewers show the result inverted; format='gtiff' keeps it"
            )
        pairs = zip(self._bands(), source.bands, strict=True)
        lost = [str(i) for i, (b, old) in enumerate(pairs, 1) if b.classes != old.classes]
        if lost:
            notes.append(
                f"the category names or the attribute table of band {', '.join(lost)} fit only "
                "values that are not interpolated, so they are left out; nearest= keeps them"
            )
        return notes

    def _bands(self) -> tuple[Band, ...]:
        """Return the bands of the result: interpolated ones have no names of classes."""
        bands, nearest = self.pixels.description.bands, self.pixels.roles.nearest
        return tuple(b if i in nearest else replace(b, classes="") for i, b in enumerate(bands))

    def target(self) -> Target:
        """Return what the file of the result declares."""
        return Target(
            source=replace(self.pixels.description, bands=self._bands()),
            zoom=self.pixels.zoom,
            window=self.window,
            tags=self.tags(),
            masked=self.recipe.masked,
            nearest=bool(self.pixels.roles.nearest),
        )

    def std_target(self) -> Target:
        """Return what the file of the expected error declares."""
        config = self.pixels.model.config
        factor = config.sampler.uncertainty_factor
        content = f"standard deviation of {self.options.samples} samples"
        if config.predicts_error:
            content = "predicted standard deviation of the neural operator's error"
        tags = {
            "SUPERRES_CONTENT": content,
            "SUPERRES_UNCERTAINTY_FACTOR": f"{factor:g}",
        }
        return replace(
            self.target(),
            source=_std_description(self.pixels.description),
            tags={**self.tags(), **tags},
            masked=False,
        )


def _raster_bytes(size: int, pixels: int) -> int:
    """Return an upper limit for the bytes of a result, and of GDAL's temporary overviews.

    The overviews count twice: GDAL writes them to a separate file before it copies them.

    Args:
        size: bytes of a pixel.
        pixels: how many are stored; see :func:`stored_pixels`.
    """
    return int(size * pixels * (1 + 2 * OVERVIEWS))


def _std_description(description: Description) -> Description:
    """Describe the standard deviation of a result's samples: float32, in the same units."""
    bands = tuple(
        Band(
            dtype="float32",
            nodata=float("nan"),
            description=band.description,
            unit=band.unit,
            scale=band.scale,
        )
        for band in description.bands
    )
    return replace(
        description,
        bands=bands,
        dataset_mask=False,
        colour_profile={},
        domains={},
        tags={},
        min_is_white=False,
    )


def plan(source: Paths, out: str | Path, options: Options) -> Plan:
    """Plan a run; of the source's pixels, only sampled windows are read.

    Args:
        source: one raster, or several on one grid whose bands are stacked in that order.
        out: the name of the result, or the folder for it; see :func:`result_path`.
        options: the options of the run.

    Raises:
        InputError: an option or a source that cannot be used.
        RasterError: the source cannot be read.
        ModelError: the model cannot be used.
    """
    sources = (source,) if isinstance(source, str | Path) else tuple(source)
    out = result_path(out, sources)
    names, scratch = _output_names(out, options), scratch_of(out, options.scratch)
    with open_source(sources) as all_bands:
        unfinished = published(scratch)
        for name in names:
            overwrite = options.overwrite or name.absolute() in unfinished
            check_raster_replaced(name, all_bands.description.files, overwrite=overwrite)
        roles = decide(all_bands.description, options)
        opened = all_bands.selected(roles.selection)
        description = opened.description
        region = output_region(description.grid, options)
        if not scratch.is_dir():  # an interrupted run passed this check; `run` looks more closely
            # Before the file is sampled: one that claims 10^9 pixels a side may take days to read.
            size = pixel_bytes(description, masked=False)
            check_disk(scratch, _raster_bytes(size, stored_pixels(region.window)), out)
        samples = list(opened.samples())
    uncertainty = options.uncertainty is not None
    run_plan = Plan(
        options=options,
        pixels=plan_pixels(description, roles, region, options, samples, uncertainty=uncertainty),
        sources=tuple(str(s) for s in sources),
        out=out,
        source_checksum=checksum(description, samples),
        wrapped=wrapped_note(description.bands, samples),
    )
    check_creation(run_plan.target(), driver=DRIVERS[options.format], options=options.creation)
    return run_plan


def _output_names(out: Path, options: Options) -> list[Path]:
    """Return the names of all files that a run writes.

    Raises:
        InputError: one of them cannot be written, or two are the same.
    """
    check_name(str(out))
    names = [out]
    if options.uncertainty is not None:
        check_name(str(options.uncertainty))
        names.append(options.uncertainty)
    if options.preview is not None:
        check_folder(options.preview)
        names.append(options.preview)
    if options.stac:
        names.append(out.with_suffix(".json"))
    if len({name.absolute() for name in names}) < len(names):
        raise InputError(
            f"the result, uncertainty=, preview= and stac= are {', '.join(map(str, names))}, "
            "expected different names"
        )
    return names
