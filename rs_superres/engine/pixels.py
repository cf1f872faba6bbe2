"""What is decided about the pixels of a result, wherever they come from and go to."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from rs_superres import zoo
from rs_superres._version import __version__
from rs_superres.engine.extent import OutputRegion
from rs_superres.errors import CardWarning, InputError
from rs_superres.grid import Cells, Window, Zoom, pixel_size
from rs_superres.options import PixelOptions
from rs_superres.raster import Description, Sampled
from rs_superres.scene.bands import BandRoles, band_groups
from rs_superres.scene.recipe import CellRecipe, ModelSettings
from rs_superres.system.devices import Precision, resolve_device, resolve_precision
from rs_superres.system.memory import check_memory

FAR = 2.0
"""How many times beyond a model's training a pixel size may lie without a warning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelPlan:
    """What was decided about pixels, wherever they come from and go to."""

    options: PixelOptions
    description: Description
    """Of the source as it is read: its bands are those of the result."""
    roles: BandRoles
    window: Window
    """The part of the output grid that is written."""
    cells: Cells | tuple[Window, ...]
    """The lattice cells that the window, or the area of interest, meets."""
    recipe: CellRecipe = field(repr=False)
    model: zoo.Model = field(repr=False)
    steps: int
    precision: Precision
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
            "uncertainty factor": self.recipe.uncertainty_factor,
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


def warn(messages: Sequence[str]) -> None:
    """Issue a :class:`CardWarning` for each message, located at the caller of the library."""
    frame, level = inspect.currentframe(), 1
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] == "rs_superres":
        frame, level = frame.f_back, level + 1
    for message in messages:
        warnings.warn(message, CardWarning, stacklevel=level)


def plan_pixels(
    description: Description,
    roles: BandRoles,
    extent: OutputRegion,
    options: PixelOptions,
    samples: Sequence[Sampled] | None,
    *,
    uncertainty: bool = False,
) -> PixelPlan:
    """Decide about the pixels of a result.

    Args:
        description: of the source as it is read.
        roles: of its bands.
        extent: where the result lies.
        options: what is asked for.
        samples: sampled windows; None leaves the recipe without groups, for who samples later.
        uncertainty: whether cells give the standard deviation of the samples too.

    Raises:
        InputError: an option that cannot be used.
        ModelError: the model cannot be used.
    """
    way = _way(options)
    if uncertainty and options.samples == 1:
        raise InputError("uncertainty= needs samples=2 or more; samples=8 works well")
    recipe = way.recipe(extent.zoom, description.bands)
    cell, bands = recipe.lattice.cell, description.bands
    check_memory(
        2 * cell.height * cell.width * description.pixel_bytes,
        f"one cell of the {len(bands)} bands of {description.path}",
        "choose fewer with bidx=",
    )
    groups = () if samples is None else band_groups(roles, bands, samples, options.value_range)
    whole = extent.zoom.inside and extent.area is None
    return PixelPlan(
        options=options,
        description=description,
        roles=roles,
        window=extent.window,
        cells=extent.cells(recipe.lattice),
        recipe=replace(
            recipe,
            groups=tuple(groups),
            nearest_bands=roles.nearest,
            linear_bands=roles.alpha,
            masked=description.dataset_mask or (description.nodata is None and not whole),
            area=extent.area,
            uncertainty_factor=(
                way.model.config.sampler.uncertainty_factor if uncertainty else None
            ),
        ),
        model=way.model,
        steps=way.steps,
        precision=way.precision,
        device=str(way.device),
    )


def _way(options: PixelOptions) -> ModelSettings:
    """How the model is to enlarge.

    Raises:
        InputError: a device that is not there, or samples that make no sense.
        ModelError: the model cannot be used.
    """
    model = zoo.load(options.model) if isinstance(options.model, str) else options.model
    steps = model.config.steps if options.steps is None else options.steps
    device = resolve_device(options.device)
    if options.samples > 1 and steps == 0:
        raise InputError(
            f"samples={options.samples} of the neural operator alone are all the same; leave out "
            "samples=, or use steps=1 or more"
        )
    return ModelSettings(
        model=model,
        steps=steps,
        seed=options.seed,
        samples=options.samples,
        consistency=options.consistency,
        precision=resolve_precision(options.precision, device),
        device=device,
    )
