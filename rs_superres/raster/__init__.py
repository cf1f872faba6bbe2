"""Reads and writes rasters and their metadata; the only package that opens raster files."""

from rs_superres.raster.formats import (
    check_creation,
    check_whole,
    creation_options,
    domain_names,
    finish,
    keeps_domains,
    write_image,
)
from rs_superres.raster.gdal import FAILURES, block_cache, one_line
from rs_superres.raster.location import Place, pixel_size, place_of
from rs_superres.raster.metadata import Band, Description, same_crs
from rs_superres.raster.opening import (
    SUFFIXES,
    SkippedFile,
    inspect,
    is_raster,
    open_source,
    rasters_below,
    read_grid,
    read_small,
    read_tags,
)
from rs_superres.raster.selection import Selection
from rs_superres.raster.source import SAMPLE, Paths, Sampled, Source, checksum, sample_windows
from rs_superres.raster.transparency import opacity, visible, with_alpha
from rs_superres.raster.writer import OutputBlock, Target, Writer, add_tags, check_written, creating

__all__ = [
    "FAILURES",
    "SAMPLE",
    "SUFFIXES",
    "Band",
    "Description",
    "OutputBlock",
    "Paths",
    "Place",
    "Sampled",
    "Selection",
    "SkippedFile",
    "Source",
    "Target",
    "Writer",
    "add_tags",
    "block_cache",
    "check_creation",
    "check_whole",
    "check_written",
    "checksum",
    "creating",
    "creation_options",
    "domain_names",
    "finish",
    "inspect",
    "is_raster",
    "keeps_domains",
    "one_line",
    "opacity",
    "open_source",
    "pixel_size",
    "place_of",
    "rasters_below",
    "read_grid",
    "read_small",
    "read_tags",
    "same_crs",
    "sample_windows",
    "visible",
    "with_alpha",
    "write_image",
]
