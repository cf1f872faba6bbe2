"""A scene's recipe: all that a cell of the result depends on."""

from __future__ import annotations

from dataclasses import dataclass

from rs_superres.area import Area
from rs_superres.config import ConsistencyConfig
from rs_superres.grid import Zoom
from rs_superres.groups import Group
from rs_superres.inference import Inference
from rs_superres.raster import Band
from rs_superres.raster.description import nodata_of
from rs_superres.tiles import Lattice


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All that a cell's pixels depend on but the source's."""

    zoom: Zoom
    lattice: Lattice
    bands: tuple[Band, ...]
    """Of source and result alike."""
    groups: tuple[Group, ...]
    nearest: tuple[int, ...] = ()
    """Indices of the bands that are carried by nearest neighbour."""
    alpha: tuple[int, ...] = ()
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
    spread: float | None = None
    """Factor on their standard deviation, which is given too; None: it is not."""

    @property
    def dtype(self) -> str:
        """Of source and result."""
        return self.bands[0].dtype

    @property
    def nodata(self) -> float | None:
        """Of the result: one value for all bands."""
        return nodata_of(self.bands)
