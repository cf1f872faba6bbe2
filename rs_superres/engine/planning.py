"""What a run will do, decided before a pixel is computed: a result is a function of its plan."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from rs_superres.engine.extent import output_region
from rs_superres.engine.outputs import (
    check_disk,
    check_folder,
    check_name,
    check_replaced,
    disk_bytes,
    sizes_and_times,
)
from rs_superres.engine.pixels import PixelPlan, plan_pixels
from rs_superres.engine.store import published, scratch_of
from rs_superres.errors import InputError
from rs_superres.options import Options
from rs_superres.raster import (
    Band,
    Description,
    Paths,
    Target,
    check_creation,
    checksum,
    domain_names,
    keeps_domains,
    open_source,
)
from rs_superres.scene.bands import decide
from rs_superres.system.memory import memory

DRIVERS = {"cog": "COG", "gtiff": "GTiff"}
"""GDAL's drivers for the formats of a result."""

BLOCK_CACHE = 128 * 2**20
"""Upper limit of GDAL's block cache, in bytes: a row of cells of a scene stored in strips."""

SETTINGS_TAG = "SUPERRES_SETTINGS_SHA256"
"""The tag by which a result made with other settings is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(PixelPlan):
    """Everything that was decided about a run."""

    options: Options
    sources: tuple[str, ...]
    """Paths, or what else GDAL opens: ``/vsizip/...``, ``https://...``."""
    out: Path
    source_checksum: str

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

    @property
    def disk_bytes(self) -> int:
        """What the run writes at most: cells, the assembled raster, and the result."""
        cell = self.recipe.lattice.cell
        pixels = cell.height * cell.width * len(self.cells)
        needed = disk_bytes(self.description, self.window, cell_pixels=pixels)
        if self.options.uncertainty is not None:
            needed += disk_bytes(_spread_of(self.description), self.window, cell_pixels=pixels)
        return needed

    def settings(self) -> dict[str, Any]:
        """All that the result's pixels depend on, by name."""
        return {
            "source": self.source_checksum,
            "source file": sizes_and_times(self.description.files),
            **PixelPlan.settings(self),  # no super(): a dataclass with slots is made anew
        }

    @property
    def checksum(self) -> str:
        """SHA-256 of all that the result's file depends on: nothing of time, host or place."""
        settings = self.settings()
        del settings["source file"]
        settings["file"] = [self.options.format, *self.options.creation]
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()

    def tags(self) -> dict[str, str]:
        """The provenance that the result carries."""
        return {
            **PixelPlan.tags(self),
            "SUPERRES_SOURCE_SHA256": self.source_checksum,
            SETTINGS_TAG: self.checksum,
        }

    def notes(self) -> list[str]:
        """What of the source the result cannot hold."""
        bands, told = self.description.bands, list(self.description.notes)
        if len({repr(b.nodata) for b in bands if not b.is_alpha}) > 1:
            told.append(
                f"the bands' nodata values differ, a GeoTIFF holds one: {self.recipe.nodata:g}"
            )
        if self.options.format == "cog" and not keeps_domains(self.description):
            told.append(
                "GDAL's COG driver drops the tags of metadata domains or of bands, here those of "
                f"the domains {', '.join(domain_names(self.description))}; format='gtiff' keeps all"
            )
        if len(bands) > 1 and any(b.colours for b in bands):
            told.append("a GeoTIFF of several bands holds no colour table: it is left out")
        return told

    def target(self) -> Target:
        """What the result's file must say."""
        return Target(
            source=self.description,
            zoom=self.zoom,
            window=self.window,
            tags=self.tags(),
            masked=self.recipe.masked,
            nearest=bool(self.roles.nearest),
        )

    def spread_target(self) -> Target:
        """What the file of the samples' deviation must say."""
        tags = {
            "SUPERRES_CONTENT": f"standard deviation of {self.options.samples} samples",
            "SUPERRES_UNCERTAINTY_FACTOR": f"{self.model.config.sampler.uncertainty_factor:g}",
        }
        return replace(
            self.target(),
            source=_spread_of(self.description),
            tags={**self.tags(), **tags},
            masked=False,
        )


def _spread_of(description: Description) -> Description:
    """What the deviation of a result's samples says of itself: float32, in the same units."""
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
        description, bands=bands, dataset_mask=False, colour_profile={}, domains={}, tags={}
    )


def plan(source: Paths, out: str | Path, options: Options) -> Plan:
    """Decide everything about a run, reading no more than sampled windows.

    Args:
        source: one raster, or several on one grid whose bands are stacked in that order.
        out: the result's name.
        options: what is asked for.

    Raises:
        InputError: an option or a source that cannot be used.
        RasterError: the source cannot be read.
        ModelError: the model cannot be used.
    """
    sources = (source,) if isinstance(source, str | Path) else tuple(source)
    out = Path(out)
    names = _names(out, options)
    with open_source(sources) as whole:
        ours = published(scratch_of(out, options.scratch))
        for name in names:
            overwrite = options.overwrite or name.absolute() in ours
            check_replaced(name, whole.description.files, overwrite=overwrite)
        roles = decide(whole.description, options)
        opened = whole.selected(roles.selection)
        description = opened.description
        extent = output_region(description.grid, options)
        # Before the file is read: what claims 10^9 pixels a side may take days to be sampled.
        check_disk(out, disk_bytes(description, extent.window, cell_pixels=0))
        samples = list(opened.samples())
    design = plan_pixels(
        description, roles, extent, options, samples, uncertainty=options.uncertainty is not None
    )
    decided = Plan(
        **{f.name: getattr(design, f.name) for f in fields(PixelPlan)},
        sources=tuple(str(s) for s in sources),
        out=out,
        source_checksum=checksum(description, samples),
    )
    check_creation(decided.target(), driver=DRIVERS[options.format], options=options.creation)
    return decided


def _names(out: Path, options: Options) -> list[Path]:
    """All files that a run is to write.

    Raises:
        InputError: one cannot be written, or two are the same.
    """
    check_name(str(out))
    found = [out]
    if options.uncertainty is not None:
        check_name(str(options.uncertainty))
        found.append(options.uncertainty)
    if options.preview is not None:
        check_folder(options.preview)
        found.append(options.preview)
    if len({name.absolute() for name in found}) < len(found):
        raise InputError(
            f"the result, uncertainty= and preview= are {', '.join(map(str, found))}, expected "
            "different names"
        )
    return found
