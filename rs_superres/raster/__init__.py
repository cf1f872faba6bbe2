"""The only package that opens rasters: what they say of themselves, windows in, results out."""

from rs_superres.raster.description import Band, Description, same_crs
from rs_superres.raster.formats import creation_options, finish, write_image
from rs_superres.raster.gdal import FAILURES
from rs_superres.raster.source import SAMPLE, Source, checksum, inspect, open_source, read_grid
from rs_superres.raster.target import Target, Writer, creating

__all__ = [
    "FAILURES",
    "SAMPLE",
    "Band",
    "Description",
    "Source",
    "Target",
    "Writer",
    "checksum",
    "creating",
    "creation_options",
    "finish",
    "inspect",
    "open_source",
    "read_grid",
    "same_crs",
    "write_image",
]
