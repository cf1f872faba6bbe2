"""A scene's recipe, all that a cell of the result depends on, and the way that leads to it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rs_superres.config import ConsistencyConfig
from rs_superres.grid import Lattice, Zoom
from rs_superres.image.consistency import reach
from rs_superres.raster import Band
from rs_superres.raster.metadata import nodata_of
from rs_superres.scene.bands import BandGroup
from rs_superres.scene.inference import Inference, prepare
from rs_superres.system.devices import ComputeSettings, Precision
from rs_superres.vector import Area
from rs_superres.zoo import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRecipe:
    """All that a cell's pixels depend on but the source's."""

    zoom: Zoom
    lattice: Lattice
    bands: tuple[Band, ...]
    """Of source and result alike."""
    groups: tuple[BandGroup, ...]
    nearest_bands: tuple[int, ...] = ()
    """Indices of the bands that are carried by nearest neighbour."""
    linear_bands: tuple[int, ...] = ()
    """Indices of the bands that are interpolated linearly."""
    inference: Inference
    seed: int
    """Names the noise field."""
    masked: bool
    """Whether the result has a mask band."""
    area: Area | None = None
    """The polygons that are wanted; all where None."""
    consistency: ConsistencyConfig | None = None
    """What brings the result back to the source, which it must equal there; None: it need not."""
    samples: int = 1
    """Results that are drawn and averaged."""
    uncertainty_factor: float | None = None
    """Factor on their standard deviation, which is given too; None: it is not."""

    @property
    def dtype(self) -> str:
        """Of source and result."""
        return self.bands[0].dtype

    @property
    def nodata(self) -> float | None:
        """Of the result: one value for all bands."""
        return nodata_of(self.bands)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """How a model enlarges."""

    model: Model
    steps: int
    """Evaluations of the denoiser."""
    seed: int = 0
    """Names the noise field."""
    samples: int = 1
    """Results that are drawn and averaged."""
    consistency: bool = True
    """Whether the result, brought back, shall equal the low resolution."""
    precision: Precision
    """What it computes in."""
    device: torch.device
    """What computes."""

    def recipe(self, zoom: Zoom, bands: tuple[Band, ...]) -> CellRecipe:
        """The recipe of a scene without groups, mask and area: those are for the caller to add.

        Raises:
            InputError: a number of steps that the model does not take.
        """
        config, network = self.model.config, self.model.network
        manner = ComputeSettings(
            steps=self.steps,
            device=self.device,
            precision=self.precision,
            extra_margin=reach(zoom) if self.consistency else 0,
        )
        return CellRecipe(
            zoom=zoom,
            lattice=Lattice.over(zoom.output.shape, config.tiles.size),
            bands=bands,
            groups=(),
            inference=prepare(config, network, zoom, manner),
            seed=self.seed,
            masked=False,
            consistency=config.consistency if self.consistency else None,
            samples=self.samples,
        )
