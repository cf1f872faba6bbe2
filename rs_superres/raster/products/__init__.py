"""Products as agencies and providers deliver them: folders and archives of several rasters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rs_superres.errors import SuperResError
from rs_superres.raster.products import commercial, landsat, sentinel2, stac
from rs_superres.raster.products.files import result_stem
from rs_superres.raster.products.product import Product, ProductBand, QualityMask

__all__ = ["Product", "ProductBand", "QualityMask", "find_product", "is_product", "result_stem"]

FINDERS: tuple[Callable[[Path], Product | None], ...] = (
    sentinel2.find,
    landsat.find,
    commercial.find_dimap,
    commercial.find_maxar,
    commercial.find_planet,
    stac.find,
)
"""For each kind of product, a function that returns the one that a path names."""


def find_product(path: str | Path) -> Product | None:
    """Return the product that a path names; None if it names none.

    Raises:
        RasterError: it is a product, but cannot be read, or is not complete.
        InputError: it holds several scenes, and the path does not say which.
    """
    if isinstance(path, str) and stac.ADDRESS.fullmatch(path):
        return stac.find_address(path)
    file = Path(path)
    try:
        if not file.exists():
            return None
        return next(filter(None, (find(file) for find in FINDERS)), None)
    except SuperResError:
        raise
    except (OSError, ValueError):  # a folder that cannot be read, a name that no file can have
        return None


def is_product(path: Path) -> bool:
    """Return whether a path names a product, even one that cannot be read."""
    try:
        return find_product(path) is not None
    except SuperResError:
        return True
