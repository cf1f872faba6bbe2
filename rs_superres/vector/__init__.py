"""Reads polygons of interest from vector files and finds the pixels of a result inside them."""

from rs_superres.vector.area import Area, read_area
from rs_superres.vector.polygons import LONGITUDE_LATITUDE, Polygons, read_polygons, split_layer

__all__ = ["LONGITUDE_LATITUDE", "Area", "Polygons", "read_area", "read_polygons", "split_layer"]
