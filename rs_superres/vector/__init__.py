"""Reads polygons of interest from GeoJSON and finds the pixels of a result inside them."""

from rs_superres.vector.area import Area, read_area
from rs_superres.vector.geojson import LONGITUDE_LATITUDE, Polygons, read_polygons

__all__ = ["LONGITUDE_LATITUDE", "Area", "Polygons", "read_area", "read_polygons"]
