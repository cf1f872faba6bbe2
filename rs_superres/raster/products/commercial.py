"""Orders of Pléiades and SPOT (DIMAP), of Maxar (IMD), and of Planet (UDM2).

Source of names and values: Airbus, Pléiades and SPOT user guides (DIMAP V2); DigitalGlobe, Imagery
Support Data documentation; Planet, Imagery Product Specification.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rs_superres.errors import InputError, RasterError
from rs_superres.raster.gdal import open_dataset, raster_errors, reading
from rs_superres.raster.products.files import ProductFiles, missing, number, stated, text_of
from rs_superres.raster.products.product import Product, ProductBand, QualityMask

COLOURS = {
    "R": "red",
    "G": "green",
    "B": "blue",
    "N": "nir",
    "NIR": "nir",
    "RED": "red",
    "GREEN": "green",
    "BLUE": "blue",
}
"""The colours of bands by their names in orders of Airbus and Maxar."""

DIMAP = re.compile(r"(?:.*/)?DIM_[^/]+\.XML", re.IGNORECASE)
"""The path of the metadata of a Pléiades or SPOT image."""

IMD = re.compile(r"(?:.*/)?[^/]+\.IMD", re.IGNORECASE)
"""The path of the metadata of a Maxar image."""

IMAGE_FOLDER = re.compile(r"IMG_.+|.+_P\d{3}_[A-Z\d]+", re.IGNORECASE)
"""The name of an image's folder in an order of Airbus or Maxar."""

RASTER = re.compile(r"\.(tiff?|jp2|ntf)$")
"""The end of the name of a raster, in small letters."""

TILE = re.compile(r"_r\d+c\d+(?=[-_.])")
"""Row and column of a tile in the name of a raster, in small letters."""

MAXAR = {
    "QB02": "quickbird",
    "IK01": "ikonos",
    "IK02": "ikonos",
    "GE01": "geoeye-1",
    "WV02": "worldview-2",
    "WV03": "worldview-3",
}
"""The names of sensors by Maxar's names of satellites."""

PLANET = re.compile(
    r"(?P<scene>.+?)(?P<level>_3B|_1B|)_(?P<kind>Analytic|analytic)(?:MS|_5B)?"
    r"(?P<surface>_SR|_sr)?(?:_8b)?(?:_harmonized)?(?P<clip>_clip)?\.tif"
)
"""The file name of an analytic image of Planet."""

PLANET_BANDS = {
    4: ("blue", "green", "red", "nir"),
    5: ("blue", "green", "red", "rededge", "nir"),
    8: ("coastal_blue", "blue", "green_i", "green", "yellow", "red", "rededge", "nir"),
}
"""The bands of an analytic image by their number."""

PLANET_UNUSABLE = 0b11111101
"""Bits of the last band of UDM2 that mark a pixel as unusable: all except that of clouds."""

MOST_BANDS = 64
"""Largest number of bands of an image: no satellite of Airbus has more."""

AGAIN = "download the order again"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Image:
    """An image of an order."""

    raster: str
    """The image, as GDAL opens it."""
    names: tuple[str, ...]
    """The names of its bands, in the order of the image."""
    colours: tuple[str, ...]
    """Their colours; empty where they are none."""
    title: str
    sensor: str | None
    tags: dict[str, str]
    metadata: str
    """The path of the metadata in the order."""
    files: tuple[str, ...]
    """The paths of the image's rasters; tiles may have names with row and column in them."""

    @property
    def coloured(self) -> bool:
        """Whether the image holds red, green and blue."""
        return {"red", "green", "blue"} <= set(self.colours)


def find_dimap(path: Path) -> Product | None:
    """Return the Pléiades or SPOT image that a path names: an order's folder, or its DIM file.

    Raises:
        RasterError: it is an image, but cannot be read, or is not complete.
        InputError: the order holds several images.
    """
    return _found(path, DIMAP, _dimap)


def find_maxar(path: Path) -> Product | None:
    """Return the Maxar image that a path names: an order's folder, or its IMD file.

    Raises:
        RasterError: it is an image, but cannot be read, or is not complete.
        InputError: the order holds several images.
    """
    return _found(path, IMD, _imd)


def _found(
    path: Path,
    pattern: re.Pattern[str],
    read: Callable[[ProductFiles, str], _Image | None],
) -> Product | None:
    """Return the image that a path names, by the files that describe the images of an order."""
    if path.is_dir():
        files = ProductFiles.of(path) if _has_images(path, pattern) else None
    elif path.suffix.lower() in {".xml", ".imd"} and pattern.fullmatch(path.name):
        files = ProductFiles.of(path.parent)
    else:
        return None
    if files is None:
        return None
    names = [name for name in files.names if pattern.fullmatch(name) and _is_near(name)]
    if not path.is_dir():
        names = [path.name]
    images = [image for name in names if (image := read(files, name)) is not None]
    if not images or (path.is_dir() and _holds_others(files, images)):
        return None
    coloured = [image for image in images if image.coloured] if len(images) > 1 else images
    if len(coloured) != 1:
        raise InputError(
            f"{path} holds {len(images)} images, expected one; name its metadata instead, such as "
            f"{files.shown(images[0].metadata)}"
        )
    [image] = coloured
    bands = tuple(
        ProductBand(name=name, file=image.raster, number=i, colour=colour, nodata=0.0)
        for i, (name, colour) in enumerate(zip(image.names, image.colours, strict=True), start=1)
    )
    apart = {"+".join(other.names): other.raster for other in images if other is not image}
    return Product(
        path=str(path),
        title=image.title,
        sensor=image.sensor,
        bands=bands,
        apart=apart,
        tags=image.tags,
        files=files.own(image.metadata),
    )


def _is_near(name: str) -> bool:
    """Return whether a path leads to a file of an order's folder, or of an image's folder in it."""
    parts = PurePosixPath(name).parts
    return len(parts) == 1 or (len(parts) == 2 and IMAGE_FOLDER.fullmatch(parts[0]) is not None)


def _holds_others(files: ProductFiles, images: Sequence[_Image]) -> bool:
    """Return whether a folder holds rasters that belong to none of an order's images."""
    owned = {name.lower() for image in images for name in image.files}
    tiles = (
        (name, TILE.sub("", name.lower())) for name in files.names if RASTER.search(name.lower())
    )
    return any(name.lower() not in owned and plain not in owned for name, plain in tiles)


def _has_images(folder: Path, pattern: re.Pattern[str]) -> bool:
    """Return whether a folder, or an image's folder in it, has a file that describes an image."""
    images = [x for x in folder.iterdir() if IMAGE_FOLDER.fullmatch(x.name) and x.is_dir()]
    return any(pattern.fullmatch(x.name) for place in (folder, *images) for x in place.iterdir())


def _dimap(files: ProductFiles, metadata: str) -> _Image | None:
    """Read the metadata of a Pléiades or SPOT image; None if they describe something else."""
    root = files.read_xml(metadata)
    if root.tag != "Dimap_Document" or next(root.iter("Raster_Data"), None) is None:
        return None
    folder = PurePosixPath(metadata).parent
    images = [
        str(folder / element.get("href", ""))
        for element in root.iter("DATA_FILE_PATH")
        if element.get("href")
    ]
    lacking = [name for name in images if name not in files.names]
    where = files.shown(metadata)
    if lacking or not images:
        raise missing(where, lacking[:1] or ["the path of an image (DATA_FILE_PATH)"], AGAIN)
    count = number(where, "NBANDS", text_of(root, "NBANDS"))
    if count not in range(1, MOST_BANDS + 1):
        raise RasterError(f"{where}: NBANDS is {count:g}, expected 1 to {MOST_BANDS}")
    order = {
        number(where, "BAND_INDEX", text_of(entry, "BAND_INDEX")): text_of(entry, "BAND_ID")
        for entry in root.iter("Raster_Index")
    }
    indices = range(1, int(count) + 1)
    complete = order.keys() == set(indices)
    names = tuple(order[i] if complete else f"band {i}" for i in indices)
    shown = {
        text_of(root, f"{colour.upper()}_CHANNEL"): colour for colour in ("red", "green", "blue")
    }
    # B0 to B3 are blue, green, red and near infrared in all orders with these names.
    shown |= {"B3": "nir"} if {"B0", "B1", "B2", "B3"} <= set(names) else {}
    colours = tuple(COLOURS.get(name, shown.get(name, "")) for name in names)
    mission = " ".join(filter(None, (text_of(root, "MISSION"), text_of(root, "MISSION_INDEX"))))
    date = text_of(root, "IMAGING_DATE")
    words = mission or "DIMAP", text_of(root, "SPECTRAL_PROCESSING"), date
    return _Image(
        raster=files.gdal(metadata),
        names=names,
        colours=colours if count >= 3 else ("",) * len(names),
        title=" ".join(filter(None, words)),
        sensor=None,
        tags=stated(
            PRODUCT_URI=PurePosixPath(metadata).stem,
            SPACECRAFT_NAME=mission,
            PRODUCT_START_TIME=date,
        ),
        metadata=metadata,
        files=tuple(images),
    )


def _imd(files: ProductFiles, metadata: str) -> _Image | None:
    """Read the metadata of a Maxar image; None if they name no bands."""
    text = files.read(metadata).decode("utf-8", "replace")
    names = tuple(re.findall(r"^\s*BEGIN_GROUP\s*=\s*BAND_(\w+)", text, re.MULTILINE))
    if not names:
        return None

    def value(key: str) -> str:
        match = re.search(rf'^\s*{key}\s*=\s*"?([^";\n]*)"?\s*;?\s*$', text, re.MULTILINE)
        return "" if match is None else match[1].strip()

    stem, held = metadata[: -len(".IMD")], {name.lower(): name for name in files.names}
    raster = next(
        (held[f"{stem}{suffix}".lower()] for suffix in (".TIL", ".TIF", ".NTF", ".TIFF")
         if f"{stem}{suffix}".lower() in held),
        None,
    )  # fmt: skip
    if raster is None:
        raise missing(files.shown(metadata), [f"{PurePosixPath(stem).name}.TIL or .TIF"], AGAIN)
    satellite, sharpened = value("satId"), value("panSharpenAlgorithm") not in {"", "None"}
    coloured, time = (
        {"R", "G", "B"} <= set(names),
        value("firstLineTime") or value("earliestAcqTime"),
    )
    level, kind = value("productLevel"), "pansharpened" if sharpened else value("bandId")
    words = satellite or "Maxar", level, kind, time.partition("T")[0]
    return _Image(
        raster=files.gdal(raster),
        names=names,
        colours=tuple(COLOURS.get(name, "") if coloured else "" for name in names),
        title=" ".join(filter(None, words)),
        sensor=MAXAR.get(satellite) if coloured and not sharpened else None,
        tags=stated(
            PRODUCT_URI=PurePosixPath(stem).name,
            SPACECRAFT_NAME=satellite,
            PROCESSING_LEVEL=level,
            PRODUCT_START_TIME=time,
        ),
        metadata=metadata,
        files=tuple(f"{stem}{suffix}" for suffix in (".til", ".tif", ".tiff", ".ntf")),
    )


def find_planet(path: Path) -> Product | None:
    """Return the analytic image of PlanetScope or SkySat that a path names, with its UDM2 mask.

    The image alone says what its bands are; it becomes a product by the mask or the metadata that
    lie beside it.

    Raises:
        RasterError: the metadata cannot be read.
    """
    match = PLANET.fullmatch(path.name) if path.suffix.lower() == ".tif" else None
    if match is None or not path.is_file():
        return None
    name = str(path)
    with raster_errors(f"cannot open {name}"), reading(name), open_dataset(name) as dataset:
        count = dataset.count
    if count not in PLANET_BANDS:
        return None
    files = ProductFiles(path.parent, tuple(sorted(x.name for x in path.parent.iterdir())))
    stem = re.escape(match["scene"] + match["level"])
    clip = match["clip"] or ""
    masks = [name for name in files.names if re.fullmatch(rf"{stem}_udm2{clip}\.tif", name)]
    metadata = [
        name
        for name in files.names
        if re.fullmatch(rf"{stem}_[Aa]nalytic.*_metadata{clip}\.xml", name)
    ]
    if not masks and not metadata:
        return None
    coefficients, spacecraft = _planet_metadata(files, metadata)
    names, surface = PLANET_BANDS[count], match["surface"] is not None
    level = "surface reflectance" if surface else "top of atmosphere"
    quality = None
    if masks:
        quality = QualityMask(name=files.gdal(masks[0]), planes=(8,), bits=PLANET_UNUSABLE)
    bands = tuple(
        ProductBand(
            name=name,
            file=str(path),
            number=i,
            colour=name if name in {"red", "green", "blue", "nir"} else "",
            nodata=0.0,
            scale=1e-4 if surface else coefficients.get(i, 1.0),
            quality=quality,
        )
        for i, name in enumerate(names, start=1)
    )
    kind = "SkySat" if "ssc" in match["scene"] or "_s1" in match["scene"] else "PlanetScope"
    return Product(
        path=str(path),
        title=f"{spacecraft or kind} {level}, {match['scene']}",
        sensor=None,
        bands=bands,
        tags=stated(PRODUCT_URI=match["scene"], SPACECRAFT_NAME=spacecraft or kind),
        files=files.own(*metadata),
    )


def _planet_metadata(files: ProductFiles, metadata: Sequence[str]) -> tuple[dict[int, float], str]:
    """Return the factor to reflectance of each band by its number, and the spacecraft.

    Raises:
        RasterError: the metadata cannot be read.
    """
    coefficients: dict[int, float] = {}
    if not metadata:
        return coefficients, ""
    root, where = files.read_xml(metadata[0]), files.shown(metadata[0])
    for entry in root.iter("bandSpecificMetadata"):
        band = int(number(where, "bandNumber", text_of(entry, "bandNumber")))
        coefficient = text_of(entry, "reflectanceCoefficient")
        if coefficient:
            coefficients[band] = number(where, "reflectanceCoefficient", coefficient)
    return coefficients, text_of(root, "shortName")
