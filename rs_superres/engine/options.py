"""What a caller asks of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rs_superres import zoo
from rs_superres.scene.bands import BandOptions
from rs_superres.system.devices import Precision
from rs_superres.system.memory import memory

Format = Literal["cog", "gtiff"]
"""What a result is written as."""

DRIVERS = {"cog": "COG", "gtiff": "GTiff"}
"""GDAL's names of the formats."""

BLOCK_CACHE = 128 * 2**20
"""Bytes that GDAL keeps of blocks at most: a row of cells of a scene stored in strips."""


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
    bands: BandOptions = field(default_factory=BandOptions)
    """Which bands of the source are written, and how each is carried."""
    value_range: tuple[float, float] | None = None
    """Digital numbers that map to the network's -1 and 1."""
    device: str = "auto"
    """``auto`` (the first GPU if there is one), ``cpu``, ``cuda``, ``cuda:1`` or ``mps``."""
    precision: Precision = "auto"
    """What the networks compute in."""
    format: Format = "cog"
    """What the result is written as."""
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
