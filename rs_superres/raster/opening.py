"""Opens rasters, and refuses those that cannot be super-resolved."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from rasterio.enums import Interleaving

from rs_superres.errors import InputError, RasterError
from rs_superres.grid import Grid
from rs_superres.image.radiometry import DTYPES
from rs_superres.raster.dataset import describe, grid_of
from rs_superres.raster.gdal import Dataset, check_proj, open_dataset, raster_errors, reading
from rs_superres.raster.metadata import Description
from rs_superres.raster.products import Product, ProductBand, QualityMask, find_product, is_product
from rs_superres.raster.selection import Selection
from rs_superres.raster.source import BandFile, Paths, Source, bands_of
from rs_superres.raster.stack import factor_between, finest, product_stack, stacked
from rs_superres.raster.virtual import check_sources
from rs_superres.system.memory import check_memory
from rs_superres.types import Values

logger = logging.getLogger(__name__)


def open_source(paths: Paths, selection: Selection | None = None) -> Source:
    """Open a raster and check that it can be super-resolved.

    Args:
        paths: One raster, or several rasters on one grid, whose bands are stacked.
        selection: The bands to read; None reads all bands.

    Raises:
        RasterError: A file cannot be opened.
        InputError: A raster is of an unsupported kind, has no bands, or does not fit the others.
    """
    single = isinstance(paths, str | Path)
    names = [str(paths)] if single else [str(p) for p in paths]  # type: ignore[union-attr]
    product = find_product(names[0]) if len(names) == 1 else None
    with ExitStack() as close_on_failure:
        if product is not None:
            datasets, files, stack = _open_product(product, close_on_failure)
        else:
            parts, files, datasets = [], [], []
            for name in names:
                dataset = close_on_failure.enter_context(_open(name))
                datasets.append(dataset)
                parts.append(_described(name, dataset))
                files += bands_of(dataset)
            stack = stacked(parts)
        source = Source(datasets, files, stack, selection)
        close_on_failure.pop_all()
    return source


def _all_bands(band: ProductBand, dataset: Dataset) -> list[ProductBand]:
    """Return all bands of a raster, whose metadata a product does not repeat."""
    facts = zip(dataset.indexes, dataset.descriptions, dataset.colorinterp, strict=True)
    return [
        replace(
            band,
            number=number,
            name=band.name if dataset.count == 1 else f"{band.name}/{name or number}",
            colour=colour.name if colour.name in {"red", "green", "blue", "nir"} else "",
        )
        for number, name, colour in facts
    ]


def _on_one_grid(
    product: Product, parts: list[Description], files: list[BandFile]
) -> tuple[Product, list[Description], list[BandFile]]:
    """Leave out what no result has by default and does not fit: bands on other grids."""
    chosen = [p.grid for p, band in zip(parts, product.bands, strict=True) if band.default]
    grid = finest(chosen)
    kept = [
        i
        for i, (part, band) in enumerate(zip(parts, product.bands, strict=True))
        if band.default or factor_between(grid, part.grid) is not None
    ]
    apart = {b.name: b.file for i, b in enumerate(product.bands) if i not in kept}
    product = replace(
        product,
        bands=tuple(product.bands[i] for i in kept),
        apart={**product.apart, **apart},
    )
    return product, [parts[i] for i in kept], [files[i] for i in kept]


def _planes(mask: QualityMask | None, opened: Dataset | None) -> tuple[int, ...]:
    """Return the bands of a quality mask that count.

    Raises:
        RasterError: Its raster lacks one.
    """
    if mask is None or opened is None:
        return ()
    if max(mask.planes) > opened.count:
        raise RasterError(
            f"{mask.name} has {opened.count} bands, expected {max(mask.planes)} or more; the "
            "product is damaged"
        )
    return mask.planes


def _described(name: str, dataset: Dataset) -> Description:
    """Describe an open dataset, and refuse it if it cannot be super-resolved."""
    with reading(name):
        description = describe(name, dataset)
    _check_dtypes(description)
    if description.grid.crs or description.control_crs:
        check_proj(name)
    _check_blocks(name, dataset)
    return description


def _open_product(
    product: Product, close_on_failure: ExitStack
) -> tuple[list[Dataset], list[BandFile], Description]:
    """Open the files of a product.

    Returns:
        All open datasets, the file of each band, and the metadata of the bands together.

    Raises:
        RasterError: A file cannot be opened, or does not fit the others.
    """
    opened: dict[str, Dataset] = {}
    described: dict[str, Description] = {}

    def dataset_of(name: str) -> Dataset:
        if name not in opened:
            opened[name] = close_on_failure.enter_context(_open(name))
        return opened[name]

    parts, files, bands = [], [], []
    for band in product.bands:
        bands += [band] if band.number else _all_bands(band, dataset_of(band.file))
    product = replace(product, bands=tuple(bands))
    for band in product.bands:
        dataset = dataset_of(band.file)
        if band.number > dataset.count:
            raise RasterError(
                f"{band.file} has {dataset.count} bands, expected band {band.number} to be "
                f"{band.name}; {product.path} does not describe it"
            )
        if band.file not in described:
            described[band.file] = _described(band.file, dataset)
        parts.append(described[band.file])
        quality = None if band.quality is None else dataset_of(band.quality.name)
        if quality is not None and quality.shape != dataset.shape:
            raise RasterError(
                f"{quality.name} has {quality.width} x {quality.height} pixels, its band "
                f"{band.file} has {dataset.width} x {dataset.height}; the product is damaged"
            )
        files.append(
            BandFile(
                dataset,
                band.number,
                unusable=band.unusable,
                quality=quality,
                planes=_planes(band.quality, quality),
                bits=-1 if band.quality is None else band.quality.bits,
                holes=band.holes,
            )
        )
    product, parts, files = _on_one_grid(product, parts, files)
    stack = product_stack(product, parts)
    files = [
        replace(file, factor=band.factor, dtype=band.dtype)
        for file, band in zip(files, stack.bands, strict=True)
    ]
    return [*opened.values()], files, stack


def inspect(path: str | Path) -> tuple[Description, str | None]:
    """Describe a raster of any kind.

    Returns:
        The raster's metadata, and why `open_source` refuses its kind; None if it does not.

    Raises:
        RasterError: The file cannot be opened.
        InputError: The path is a directory, or the raster has no bands, only sub-datasets.
    """
    if find_product(path) is not None:
        with open_source(path) as source:
            return source.description, None
    with _opened(path) as dataset:
        description = describe(str(path), dataset)
    try:
        _check_dtypes(description)
    except InputError as refusal:
        return description, str(refusal)
    return description, None


def read_tags(path: str | Path) -> dict[str, str]:
    """Read the tags in the default metadata domain of a raster of any kind.

    Raises:
        RasterError: The file cannot be opened.
        InputError: The path is a directory.
    """
    product = find_product(path)
    if product is not None:
        return dict(product.tags)
    with raster_errors(f"cannot read the tags of {path}"), _opened(path) as dataset:
        return dict(dataset.tags())


def read_small(path: str | Path, side: int) -> Values:
    """Read a raster at reduced size, from its overviews.

    Args:
        path: A raster of any kind.
        side: Largest side of the reduced image, in pixels.

    Returns:
        Digital numbers, (band, y, x), of the first three bands, or of the first band if there are
        fewer than three.

    Raises:
        RasterError: The file cannot be read.
        InputError: The path is a directory.
    """
    with raster_errors(f"cannot read {path}"), _opened(path) as dataset:
        bands = [1, 2, 3] if dataset.count >= 3 else [1]
        shrink = max(1.0, max(dataset.shape) / side)
        shape = [len(bands), *(max(1, round(s / shrink)) for s in dataset.shape)]
        return dataset.read(bands, out_shape=shape)


def read_grid(path: str | Path) -> Grid:
    """Read the grid of a raster of any kind.

    Raises:
        RasterError: The file cannot be opened.
        InputError: The path is a directory.
    """
    if find_product(path) is not None:
        with open_source(path) as source:
            return source.description.grid
    with raster_errors(f"cannot read the grid of {path}"), _opened(path) as dataset:
        return grid_of(dataset)


@contextmanager
def _opened(path: str | Path) -> Iterator[Dataset]:
    """Open a dataset for a block, with GDAL's options for reading."""
    with _open(str(path)) as dataset, reading(str(path)):
        yield dataset


def _open(path: str) -> Dataset:
    """Open a dataset.

    Raises:
        RasterError: The file cannot be opened.
        InputError: The path is a directory.
    """
    if Path(path).is_dir():
        if is_product(Path(path)):
            raise InputError(
                f"{path} is a product, which cannot be stacked with others; upscale it alone, or "
                "name the files of its bands"
            )
        raise InputError(f"{path} is a directory, expected a raster file or a product")
    try:
        with raster_errors(f"cannot open {path}"), reading(path):
            dataset = open_dataset(path)
    except RasterError as error:
        if not path.lower().endswith(".zip"):
            raise
        raise RasterError(
            f"{error}; a raster in an archive opens as /vsizip/ARCHIVE.zip/NAME.tif"
        ) from error
    if dataset.driver == "VRT":
        try:
            check_sources(path)
        except RasterError:
            dataset.close()
            raise
    logger.debug(
        "opened %s: driver %s, %d x %d pixels, %d bands, blocks %s",
        path,
        dataset.driver,
        dataset.width,
        dataset.height,
        dataset.count,
        dataset.block_shapes[:1],
    )
    return dataset


def _check_dtypes(description: Description) -> None:
    """Refuse dtypes that cannot be super-resolved, with a hint how to convert the raster."""
    path = description.path
    dtypes = sorted({b.dtype for b in description.bands})
    if len(dtypes) > 1:
        raise InputError(
            f"{path} has bands of dtypes {', '.join(dtypes)}, expected one dtype for all bands of "
            "a GeoTIFF; copy the bands of each dtype to a file (gdal_translate -b N) and upscale "
            "the files"
        )
    if dtypes[0] not in DTYPES:
        hint = (
            "take the amplitude first (gdal_translate "
            f"DERIVED_SUBDATASET:AMPLITUDE:{path} amplitude.tif)"
            if "complex" in dtypes[0]
            else "convert it first (gdal_translate -ot Float64)"
        )
        raise InputError(f"{path} has dtype {dtypes[0]}, supported are {', '.join(DTYPES)}; {hint}")


def _check_blocks(path: str, dataset: Dataset) -> None:
    """Refuse blocks that do not fit into memory: GDAL never reads less than one block."""
    height, width = max(dataset.block_shapes, key=lambda shape: shape[0] * shape[1])
    size = height * width * np.dtype(dataset.dtypes[0]).itemsize
    if dataset.interleaving == Interleaving.pixel:
        size *= dataset.count
    check_memory(
        size,
        f"{path} is stored in blocks of {width} x {height} pixels, one of which",
        "convert it to small blocks first (gdal_translate -co TILED=YES)",
    )
