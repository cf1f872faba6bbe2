"""The only module that opens rasters: what they say of themselves, windows in, results out."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.shutil
from affine import Affine
from rasterio._err import CPLE_BaseError
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.rpc import RPC
from rasterio.windows import Window as RasterioWindow

from rs_superres.errors import InputError, RasterError
from rs_superres.grid import Grid, Shape, Window, Zoom
from rs_superres.radiometry import DTYPES, Valid
from rs_superres.tiles import reflected

FAILURES = (RasterioError, CPLE_BaseError, OSError)
"""What rasterio raises; GDAL's own errors are not always wrapped."""

BLOCK = 512
"""Pixels: the side of a result's internal tiles."""

SAMPLE = 64
"""Pixels: the side of the windows that a scene is sampled by."""

_STALE = ("STATISTICS_",)
"""Beginnings of band tags that no longer hold in a result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """One band, as its file describes it."""

    dtype: str
    nodata: float | None = None
    description: str | None = None
    unit: str | None = None
    interpretation: str = "undefined"
    """rasterio's name of the colour interpretation."""
    scale: float = 1.0
    offset: float = 0.0
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_alpha(self) -> bool:
        """Whether it is an alpha band, by its colour interpretation."""
        return bool(self.interpretation == ColorInterp.alpha.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a raster says of itself."""

    path: str
    driver: str
    grid: Grid
    bands: tuple[Band, ...]
    dataset_mask: bool
    """Whether one mask, in the file or beside it, holds for all bands."""
    tags: Mapping[str, str]
    mask_flags: tuple[tuple[str, ...], ...] = ()
    """rasterio's names of what each band's mask comes from."""
    control_points: tuple[GroundControlPoint, ...] = ()
    control_crs: str | None = None
    rational: RPC | None = None
    """Its rational polynomial coefficients."""
    pages: tuple[str, ...] = field(default=())
    """Names of further images in the same file."""

    @property
    def dtype(self) -> str:
        """The dtype of all its bands."""
        return self.bands[0].dtype


class Source:
    """An open raster, read by windows."""

    def __init__(self, dataset: Any, description: Description) -> None:
        self._dataset = dataset
        self.description = description

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._dataset.close()

    def read(self, window: Window) -> tuple[npt.NDArray[np.generic], Valid]:
        """Digital numbers and validity, (band, y, x) each, of a window within the raster.

        Raises:
            RasterError: the file cannot be read there.
        """
        place = RasterioWindow(window.column, window.row, window.width, window.height)
        try:
            values = self._dataset.read(window=place)
            valid = np.ones(values.shape, dtype=np.bool_)
            for i, flags in enumerate(self._dataset.mask_flag_enums):
                if MaskFlags.all_valid not in flags and MaskFlags.alpha not in flags:
                    valid[i] = self._dataset.read_masks(i + 1, window=place) > 0
        except FAILURES as error:
            raise RasterError(
                f"cannot read {self.description.path} at row {window.row}, column "
                f"{window.column}: {_one_line(error)}"
            ) from error
        if values.dtype.kind == "f":
            valid &= np.isfinite(values)
        return values, valid

    def read_reflected(
        self, row: int, column: int, height: int, width: int
    ) -> tuple[npt.NDArray[np.generic], Valid]:
        """The same of any window: the scene goes on beyond its border as its mirror image."""
        shape = self.description.grid.shape
        rows = reflected(row, height, shape.height)
        columns = reflected(column, width, shape.width)
        top, left = int(rows.min()), int(columns.min())
        window = Window(top, left, int(rows.max()) - top + 1, int(columns.max()) - left + 1)
        values, valid = self.read(window)
        take = np.ix_(np.arange(len(values)), rows - top, columns - left)
        return values[take], valid[take]

    def samples(self) -> Iterator[tuple[npt.NDArray[np.generic], Valid]]:
        """At most 256 windows in full resolution, placed by the raster's size alone."""
        shape = self.description.grid.shape
        for row in _sample_starts(shape.height):
            for column in _sample_starts(shape.width):
                whole = Window(row, column, SAMPLE, SAMPLE).intersection(
                    self.description.grid.window
                )
                if whole is not None:
                    yield self.read(whole)


def _sample_starts(size: int) -> list[int]:
    """Up to 16 evenly spread starts of sample windows along a side."""
    count = min(16, -(-size // SAMPLE))
    return [round(i * max(0, size - SAMPLE) / max(1, count - 1)) for i in range(count)]


def open_source(path: str | Path) -> Source:
    """Open a raster and check that it can be super-resolved.

    Raises:
        RasterError: it cannot be opened, or holds no bands of its own.
        InputError: it is of a kind that is not super-resolved.
    """
    dataset = _opened(path)
    try:
        description = _describe(str(path), dataset)
        _check(description, dataset)
    except BaseException:
        dataset.close()
        raise
    return Source(dataset, description)


def inspect(path: str | Path) -> tuple[Description, str | None]:
    """Describe a raster of any kind, and say why it is not super-resolved; None where it is.

    Raises:
        RasterError: it cannot be opened.
        InputError: it is a directory, or holds no bands of its own.
    """
    with _opened(path) as dataset:
        description = _describe(str(path), dataset)
        try:
            _check(description, dataset)
        except InputError as refusal:
            return description, str(refusal)
    return description, None


def _opened(path: str | Path) -> Any:
    """rasterio's dataset."""
    if Path(path).is_dir():
        raise InputError(f"{path} is a directory, expected a raster file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            return rasterio.open(path)
    except FAILURES as error:
        raise RasterError(f"cannot open {path}: {_one_line(error)}") from error


def read_grid(path: str | Path) -> Grid:
    """The grid of a raster of any kind.

    Raises:
        RasterError: it cannot be opened.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path) as dataset:
                return _grid(dataset)
    except FAILURES as error:
        raise RasterError(f"cannot open {path}: {_one_line(error)}") from error


def same_crs(one: Grid, other: Grid) -> bool:
    """Whether two grids have one CRS, however it is written; PROJ compares."""
    if one.crs is None or other.crs is None:
        return one.crs == other.crs
    return bool(CRS.from_wkt(one.crs) == CRS.from_wkt(other.crs))


def _one_line(error: BaseException) -> str:
    """The message of a library's error, on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _grid(dataset: Any) -> Grid:
    """The grid of an open dataset.

    An identity transform is what rasterio says where there is none. With a CRS it is taken at its
    word: files exist that place a raster so, and their corners must not move either.
    """
    crs = dataset.crs.to_wkt() if dataset.crs else None
    placed = dataset.transform != Affine.identity() or (crs is not None and not dataset.gcps[0])
    transform = dataset.transform if placed else None
    return Grid(Shape(dataset.height, dataset.width), transform, crs)


def _describe(path: str, dataset: Any) -> Description:
    """Read everything but pixels."""
    if dataset.count == 0:
        found = ", ".join(dataset.subdatasets) or "none"
        raise InputError(f"{path} holds no bands of its own; open one of its sub-datasets: {found}")
    bands = tuple(
        Band(
            dtype=dataset.dtypes[i],
            nodata=dataset.nodatavals[i],
            description=dataset.descriptions[i],
            unit=dataset.units[i],
            interpretation=dataset.colorinterp[i].name,
            scale=dataset.scales[i],
            offset=dataset.offsets[i],
            tags={k: v for k, v in dataset.tags(i + 1).items() if not k.startswith(_STALE)},
        )
        for i in range(dataset.count)
    )
    points, points_crs = dataset.gcps
    flags = dataset.mask_flag_enums
    return Description(
        path=path,
        driver=dataset.driver,
        grid=_grid(dataset),
        bands=bands,
        dataset_mask=any(
            MaskFlags.per_dataset in f and MaskFlags.alpha not in f and MaskFlags.nodata not in f
            for f in flags
        ),
        tags=dataset.tags(),
        mask_flags=tuple(tuple(flag.name for flag in f) for f in flags),
        control_points=tuple(points),
        control_crs=points_crs.to_wkt() if points_crs else None,
        rational=dataset.rpcs,
        pages=tuple(s for s in dataset.subdatasets if not s.startswith("GTIFF_DIR:1:")),
    )


def _check(description: Description, dataset: Any) -> None:
    """Refuse what cannot be super-resolved, in a line that names the way out."""
    path = description.path
    dtypes = sorted({b.dtype for b in description.bands})
    if len(dtypes) > 1:
        raise InputError(f"{path} has bands of dtypes {', '.join(dtypes)}, expected one dtype")
    if dtypes[0] not in DTYPES:
        raise InputError(f"{path} has dtype {dtypes[0]}, supported are {', '.join(DTYPES)}")
    # First, since GDAL gives 1-bit values a colour table of black and white.
    bits = [dataset.tags(i + 1, ns="IMAGE_STRUCTURE").get("NBITS") for i in range(dataset.count)]
    if "1" in bits:
        raise InputError(
            f"{path} holds 1-bit values: a mask, which cannot be super-resolved; "
            "enlarge it by nearest neighbour (gdalwarp -r near)"
        )
    if any(b.interpretation == ColorInterp.palette.name for b in description.bands):
        raise InputError(
            f"{path} has a colour table: its values are classes, which cannot be super-resolved; "
            "expand it to colours first (gdal_translate -expand rgb)"
        )


def write_image(path: Path, pixels: npt.NDArray[np.generic], grid: Grid) -> None:
    """Write a small image, (band, y, x), as a plain GeoTIFF.

    Raises:
        RasterError: it cannot be written.
    """
    count, height, width = pixels.shape
    profile = {"count": count, "height": height, "width": width, "dtype": pixels.dtype.name}
    try:
        with rasterio.open(
            path, "w", driver="GTiff", crs=grid.crs, transform=grid.transform, **profile
        ) as dataset:
            dataset.write(pixels)
    except FAILURES as error:
        raise RasterError(f"cannot write {path}: {_one_line(error)}") from error


def checksum(
    description: Description, samples: Iterable[tuple[npt.NDArray[np.generic], Valid]]
) -> str:
    """SHA-256 of a source's header and of its sampled windows, values and masks, hex."""
    digest = hashlib.sha256()
    grid = description.grid
    digest.update(repr((grid.shape, grid.transform, grid.crs, description.bands)).encode())
    for values, valid in samples:
        digest.update(np.ascontiguousarray(values).tobytes())
        digest.update(np.packbits(valid).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a result's file must say."""

    source: Description
    zoom: Zoom
    window: Window
    """The part of the zoom's output that is written."""
    tags: Mapping[str, str]
    """Provenance, added to the source's own tags."""
    masked: bool
    """Whether a mask band is written: the source's own, or for pixels outside it."""

    @property
    def grid(self) -> Grid:
        """The grid of the file."""
        return self.zoom.output.crop(self.window)

    def control_points(self) -> list[GroundControlPoint]:
        """The source's ground control points, moved to the output's pixels."""
        return [
            GroundControlPoint(
                row=self.zoom.rows.edge(p.row) - self.window.row,
                col=self.zoom.columns.edge(p.col) - self.window.column,
                x=p.x,
                y=p.y,
                z=p.z,
                id=p.id,
                info=p.info,
            )
            for p in self.source.control_points
        ]

    def rational(self) -> RPC | None:
        """The source's rational polynomials; their pixel centres stand at integers."""
        if self.source.rational is None:
            return None
        rows, columns = self.zoom.rows, self.zoom.columns
        moved = self.source.rational.to_dict()
        moved["line_off"] = rows.edge(moved["line_off"] + 0.5) - 0.5 - self.window.row
        moved["samp_off"] = columns.edge(moved["samp_off"] + 0.5) - 0.5 - self.window.column
        moved["line_scale"] /= rows.step
        moved["samp_scale"] /= columns.step
        return RPC(**moved)


@contextmanager
def creating(path: Path, target: Target) -> Iterator[Writer]:
    """Create the uncompressed GeoTIFF that a result is assembled in.

    Raises:
        RasterError: it cannot be written.
    """
    bands, grid = target.source.bands, target.grid
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "height": grid.shape.height,
        "width": grid.shape.width,
        "count": len(bands),
        "dtype": target.source.dtype,
        "nodata": bands[0].nodata,
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "interleave": "pixel" if len(bands) <= 4 else "band",
        "bigtiff": "IF_SAFER",
        "sparse_ok": True,
    }
    if target.source.control_points:
        profile["gcps"] = target.control_points()
        profile["crs"] = target.source.control_crs
    elif grid.crs is not None:
        profile["crs"] = grid.crs
    if grid.transform is not None:
        profile["transform"] = grid.transform
    try:
        with (
            warnings.catch_warnings(),
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True, GDAL_NUM_THREADS="ALL_CPUS"),
        ):
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path, "w", **profile) as dataset:
                _write_metadata(dataset, target)
                yield Writer(dataset)
    except FAILURES as error:
        raise RasterError(f"cannot write {path}: {_one_line(error)}") from error


class Writer:
    """Writes windows of a result that is being assembled."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def write(
        self, window: Window, values: npt.NDArray[np.generic], mask: Valid | None = None
    ) -> None:
        """Write (band, y, x) and, where the result has one, its mask (y, x)."""
        place = RasterioWindow(window.column, window.row, window.width, window.height)
        self._dataset.write(values, window=place)
        if mask is not None:
            self._dataset.write_mask(mask, window=place)


def _write_metadata(dataset: Any, target: Target) -> None:
    """Everything that makes a file more than an array."""
    bands = target.source.bands
    dataset.colorinterp = [ColorInterp[b.interpretation] for b in bands]
    if any(b.scale != 1 for b in bands) or any(b.offset != 0 for b in bands):
        dataset.scales = [b.scale for b in bands]
        dataset.offsets = [b.offset for b in bands]
    for i, band in enumerate(bands, start=1):
        if band.description:
            dataset.set_band_description(i, band.description)
        if band.unit:
            dataset.set_band_unit(i, band.unit)
        if band.tags:
            dataset.update_tags(i, **band.tags)
    dataset.update_tags(**{**target.source.tags, **target.tags})
    rational = target.rational()
    if rational is not None:
        dataset.rpcs = rational


def creation_options(options: Sequence[str]) -> dict[str, str]:
    """GDAL creation options, ``KEY=VALUE`` each, by lower-case key.

    Raises:
        InputError: one is not of that form.
    """
    chosen = {}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals or not key:
            raise InputError(f"creation option {option!r}, expected KEY=VALUE")
        chosen[key.lower()] = value
    return chosen


def finish(assembled: Path, out: Path, *, driver: str, options: Sequence[str]) -> None:
    """Copy an assembled result into its final format, with overviews.

    Args:
        assembled: what :func:`creating` wrote.
        out: a name that nobody looks for yet; the caller renames it.
        driver: ``COG`` or ``GTiff``.
        options: further creation options, ``KEY=VALUE``.

    Raises:
        InputError: an option that is not of that form.
        RasterError: it cannot be written.
    """
    chosen = {"compress": "DEFLATE", "bigtiff": "IF_SAFER"}
    if driver == "COG":
        chosen |= {"blocksize": str(BLOCK), "overview_resampling": "AVERAGE", "predictor": "YES"}
    else:
        chosen |= {"tiled": "YES", "blockxsize": str(BLOCK), "blockysize": str(BLOCK)}
    chosen |= creation_options(options)
    try:
        with (
            warnings.catch_warnings(),
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True, GDAL_NUM_THREADS="ALL_CPUS"),
        ):
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            rasterio.shutil.copy(assembled, out, driver=driver, **chosen)
            if driver == "GTiff":
                with rasterio.open(out, "r+") as dataset:
                    dataset.build_overviews(_factors(dataset.shape), Resampling.average)
    except FAILURES as error:
        raise RasterError(f"cannot write {out}: {_one_line(error)}") from error


def _factors(shape: tuple[int, int]) -> list[int]:
    """Overview factors until one block holds the image."""
    factors: list[int] = []
    while max(shape) > BLOCK * 2 ** len(factors):
        factors.append(2 ** (len(factors) + 1))
    return factors
