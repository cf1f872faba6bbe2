"""Reads and writes rasters and their metadata; the only package that opens raster files."""

from rs_superres.raster.bounds import Bounds, window_within
from rs_superres.raster.formats import (
    check_creation,
    check_whole,
    creation_options,
    domain_names,
    finish,
    keeps_domains,
    write_image,
)
from rs_superres.raster.gdal import (
    BLOCK,
    FAILURES,
    block_cache,
    names_host,
    one_line,
    without_name,
)
from rs_superres.raster.location import (
    Place,
    crs_code,
    extent_text,
    footprint,
    longitude_turns,
    pixel_size,
    place_of,
    unit_note,
)
from rs_superres.raster.metadata import Band, Description, same_crs
from rs_superres.raster.mosaic import Tile, read_tile, tile_bytes, write_mosaic
from rs_superres.raster.names import COLOURS, colour_of, number_of, numbers_of
from rs_superres.raster.opening import inspect, open_source, read_grid, read_small, read_tags
from rs_superres.raster.products import Product, is_product, result_stem
from rs_superres.raster.search import (
    FoundRasters,
    SkippedFile,
    is_raster,
    is_sidecar,
    lines_about,
    rasters_below,
    reason_to_pass_over,
    unpacked,
)
from rs_superres.raster.selection import Selection
from rs_superres.raster.sidecars import check_alone, delete_sidecars, owner, sidecars
from rs_superres.raster.source import (
    SAMPLE,
    Paths,
    Sampled,
    Source,
    checksum,
    sample_windows,
    windows_over,
)
from rs_superres.raster.transparency import opacity, visible, with_alpha
from rs_superres.raster.writer import Target, creating, keep_crs

__all__ = [
    "BLOCK",
    "COLOURS",
    "FAILURES",
    "SAMPLE",
    "Band",
    "Bounds",
    "Description",
    "FoundRasters",
    "Paths",
    "Place",
    "Product",
    "Sampled",
    "Selection",
    "SkippedFile",
    "Source",
    "Target",
    "Tile",
    "block_cache",
    "check_alone",
    "check_creation",
    "check_whole",
    "checksum",
    "colour_of",
    "creating",
    "creation_options",
    "crs_code",
    "delete_sidecars",
    "domain_names",
    "extent_text",
    "finish",
    "footprint",
    "inspect",
    "is_product",
    "is_raster",
    "is_sidecar",
    "keep_crs",
    "keeps_domains",
    "lines_about",
    "longitude_turns",
    "names_host",
    "number_of",
    "numbers_of",
    "one_line",
    "opacity",
    "open_source",
    "owner",
    "pixel_size",
    "place_of",
    "rasters_below",
    "read_grid",
    "read_small",
    "read_tags",
    "read_tile",
    "reason_to_pass_over",
    "result_stem",
    "same_crs",
    "sample_windows",
    "sidecars",
    "tile_bytes",
    "unit_note",
    "unpacked",
    "visible",
    "window_within",
    "windows_over",
    "with_alpha",
    "without_name",
    "write_image",
    "write_mosaic",
]
