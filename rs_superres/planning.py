"""What a run will do, decided before a pixel is computed: a result is a function of its plan."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rs_superres import __version__, zoo
from rs_superres.area import Area, read_area
from rs_superres.consistency import surroundings
from rs_superres.errors import InputError
from rs_superres.grid import Grid, Window, Zoom
from rs_superres.groups import band_groups
from rs_superres.inference import Manner, Precision, prepare, resolve_device, resolve_precision
from rs_superres.machine import check_memory, memory
from rs_superres.outputs import (
    check_disk,
    check_folder,
    check_name,
    check_replaced,
    disk_bytes,
    sizes_and_times,
)
from rs_superres.place import pixel_size
from rs_superres.raster import (
    Band,
    Description,
    Paths,
    Sampled,
    Target,
    check_creation,
    checksum,
    domain_names,
    keeps_domains,
    open_source,
    read_grid,
    same_crs,
)
from rs_superres.roles import Roles, Wish, decide
from rs_superres.scene import Recipe
from rs_superres.store import published, scratch_of
from rs_superres.tiles import Cells, Lattice

Format = Literal["cog", "gtiff"]
"""What a result is written as."""

DRIVERS = {"cog": "COG", "gtiff": "GTiff"}
"""GDAL's names of the formats."""

SETTINGS_TAG = "SUPERRES_SETTINGS_SHA256"
"""The tag by which a result made with other settings is told."""

BLOCK_CACHE = 128 * 2**20
"""Bytes that GDAL keeps of blocks at most: a row of cells of a scene stored in strips."""

FAR = 2.0
"""How many times beyond a model's training a pixel size may lie without a warning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a caller asks for; one of ``scale``, ``resolution`` and ``like``."""

    scale: str | float | None = None
    """Magnification, as the decimal that was written."""
    resolution: tuple[float, float] | None = None
    """Pixel size (x, y) in units of the CRS."""
    like: Path | None = None
    """A raster whose grid is taken."""
    bounds: tuple[float, float, float, float] | None = None
    """Left, bottom, right, top of the part that is wanted."""
    aoi: Path | None = None
    """A GeoJSON file; only what lies inside its polygons is wanted."""
    model: str | zoo.Model = zoo.DEFAULT
    """A shipped model's name, a model folder, or a model as it was loaded."""
    steps: int | None = None
    """Evaluations of the denoiser; 0 for the prior alone, None for the model's own number."""
    seed: int = 0
    """Names the noise field."""
    samples: int = 1
    """Results that are drawn and averaged."""
    uncertainty: Path | None = None
    """Where their standard deviation is written; nowhere where None."""
    preview: Path | None = None
    """Where a picture of before and after is written; nowhere where None."""
    consistency: bool = True
    """Whether the result, brought back to the source's grid, shall equal the source."""
    bands: Wish = field(default_factory=Wish)
    """Which bands of the source are written, and how each is carried."""
    value_range: tuple[float, float] | None = None
    """Digital numbers that map to the network's -1 and 1."""
    device: str = "auto"
    precision: Precision = "auto"
    format: Format = "cog"
    creation: Sequence[str] = ()
    """Further GDAL creation options, KEY=VALUE."""
    overwrite: bool = False
    """Whether a file under the result's name may be replaced."""
    resume: bool = True
    """Whether finished cells of an earlier run are used."""
    scratch: Path | None = None
    """Folder for finished cells; beside the result where None."""
    memory: int | None = None
    """Bytes that the process may take; half of the machine's where None. Changes no pixel."""

    @property
    def memory_limit(self) -> int:
        """Bytes that the process may take."""
        return memory() // 2 if self.memory is None else self.memory

    @property
    def block_cache(self) -> int:
        """Bytes that GDAL may keep of blocks of rasters."""
        return min(self.memory_limit // 16, BLOCK_CACHE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """What was decided about pixels, wherever they come from and go to."""

    options: Options
    description: Description
    """Of the source as it is read: its bands are those of the result."""
    roles: Roles
    window: Window
    """The part of the output grid that is written."""
    cells: Cells | tuple[Window, ...]
    """The lattice cells that the window, or the area of interest, meets."""
    recipe: Recipe = field(repr=False)
    model: zoo.Model = field(repr=False)
    steps: int
    precision: str
    device: str

    @property
    def zoom(self) -> Zoom:
        """How the grids of source and output lie."""
        return self.recipe.zoom

    @property
    def needs_ranges(self) -> bool:
        """Whether value ranges, and with them the recipe's groups, are still to be found."""
        return not self.recipe.groups and bool(self.roles.triplet or self.roles.single)

    def settings(self) -> dict[str, Any]:
        """All that the result's pixels depend on but the source's, by name."""
        return {
            "grid": repr((self.zoom.rows, self.zoom.columns, self.recipe.lattice)),
            "window": asdict(self.window),
            "area": None if self.recipe.area is None else self.recipe.area.checksum,
            "model": f"{self.model.checksum} {self.model.config}",
            "steps": self.steps,
            "seed": self.options.seed,
            "samples": self.options.samples,
            "consistency": repr(self.recipe.consistency),
            "spread": self.recipe.spread,
            "precision": self.precision,
            "device": self.device.split(":")[0],
            "band roles": repr(self.roles),
            "value range": [asdict(g.value_range) for g in self.recipe.groups],
            "version": __version__,
        }

    def tags(self) -> dict[str, str]:
        """The provenance that the result carries."""
        made, warnings = "neural-operator prior", self.warnings()
        if self.steps:
            made += " and diffusion; contains synthetic detail"
        ranges, consistency = [g.value_range for g in self.recipe.groups], self.recipe.consistency
        return {
            "SUPERRES_METHOD": f"rs-sr NeurOp-Diff: {made}",
            "SUPERRES_VERSION": __version__,
            "SUPERRES_MODEL": self.model.name,
            "SUPERRES_MODEL_SHA256": self.model.checksum,
            "SUPERRES_SCALE": f"{self.zoom.scale:.12g}",
            "SUPERRES_STEPS": str(self.steps),
            "SUPERRES_SEED": str(self.options.seed),
            "SUPERRES_SAMPLES": str(self.options.samples),
            "SUPERRES_CONSISTENCY": "off" if consistency is None else consistency.words(),
            "SUPERRES_PRECISION": self.precision,
            "SUPERRES_LATTICE": self._lattice_words(),
            **({"SUPERRES_WARNING": "; ".join(warnings)} if warnings else {}),
            "SUPERRES_BANDS": str(self.roles),
            "SUPERRES_VALUE_RANGE": "; ".join(f"{r.low:.10g},{r.high:.10g}" for r in ranges),
        }

    def _lattice_words(self) -> str:
        """The cells' size, and the result's first column and row that begin one."""
        cell, window = self.recipe.lattice.cell, self.window
        across, down = -window.column % cell.width, -window.row % cell.height
        return f"{cell.width} x {cell.height} from {across}, {down}"

    def warnings(self) -> list[str]:
        """What a user should know before the result is used."""
        trained, told = self.model.config.trained, []
        low, high = trained.scales
        if not low <= self.zoom.scale <= high:
            told.append(
                f"the scale is {self.zoom.scale:.4g}, the model {self.model.name} was trained at "
                f"{low:g} to {high:g}"
            )
        found = pixel_size(self.description.grid)
        if trained.pixel_size is not None and found is not None:
            low, high = trained.pixel_size
            if not low / FAR <= found <= high * FAR:
                told.append(
                    f"the source's pixels are {found:.3g} m, those of the model "
                    f"{self.model.name}'s training {low:.3g} to {high:.3g} m: expect less detail, "
                    "or tune a model to this sensor (rs-sr train)"
                )
        return told


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Design):
    """Everything that was decided about a run."""

    sources: tuple[str, ...]
    """Paths, or what else GDAL opens: ``/vsizip/...``, ``https://...``."""
    out: Path
    source_checksum: str

    @property
    def scratch(self) -> Path:
        """The folder of finished cells."""
        return scratch_of(self.out, self.options.scratch)

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
            **Design.settings(self),  # no super(): a dataclass with slots is made anew
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
            **Design.tags(self),
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
                f"the domains {', '.join(domain_names(self.description))}; --format gtiff keeps all"
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
            "SUPERRES_SPREAD_FACTOR": f"{self.model.config.sampler.spread:g}",
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
        roles = decide(whole.description, options.bands)
        opened = whole.selected(roles.selection)
        description = opened.description
        place = placed(description.grid, options)
        # Before the file is read: what claims 10^9 pixels a side may take days to be sampled.
        check_disk(out, disk_bytes(description, place.window, cell_pixels=0))
        samples = list(opened.samples())
    design = designed(description, roles, place, options, samples)
    decided = Plan(
        **{f.name: getattr(design, f.name) for f in fields(Design)},
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
    if options.format not in DRIVERS:
        raise InputError(f"format {options.format!r}, expected one of {', '.join(DRIVERS)}")
    found = [out]
    if options.uncertainty is not None:
        check_name(str(options.uncertainty))
        found.append(options.uncertainty)
    if options.preview is not None:
        check_folder(options.preview)
        found.append(options.preview)
    if len({name.absolute() for name in found}) < len(found):
        raise InputError(
            f"the result, --uncertainty and --preview are {', '.join(map(str, found))}, expected "
            "different names"
        )
    return found


@dataclass(frozen=True, slots=True)
class Place:
    """Where a result lies."""

    zoom: Zoom
    area: Area | None
    window: Window
    """The part of the output grid that is written."""


def placed(grid: Grid, options: Options) -> Place:
    """Where the result of a source on a grid shall lie.

    Raises:
        InputError: the options ask for no grid, or for a part that is not there.
        RasterError: a file that they name cannot be read.
    """
    zoom = _zoom(grid, options)
    area = _area(zoom, options)
    return Place(zoom, area, _window(zoom, options.bounds) if area is None else area.window)


def designed(
    description: Description,
    roles: Roles,
    place: Place,
    options: Options,
    samples: Sequence[Sampled] | None,
) -> Design:
    """Decide about the pixels of a result.

    Args:
        description: of the source as it is read.
        roles: of its bands.
        place: where the result lies.
        options: what is asked for.
        samples: sampled windows; None leaves the recipe without groups, for who samples later.

    Raises:
        InputError: an option that cannot be used.
        ModelError: the model cannot be used.
    """
    zoom, area, bands = place.zoom, place.area, description.bands
    model = zoo.load(options.model) if isinstance(options.model, str) else options.model
    steps = model.config.steps if options.steps is None else options.steps
    device = resolve_device(options.device)
    _check_samples(options, steps)
    manner = Manner(
        steps=steps,
        device=device,
        precision=options.precision,
        beside=surroundings(zoom) if options.consistency else 0,
    )
    inference = prepare(model.config, model.network, zoom, manner)
    lattice = Lattice.over(zoom.output.shape, model.config.tiles.size)
    check_memory(
        2 * lattice.cell.height * lattice.cell.width * description.pixel_bytes,
        f"one cell of the {len(bands)} bands of {description.path}",
        "take fewer by --bidx",
    )
    groups = () if samples is None else band_groups(roles, bands, samples, options.value_range)
    recipe = Recipe(
        zoom=zoom,
        lattice=lattice,
        bands=bands,
        groups=tuple(groups),
        nearest=roles.nearest,
        alpha=roles.alpha,
        inference=inference,
        seed=options.seed,
        masked=description.dataset_mask
        or (description.nodata is None and not (zoom.inside and area is None)),
        area=area,
        consistency=model.config.consistency if options.consistency else None,
        samples=options.samples,
        spread=None if options.uncertainty is None else model.config.sampler.spread,
    )
    return Design(
        options=options,
        description=description,
        roles=roles,
        window=place.window,
        cells=_cells(lattice.cells(place.window), area),
        recipe=recipe,
        model=model,
        steps=steps,
        precision=resolve_precision(options.precision, device),
        device=str(device),
    )


def _check_samples(options: Options, steps: int) -> None:
    """Refuse numbers of samples that make no sense.

    Raises:
        InputError: none, several of what is always the same, or a deviation of a single one.
    """
    if options.samples < 1:
        raise InputError(f"{options.samples} samples, expected 1 or more")
    if options.samples > 1 and steps == 0:
        raise InputError(
            f"{options.samples} samples of the prior alone are all the same; leave out --samples, "
            "or use --steps 1 or more"
        )
    if options.uncertainty is not None and options.samples == 1:
        raise InputError("--uncertainty needs --samples 2 or more, 8 serve well")


def _zoom(grid: Grid, options: Options) -> Zoom:
    """The output grid that the options ask for."""
    asked = [options.scale, options.resolution, options.like]
    if sum(a is not None for a in asked) != 1:
        raise InputError("one of --scale, --res and --like is needed, and no more than one")
    if options.scale is not None:
        return Zoom.by_scale(grid, options.scale)
    if options.resolution is not None:
        return Zoom.by_resolution(grid, *options.resolution)
    like = read_grid(str(options.like))
    if not same_crs(grid, like):
        raise InputError(f"{options.like} has another CRS than the source; reproject it first")
    return Zoom.by_grid(grid, like)


def _window(zoom: Zoom, bounds: tuple[float, float, float, float] | None) -> Window:
    """The part of the output that bounds ask for: map units, or source pixels without a map."""
    if bounds is None:
        return zoom.output.window
    left, bottom, right, top = bounds
    mapped = zoom.output.transform is not None and zoom.output.crs is not None
    low, high = (bottom, top) if mapped else (top, bottom)  # rows count downwards
    if not (np.isfinite(bounds).all() and left < right and low < high):
        raise InputError(
            f"bounds {left:g} {bottom:g} {right:g} {top:g}, expected left, bottom, right, top"
            + ("" if mapped else " in source pixels, rows counted downwards")
        )
    if mapped:
        return zoom.output.window_of(bounds)
    rows = [zoom.rows.edge(v) for v in (top, bottom)]
    columns = [zoom.columns.edge(v) for v in (left, right)]
    return zoom.output.snapped((rows[0], columns[0], rows[1], columns[1]))


def _area(zoom: Zoom, options: Options) -> Area | None:
    """The polygons that the options ask for."""
    if options.aoi is None:
        return None
    if options.bounds is not None:
        raise InputError("--bounds and --aoi were both given, expected one of them")
    return read_area(options.aoi, zoom.output)


def _cells(cells: Cells, area: Area | None) -> Cells | tuple[Window, ...]:
    """The cells of a window that are needed.

    Raises:
        InputError: none, since no pixel's centre is in the area.
    """
    if area is None:
        return cells
    met = area.meeting(cells)
    if not any(area.inside(cell).any() for cell in met):
        raise InputError("the polygons of --aoi lie between the centres of the result's pixels")
    return met
