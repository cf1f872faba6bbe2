"""Products as agencies and providers deliver them: folders and archives of several rasters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from rs_superres.errors import InputError, SuperResError
from rs_superres.raster.products import commercial, landsat, sentinel2, stac
from rs_superres.raster.products.files import result_stem
from rs_superres.raster.products.product import Product, ProductBand, QualityMask

__all__ = [
    "Product",
    "ProductBand",
    "QualityMask",
    "find_product",
    "is_product",
    "others_in",
    "result_stem",
]

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
        # A link leads to the product's other files.
        real = file.resolve() if file.is_symlink() else file
        found = next(filter(None, (find(real) for find in FINDERS)), None)
        return found if found is None or real is file else replace(found, path=str(path))
    except SuperResError:
        raise
    except (OSError, ValueError):  # a folder that cannot be read, a name that no file can have
        return None


def is_product(path: Path) -> bool:
    """Return whether a path names a product, even one that cannot be read."""
    try:
        return find_product(path) is not None
    except InputError:  # several images in a folder: each is a product
        return not path.is_dir() or path.suffix.upper() == ".SAFE"
    except SuperResError:
        return True


def others_in(folder: Path, names: Iterable[str]) -> list[Path]:
    """Return the files in a product's folder that do not belong to the product.

    Args:
        folder: the folder, for which :func:`is_product` holds.
        names: the names of the files in it.
    """
    try:
        product = find_product(folder)
    except SuperResError:
        return []
    stem = "" if product is None else product.stem.lower()
    return [folder / name for name in sorted(names) if not name.lower().startswith(stem)]
