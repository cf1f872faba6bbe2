"""Sentinel-2 products, level 1C and 2A: a ``.SAFE`` folder, its zip, or the XML of a granule.

Both layouts are read: the one of 2015 and 2016, in which a product holds several granules, and the
one since. Source of names, values and masks: ESA, Sentinel-2 Products Specification Document.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree as ET

from rs_superres.errors import InputError, RasterError
from rs_superres.raster.products.files import ProductFiles, missing, number, stated, text_of
from rs_superres.raster.products.product import (
    Polygon,
    Product,
    ProductBand,
    QualityMask,
    Ring,
)

SENSOR = "sentinel-2"

METADATA = re.compile(
    r"(?:.*/)?(?:MTD_MSIL(?P<new>1C|2A)|S2[A-D]_\w+_MTD_SAFL(?P<old>1C|2A)\w*)\.xml"
)
"""The path of a product's own metadata, in the new and the old layout."""

GRANULE = re.compile(r"(?P<folder>(?:.*/)?GRANULE/(?P<name>[^/]+))/(?:MTD_TL|S2[A-D]_\w+)\.xml")
"""The path of a granule's metadata."""

IMAGE = re.compile(r"_(?P<band>B\d\d|B8A|SCL)(?:_L2A_\w+?)?(?:_(?P<resolution>\d\d)m)?\.jp2$")
"""The end of the path of a band's image; in the old layout, SCL is not last in its name."""

BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
"""The bands in spectral order; the position of a band is its ``band_id``."""

RESOLUTION = {"B02": 10, "B03": 10, "B04": 10, "B08": 10, "B01": 60, "B09": 60, "B10": 60}
"""Pixel size in metres of the bands that do not have 20 m."""

WAVELENGTHS = (
    *(442.7, 492.4, 559.8, 664.6, 704.1, 740.5, 782.8, 832.8, 864.7),
    *(945.1, 1373.5, 1613.7, 2202.4),
)
"""Centre wavelengths of the bands of Sentinel-2A, nm, for metadata that do not state them."""

COLOURS = {"B02": "blue", "B03": "green", "B04": "red", "B08": "nir"}

DEFAULT = ("B02", "B03", "B04", "B08", "SCL")
"""The bands that a result has if the caller chooses none; SCL only where there is one."""

QUALITY = re.compile(r"MSK_QUALIT_(B\w\w)\.jp2$")
"""The end of the path of a quality mask, since baseline 04.00."""

AREAS = re.compile(r"MSK_(?:DEFECT|SATURA|NODATA)_(?:.*_)?(?P<band>B\w\w)(?:_MSIL1C)?\.gml$")
"""The end of the path of areas that are not to be used, before baseline 04.00."""

UNUSABLE_PLANES = (3, 5, 6, 8)
"""Bands of MSK_QUALIT that mark lost packets, defective pixels, no data, and saturation."""

SCENE_CLASSES = (
    "no data",
    "saturated or defective",
    "dark area",
    "cloud shadow",
    "vegetation",
    "not vegetated",
    "water",
    "unclassified",
    "cloud, medium probability",
    "cloud, high probability",
    "thin cirrus",
    "snow or ice",
)
"""The classes of the scene classification (SCL)."""

AGAIN = "download the product again"


def find(path: Path) -> Product | None:
    """Return the product that a path names: a folder, a zip, or one of their metadata files.

    Raises:
        RasterError: it is a product, but cannot be read, or is not complete.
        InputError: it holds several granules, and the path does not say which.
    """
    root, wanted = _root(path)
    files = None if root is None or not _may_be(root) else ProductFiles.of(root)
    if root is None or files is None:
        return None
    metadata = [name for name in files.names if METADATA.fullmatch(name)]
    granules = {m["folder"]: name for name in files.names if (m := GRANULE.fullmatch(name))}
    if root.is_dir():  # in an archive, the product is a folder
        metadata = [name for name in metadata if "/" not in name]
        granules = {f: name for f, name in granules.items() if f.startswith("GRANULE/")}
    if not metadata:
        if not granules or not root.name.upper().removesuffix(".ZIP").endswith(".SAFE"):
            return None
        raise missing(str(path), ["its metadata MTD_MSIL1C.xml or MTD_MSIL2A.xml"], AGAIN)
    if len(metadata) > 1:
        raise InputError(
            f"{path} holds {len(metadata)} Sentinel-2 products, expected one; upscale each of them"
        )
    if wanted is not None:
        granules = {folder: name for folder, name in granules.items() if name == wanted}
    if not granules:
        raise missing(str(path), ["the metadata of a granule, GRANULE/*/MTD_TL.xml"], AGAIN)
    if len(granules) > 1:
        names = [files.shown(name) for name in granules.values()]
        raise InputError(
            f"{path} holds {len(granules)} granules, expected one; name its metadata instead, such "
            f"as {names[0]}"
        )
    [(folder, granule)] = granules.items()
    return _product(path, files, metadata[0], folder, granule)


def _may_be(root: Path) -> bool:
    """Return whether a folder or archive may be a product, before its files are listed."""
    if not root.is_dir():
        return True
    inside = [entry.name for entry in root.iterdir()]
    return root.suffix.upper() == ".SAFE" or any(map(METADATA.fullmatch, inside))


def _root(path: Path) -> tuple[Path | None, str | None]:
    """Return the folder or archive of a product, and the granule's metadata if the path names it.

    The folder is None if the path cannot be that of a product.
    """
    name = path.absolute().as_posix()
    if path.is_dir():
        found = [x.as_posix() for x in sorted(path.absolute().glob("*.xml"))]
        granule = next(filter(GRANULE.fullmatch, found), None)
        if granule is None:
            return path, None
    elif path.suffix.lower() == ".zip":
        return path, None
    elif METADATA.fullmatch(name):
        return path.parent, None
    elif GRANULE.fullmatch(name):
        granule = name
    else:
        return None, None
    root = Path(granule).parents[2]
    return root, Path(granule).relative_to(root).as_posix()


def _product(path: Path, files: ProductFiles, metadata: str, folder: str, granule: str) -> Product:
    """Read the metadata of a product and find the images of one granule."""
    match = METADATA.fullmatch(metadata)
    level = "" if match is None else match["new"] or match["old"]
    root = files.read_xml(metadata)
    baseline = text_of(root, "PROCESSING_BASELINE")
    tile = _tile(folder, files, granule)
    spacecraft = text_of(root, "SPACECRAFT_NAME") or "Sentinel-2"
    images = _images(files, folder)
    lacking = [band for band in DEFAULT[:4] if band not in images]
    if lacking:
        raise missing(str(path), [f"band {band} of {folder}" for band in lacking], AGAIN)
    facts = _Facts.of(files.shown(metadata), root, level)
    within = [name for name in files.names if name.startswith(f"{folder}/QI_DATA/")]
    masks = {
        found[1]: name
        for name in within
        if (found := QUALITY.search(name)) and _own_size(images.get(found[1], ""))
    }
    areas = {band: _areas(files, within, band) for band in BANDS if band in images}
    bands = [
        ProductBand(
            name=band,
            file=files.gdal(images[band]),
            default=band in DEFAULT,
            colour=COLOURS.get(band, ""),
            wavelength=facts.wavelengths[i],
            nodata=facts.nodata,
            scale=facts.scale,
            offset=facts.offsets.get(i, 0.0) * facts.scale,
            unusable=facts.saturated,
            quality=(
                QualityMask(name=files.gdal(masks[band]), planes=UNUSABLE_PLANES)
                if band in masks
                else None
            ),
            holes=areas[band],
        )
        for i, band in enumerate(BANDS)
        if band in images
    ]
    if "SCL" in images:
        bands.append(
            ProductBand(
                name="SCL",
                file=files.gdal(images["SCL"]),
                nearest=True,
                nodata=facts.nodata,
                classes=SCENE_CLASSES,
            )
        )
    tags = {
        "PRODUCT_URI": text_of(root, "PRODUCT_URI", "PRODUCT_URI_2A") or files.root.name,
        "SPACECRAFT_NAME": spacecraft,
        "PROCESSING_LEVEL": f"Level-{level}",
        "PROCESSING_BASELINE": baseline,
        "PRODUCT_START_TIME": text_of(root, "PRODUCT_START_TIME"),
        "TILE": tile,
    }
    return Product(
        path=str(path),
        title=f"{spacecraft} L{level}, baseline {baseline or 'unknown'}, {tile}",
        sensor=SENSOR,
        bands=tuple(bands),
        tags=stated(**tags),
        files=files.own(metadata, granule, *filter(AREAS.search, within)),
    )


def _areas(files: ProductFiles, names: Sequence[str], band: str) -> tuple[Polygon, ...]:
    """Read the areas of a band that are defective, saturated or without data.

    Args:
        files: the files of the product.
        names: those of the granule's quality data.
        band: the name of the band.

    Raises:
        RasterError: a file cannot be read, or holds a number that is none.
    """
    found: list[Polygon] = []
    for name in names:
        match = AREAS.search(name)
        if match is not None and match["band"] == band:
            for polygon in files.read_xml(name).iter("Polygon"):
                lines = [_ring(files.shown(name), text) for text in polygon.iter("posList")]
                found.append(tuple(lines))
    return tuple(polygon for polygon in found if polygon)


def _ring(where: str, element: ET.Element) -> Ring:
    """Read a line of points; the first two of their coordinates count."""
    values = [number(where, "posList", text) for text in (element.text or "").split()]
    size = int(number(where, "srsDimension", element.get("srsDimension", "2")))
    if size < 2 or len(values) % size or len(values) < 3 * size:
        raise RasterError(f"{where}: a posList has {len(values)} numbers, expected points")
    return tuple(zip(values[::size], values[1::size], strict=True))


def _tile(folder: str, files: ProductFiles, granule: str) -> str:
    """Return the name of a granule's tile, such as T33UUB, from its folder or its metadata."""
    name = PurePosixPath(folder).name
    found = re.search(r"_(T\d\d[A-Z]{3})(_|$)", name)
    if found is None:
        text = text_of(files.read_xml(granule), "TILE_ID")
        found = re.search(r"_(T\d\d[A-Z]{3})(_|$)", text)
    return name if found is None else found[1]


def _own_size(image: str) -> bool:
    """Return whether an image has its band's own pixel size, which is that of the masks."""
    match = IMAGE.search(image)
    if match is None:
        return False
    return match["resolution"] in {None, str(RESOLUTION.get(match["band"], 20))}


def _images(files: ProductFiles, folder: str) -> dict[str, str]:
    """Return the image of each band of a granule: the one of the band's own pixel size.

    Level 2A has images of several pixel sizes. If the right one is missing, the next coarser one
    is taken, or else the finest.
    """
    found: dict[str, dict[int, str]] = {}
    for name in files.names:
        match = IMAGE.search(name)
        if match is not None and name.startswith(f"{folder}/IMG_DATA/"):
            own = RESOLUTION.get(match["band"], 20)
            size = int(match["resolution"] or own)
            found.setdefault(match["band"], {})[size] = name
    images = {}
    for band, sizes in found.items():
        own = RESOLUTION.get(band, 20)
        coarser = [size for size in sizes if size >= own]
        images[band] = sizes[min(coarser, default=min(sizes))]
    return images


class _Facts:
    """What the metadata of a product say of the values of its bands."""

    def __init__(self) -> None:
        self.nodata: float | None = None
        self.saturated: tuple[float, ...] = ()
        self.scale = 1.0
        self.offsets: dict[int, float] = {}
        """Digital numbers to add before scaling, by ``band_id``."""
        self.wavelengths = list(WAVELENGTHS)

    @classmethod
    def of(cls, where: str, root: ET.Element, level: str) -> _Facts:
        """Read the facts.

        Args:
            where: the metadata file, for messages.
            root: its root element.
            level: 1C or 2A.

        Raises:
            RasterError: a number is missing or is none.
        """
        facts = cls()
        for special in root.iter("Special_Values"):
            kind, value = (
                text_of(special, "SPECIAL_VALUE_TEXT"),
                number(where, "SPECIAL_VALUE_INDEX", text_of(special, "SPECIAL_VALUE_INDEX")),
            )
            if kind == "NODATA":
                facts.nodata = value
            elif kind == "SATURATED":
                facts.saturated = (value,)
        quantification = "QUANTIFICATION_VALUE" if level == "1C" else "BOA_QUANTIFICATION_VALUE"
        text = text_of(root, quantification, "L1C_L2A_Quantification_Value")
        text = text or text_of(root, "L2A_BOA_QUANTIFICATION_VALUE")
        divisor = number(where, quantification, text)
        if not divisor > 0:
            raise RasterError(f"{where}: {quantification} is {text}, expected a number above 0")
        facts.scale = 1 / divisor
        for element in root.iter("RADIO_ADD_OFFSET" if level == "1C" else "BOA_ADD_OFFSET"):
            band = number(where, "band_id", element.get("band_id", ""))
            facts.offsets[int(band)] = number(where, element.tag, element.text or "")
        for element in root.iter("Spectral_Information"):
            band = number(where, "bandId", element.get("bandId", ""))
            central = text_of(element, "CENTRAL")
            if central and 0 <= band < len(BANDS):
                facts.wavelengths[int(band)] = number(where, "CENTRAL", central)
        return facts
