"""The plan of a result's pixels: everything that decides them, for files and arrays alike."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from rs_superres import zoo
from rs_superres._version import __version__
from rs_superres.engine.region import OutputRegion
from rs_superres.grid import AxisMapping, Cells, Window, Zoom
from rs_superres.options import PixelOptions
from rs_superres.raster import AREA_TAG, ROLES_TAG, SOURCE_BANDS_TAG, Description, Sampled
from rs_superres.scene.advice import pixel_size_warning
from rs_superres.scene.bands import BandGroup, BandRoles
from rs_superres.scene.recipe import CellRecipe
from rs_superres.scene.settings import model_settings
from rs_superres.system.devices import Precision
from rs_superres.system.memory import check_memory


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelPlan:
    """Everything that decides the pixels of a result, wherever they come from and go to."""

    description: Description
    """The source as it is read; the result has the same bands."""
    roles: BandRoles
    """What each band is used for."""
    window: Window
    """The part of the output grid that is written, output pixels."""
    cells: Cells | tuple[Window, ...]
    """The lattice cells that touch the window, or the area of interest."""
    recipe: CellRecipe = field(repr=False)
    """Everything that decides the pixels of a cell, apart from the source's pixels."""
    model: zoo.Model = field(repr=False)
    steps: int
    """Evaluations of the denoiser; 0 for the neural operator alone."""
    ensemble: int
    """Orientations of the source that the operator sees and averages."""
    precision: Precision
    """The number format of the networks, never "auto"."""
    device: str
    """The torch device that computes, never "auto"."""

    @property
    def zoom(self) -> Zoom:
        """The source grid, the output grid, and the mapping between them."""
        return self.recipe.zoom

    @property
    def needs_groups(self) -> bool:
        """Whether the band groups must still be found from samples, with their value ranges."""
        return not self.recipe.groups and bool(self.roles.triplet or self.roles.single)

    def settings(self) -> dict[str, Any]:
        """Return, by name, everything that the pixels depend on apart from the source's pixels.

        The values are plain (numbers, texts, lists and dictionaries of them), so that JSON keeps
        them and their checksum does not depend on how a class is printed.
        """
        recipe = self.recipe
        return {
            "grid": {
                "rows": _axis_settings(self.zoom.rows),
                "columns": _axis_settings(self.zoom.columns),
                "cell": {"height": recipe.lattice.cell.height, "width": recipe.lattice.cell.width},
            },
            "window": {
                "row": self.window.row,
                "column": self.window.column,
                "height": self.window.height,
                "width": self.window.width,
            },
            "area": None if recipe.area is None else recipe.area.checksum,
            "model": _model_identity(self.model),
            "steps": self.steps,
            "seed": recipe.seed,
            "samples": recipe.samples,
            # Only if there is one: results of before know nothing of it.
            **({"ensemble": self.ensemble} if self.ensemble > 1 else {}),
            "consistency": recipe.consistency,
            "kernel": asdict(recipe.card_kernel),
            "quality": {
                "mtf": recipe.quality.mtf,
                "sensor": None if recipe.quality.sensor is None else recipe.quality.sensor.title,
                "noise": recipe.quality.noise,
                "bands": [[g.mtf, g.noise] for g in recipe.groups],
            },
            "limits": None if recipe.limits is None else asdict(recipe.limits),
            "uncertainty factor": recipe.uncertainty_factor,
            "precision": self.precision,
            "device": self.device.split(":")[0],
            "band roles": _band_settings(self.roles),
            "value range": [[g.value_range.low, g.value_range.high] for g in recipe.groups]
            or list(recipe.value_range or ()),
            "version": __version__,
        }

    @property
    def understood(self) -> str:
        """What the source is taken for, in words, if it is a product; else empty."""
        product = self.description.product
        if product is None:
            return ""
        return product.words(band.description or "?" for band in self.description.bands)

    def tags(self) -> dict[str, str]:
        """Return the provenance tags of the result."""
        method, messages = "neural-operator prior", self.warnings()
        if self.steps:
            method += " and diffusion; contains synthetic detail"
        ranges = [g.value_range for g in self.recipe.groups]
        return {
            "SUPERRES_METHOD": f"rs-sr NeurOp-Diff: {method}",
            "SUPERRES_VERSION": __version__,
            "SUPERRES_MODEL": self.model.name,
            "SUPERRES_MODEL_SHA256": self.model.checksum,
            "SUPERRES_SCALE": f"{self.zoom.scale:.12g}",
            "SUPERRES_STEPS": str(self.steps),
            **self._texture_tag(),
            "SUPERRES_SEED": str(self.recipe.seed),
            "SUPERRES_SAMPLES": str(self.recipe.samples),
            **({"SUPERRES_ENSEMBLE": str(self.ensemble)} if self.ensemble > 1 else {}),
            "SUPERRES_CONSISTENCY": self._consistency_tag(),
            **({"SUPERRES_PRODUCT": self.understood} if self.understood else {}),
            "SUPERRES_SOURCE_QUALITY": self._quality_tag(),
            "SUPERRES_LIMITS": "none" if self.recipe.limits is None else str(self.recipe.limits),
            "SUPERRES_PRECISION": self.precision,
            "SUPERRES_LATTICE": self._lattice_tag(),
            **self._area_tag(),
            **({"SUPERRES_WARNING": "; ".join(messages)} if messages else {}),
            ROLES_TAG: str(self.roles),
            **self._source_bands_tag(),
            "SUPERRES_VALUE_RANGE": "; ".join(f"{r.low:.10g},{r.high:.10g}" for r in ranges),
        }

    def _area_tag(self) -> dict[str, str]:
        """Say that the result is masked outside an area of interest, if it is."""
        area = self.recipe.area
        if area is None:
            return {}
        return {AREA_TAG: f"masked outside polygons with the SHA-256 {area.checksum}"}

    def _source_bands_tag(self) -> dict[str, str]:
        """Return the numbers in the source of the result's bands, unless they are colours."""
        selection = self.roles.selection
        if selection.expand:
            return {}
        return {SOURCE_BANDS_TAG: ",".join(map(str, selection.bands))}

    def _texture_tag(self) -> dict[str, str]:
        """Return the strength of the drawn texture, for a model that draws some."""
        config = self.model.config
        if config.texture is None:
            return {}
        return {"SUPERRES_TEXTURE": f"{config.sampler.texture if self.steps else 0:g}"}

    def _consistency_tag(self) -> str:
        """Describe the kernels and the tolerances of the correction, of each band group."""
        if not self.recipe.consistency:
            return "off"
        return _for_groups([self._correction(group) for group in self.recipe.groups])

    def _correction(self, group: BandGroup) -> str:
        """Describe the kernel and the tolerance of the correction of one band group."""
        if not self.recipe.corrects(group):
            return "off, the source was sharpened"
        kernel = self.recipe.kernel(group)
        if group.noise is None:
            return kernel.words()
        return f"{replace(kernel, noise=0.0).words()}, noise of {group.noise:.6g}"

    def _quality_tag(self) -> str:
        """Describe blur and noise of the source, of each band group."""
        words = []
        for group in self.recipe.groups:
            parts = [
                f"{name} {value:g}{' (estimated)' if estimated else ''}"
                for name, value, estimated in zip(
                    ("MTF", "noise"), (group.mtf, group.noise), group.estimated, strict=True
                )
                if value is not None
            ]
            words.append(", ".join(parts) or "unknown")
        return _for_groups(words)

    def _lattice_tag(self) -> str:
        """Describe the size of the cells, and the result's first column and row that start one."""
        cell, window = self.recipe.lattice.cell, self.window
        across, down = -window.column % cell.width, -window.row % cell.height
        return f"{cell.width} x {cell.height} from {across}, {down}"

    def _factors(self) -> dict[int, list[str]]:
        """Return the names of the bands that go through the network, by :attr:`Band.factor`."""
        found: dict[int, list[str]] = {}
        for i in (*self.roles.triplet, *self.roles.single):
            band = self.description.bands[i]
            found.setdefault(band.factor, []).append(band.description or str(i + 1))
        return found or {1: []}

    def warnings(self) -> list[str]:
        """Return what a user should know before using the result: limits of the model's card."""
        trained, messages = self.model.config.trained, []
        low, high = trained.scales
        for factor, names in self._factors().items():
            scale = self.recipe.on_grid(factor).zoom.scale
            if not low <= scale <= high:
                what = "the scale" if factor == 1 else f"the scale of band {', '.join(names)}"
                messages.append(
                    f"{what} is {scale:.4g}, the model {self.model.name} was trained at {low:g} "
                    f"to {high:g}"
                )
        too_far = pixel_size_warning(self.description.grid, self.model.name, trained)
        if too_far is not None:
            messages.append(too_far)
        for group in self.recipe.groups:
            if group.value_range.widened:
                numbers = ", ".join(str(self.roles.selection.bands[i]) for i in group.bands)
                messages.append(
                    f"nearly all values of band {numbers} are the same, so the others decide the "
                    f"value range: {group.value_range.low:.6g} to {group.value_range.high:.6g}; "
                    "value_range= sets another"
                )
        return messages


def _for_groups(words: Sequence[str]) -> str:
    """Join what a tag says of each band group; once, if it is the same for all."""
    return "; ".join(words[:1] if len(set(words)) == 1 else words)


def _axis_settings(axis: AxisMapping) -> dict[str, Any]:
    """Return the numbers that place output pixels along an axis of the source."""
    return {
        "source": axis.source,
        "size": axis.size,
        "a": float(axis.a),
        "b": float(axis.b),
        "d": float(axis.d),
    }


def _band_settings(roles: BandRoles) -> dict[str, Any]:
    """Return which bands of the source are read, and the role of each band of the result."""
    nodata = roles.selection.nodata
    return {
        "source": list(roles.selection.bands),
        "nodata": None if nodata is None else f"{nodata:.17g}",  # a text, since NaN != NaN
        "expand": roles.selection.expand,
        "joint": list(roles.triplet),
        "alone": list(roles.single),
        "nearest": list(roles.nearest),
        "alpha": list(roles.alpha),
    }


def _model_identity(model: zoo.Model) -> dict[str, Any]:
    """Return the weights' checksum and the configuration that decides pixels.

    What other settings hold (steps, uncertainty factor, consistency), and what only the card uses
    (the training range), is left out.
    """
    config = model.config
    sampler = asdict(config.sampler)
    del sampler["steps"], sampler["uncertainty_factor"]
    identity = {
        "weights": model.checksum,
        "kind": config.kind,
        "encoder": asdict(config.encoder),
        "operator": asdict(config.operator),
        "denoiser": None if config.denoiser is None else asdict(config.denoiser),
        "texture": None if config.texture is None else asdict(config.texture),
        "sampler": sampler,
        "tiles": asdict(config.tiles),
    }
    plain: dict[str, Any] = json.loads(json.dumps(identity))  # tuples become lists
    return plain


def plan_pixels(
    description: Description,
    roles: BandRoles,
    region: OutputRegion,
    options: PixelOptions,
    samples: Sequence[Sampled] | None,
    *,
    uncertainty: bool = False,
) -> PixelPlan:
    """Plan the pixels of a result.

    Args:
        description: the source as it is read.
        roles: what each of its bands is used for.
        region: where the result lies.
        options: the options of the run.
        samples: values and validity of sampled windows of the source. None leaves the recipe
            without band groups if they depend on samples, for callers that sample later.
        uncertainty: whether cells return the expected error too.

    Raises:
        InputError: an option that cannot be used.
        ModelError: the model cannot be used.
    """
    settings = model_settings(options, description, uncertainty=uncertainty)
    recipe = settings.recipe(region.zoom, description.bands)
    cell, bands = recipe.lattice.cell, description.bands
    check_memory(
        2 * cell.height * cell.width * description.pixel_bytes,
        f"one cell of the {len(bands)} bands of {description.path}",
        "choose fewer with bidx=",
    )
    # Without nodata, only a mask can mark the output pixels that no source pixel covers.
    covered = region.zoom.inside and region.area is None
    recipe = replace(recipe, value_range=options.value_range)
    if samples is not None or not recipe.needs_samples:
        recipe = replace(recipe, groups=recipe.find_groups(roles, samples or ()))
    return PixelPlan(
        description=description,
        roles=roles,
        window=region.window,
        cells=region.cells(recipe.lattice),
        recipe=replace(
            recipe,
            nearest_bands=roles.nearest,
            linear_bands=roles.alpha,
            masked=description.dataset_mask or (description.nodata is None and not covered),
            area=region.area,
        ),
        model=settings.model,
        steps=settings.steps,
        ensemble=settings.ensemble,
        precision=settings.precision,
        device=str(settings.device),
    )
