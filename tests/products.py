"""Small products with the names, folders and metadata of real ones, written by code.

They are so like real ones that GDAL's driver for Sentinel-2 reads them too.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine

Image = npt.NDArray[np.generic]
Images = dict[tuple[str, int], Image]
"""Images by the name of the band and the size of its pixels in metres."""

UTM = "EPSG:32633"
LEFT, TOP = 399960.0, 5800020.0
TILE = "T33UUB"
OLD_STAMP = "PDMC_20160101T120000_R022_V20160101T100000_20160101T100000"
NAMES = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
SIZES = {"B02": 10, "B03": 10, "B04": 10, "B08": 10, "B01": 60, "B09": 60, "B10": 60, "TCI": 10}
"""Pixel size in metres of the bands that do not have 20 m."""
WAVELENGTHS = (442, 492, 559, 665, 704, 740, 780, 833, 864, 943, 1377, 1610, 2186)


def ground(side: int, band: int, *, low: int = 1200, high: int = 5000) -> npt.NDArray[np.uint16]:
    """Return smooth ground with edges, (side, side), other for each band."""
    y, x = np.mgrid[0:side, 0:side] / side
    roofs = (np.floor(6 * x) + np.floor(5 * y)) % 2
    waves = np.sin(9 * x + band) + np.cos(7 * y - band) + roofs
    scaled = (waves - waves.min()) / np.ptp(waves)
    image: npt.NDArray[np.uint16] = (low + scaled * (high - low)).astype(np.uint16)
    return image


def write_jp2(path: Path, image: Image, size: float) -> None:
    """Write a lossless JPEG 2000 file, (y, x) or (band, y, x), with pixels of a size in metres."""
    image = image if image.ndim == 3 else image[None]
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="JP2OpenJPEG", count=len(image), height=image.shape[1],
        width=image.shape[2], dtype=image.dtype, crs=UTM, QUALITY=100, REVERSIBLE="YES",
        transform=Affine(size, 0, LEFT, 0, -size, TOP),
    ) as file:  # fmt: skip
        file.write(image)


def sentinel2(  # noqa: PLR0913 (what products differ in)
    folder: Path,
    *,
    level: str = "2A",
    baseline: str = "05.10",
    side: int = 120,
    old: bool = False,
    tile: str = TILE,
    pixels: Mapping[str, Image] | None = None,
) -> Path:
    """Write a Sentinel-2 product of one granule.

    Args:
        folder: where the product is written.
        level: 1C or 2A.
        baseline: the processing baseline; since 04.00 there are offsets and quality masks. Before
            02.07, files and metadata of level 2A have other names.
        side: side of the 10 m bands in pixels, a multiple of 6.
        old: whether the layout is that of before December 2016.
        tile: the name of the tile; the place is the same for all.
        pixels: images instead of :func:`ground`, by the name of the band; ``MSK_B02`` is the
            quality mask of B02.

    Returns:
        The ``.SAFE`` folder.
    """
    layout, given = Layout(level=level, baseline=baseline, old=old, tile=tile), dict(pixels or {})
    images = _images(layout, side, given)
    safe = folder / layout.safe
    inside = safe / "GRANULE" / layout.granule
    for (name, size), image in images.items():
        write_jp2(inside / f"{layout.image(name, size)}.jp2", image, size)
    for name in NAMES if layout.number >= 4 else ():
        size = SIZES.get(name, 20)
        masks = given.get(f"MSK_{name}", np.zeros((8, *[side * 10 // size] * 2), np.uint8))
        write_jp2(inside / "QI_DATA" / f"MSK_QUALIT_{name}.jp2", masks, size)
    texts = {
        safe / layout.metadata: _product(layout, list(images)),
        inside / layout.granule_metadata: _granule(layout, side),
        # What nothing reads.
        safe / "manifest.safe": "<xfdu:XFDU/>",
        safe / "INSPIRE.xml": "<gmd:MD_Metadata/>",
        safe / "DATASTRIP" / layout.granule.replace("T33UUB", "DS") / "MTD_DS.xml": "<Datastrip/>",
        inside / "QI_DATA" / "GENERAL_QUALITY.xml": "<Earth_Explorer_File/>",
    }
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    write_jp2(inside / "QI_DATA" / f"{tile}_PVI.jp2", np.ones((3, 9, 9), np.uint8), 320)
    return safe


def zipped(folder: Path) -> Path:
    """Put a product's folder into an archive beside it, as the data hubs do."""
    is_old = "_PRD_" in folder.name
    path = folder.with_name((folder.stem if is_old else folder.name) + ".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, f"{folder.name}/{file.relative_to(folder).as_posix()}")
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The names of a product's files, by its level, baseline, age and tile."""

    level: str
    baseline: str
    old: bool
    tile: str

    @property
    def number(self) -> float:
        """The baseline as a number."""
        return float(self.baseline)

    @property
    def pilot(self) -> bool:
        """Whether names of level 2A have the prefix ``L2A_``."""
        return self.level == "2A" and self.number < 2.07

    @property
    def spacecraft(self) -> str:
        """A, or B."""
        return "A" if self.old else "B"

    @property
    def safe(self) -> str:
        """The product's folder."""
        if self.old:
            return f"{self._old('PRD_MSIL')}_{OLD_STAMP}.SAFE"
        sensed, number = "20230823T095559", self.baseline.replace(".", "")
        return f"S2B_MSIL{self.level}_{sensed}_N{number}_R122_{self.tile}_20230823T120234.SAFE"

    @property
    def metadata(self) -> str:
        """The product's metadata, below its folder."""
        if self.old:
            return f"{self._old('MTD_SAFL')}_{OLD_STAMP}.xml"
        return f"MTD_MSIL{self.level}.xml"

    @property
    def identifier(self) -> str:
        """The granule as the metadata name it."""
        if self.old:
            return f"{self._stem('MSI')}_N{self.baseline}"
        made = f"2BPS_20230823T120234_A033753_{self.tile}_N{self.baseline}"
        return f"S2B_OPER_MSI_L{self.level}_TL_{made}"

    @property
    def granule(self) -> str:
        """The granule's folder, below GRANULE."""
        return self.identifier if self.old else f"L{self.level}_{self.tile}_A033753_20230823T095553"

    @property
    def granule_metadata(self) -> str:
        """The granule's metadata, below its folder."""
        return f"{self._stem('MTD')}.xml" if self.old else "MTD_TL.xml"

    def image(self, name: str, size: int) -> str:
        """Return the path of an image below the granule's folder, without its suffix."""
        stem = f"{'L2A_' if self.pilot else ''}{self.tile}_20230823T095559_{name}"
        folder, end = f"IMG_DATA/R{size}m", f"_{size}m"
        if self.level == "1C":
            folder, end = "IMG_DATA", ""
        if self.old:
            stem = f"{self._stem('MSI')}_{name}" if name in NAMES else self._stem(name)
            folder = "IMG_DATA" if name == "SCL" else folder
        return f"{folder}/{stem}{end}"

    def _stem(self, kind: str) -> str:
        """Return the stem of the files of a granule in the old layout."""
        return f"{self._old(f'{kind}_L')}_TL_SGS__20160101T120000_A002792_{self.tile}"

    def _old(self, kind: str) -> str:
        """Return the beginning of a name in the old layout."""
        return f"S2A_{'USER' if self.level == '2A' else 'OPER'}_{kind}{self.level}"


def _images(layout: Layout, side: int, given: Mapping[str, Image]) -> Images:
    """Return all images of a product; level 2A has most bands with larger pixels too."""
    images: Images = {}
    for i, name in enumerate(NAMES):
        own = SIZES.get(name, 20)
        images[name, own] = given.get(name, ground(side * 10 // own, i))
    if not layout.old:
        images["TCI", 10] = np.full((3, side, side), 99, np.uint8)
    if layout.level == "1C":
        return images
    del images["B10", 60]
    classes = ground(side // 2, 3, low=3, high=7).astype(np.uint8)
    images["SCL", 20] = given.get("SCL", classes)
    images["SCL", 60] = images["SCL", 20][::3, ::3]
    images["B01", 20] = ground(side // 2, 0)
    for (name, own), image in list(images.items()):
        for size in {20, 60} if name in NAMES and name not in {"B01", "B08", "B09"} else ():
            if size > own:
                blocks = image.reshape(*[len(image) * own // size, size // own] * 2)
                images[name, size] = blocks.mean(axis=(1, 3)).astype(image.dtype)
    for size in (10, 20, 60):
        for name in ("AOT", "WVP"):
            images[name, size] = np.full([side * 10 // size] * 2, 300, np.uint16)
    return images


def _product(layout: Layout, images: list[tuple[str, int]]) -> str:
    """Return a product's metadata: the fields that are read, where real ones have them."""
    level, pilot = layout.level, "L2A_" if layout.pilot else ""
    root = f"n1:Level-{level}_User_Product"
    schema = f"https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-{level}.xsd"
    kind = f"S2MSI{level}{'p' if pilot else ''}"
    uri = f"PRODUCT_URI{'_2A' if pilot else ''}"
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<{root} xmlns:n1="{schema}">
<n1:General_Info><{pilot}Product_Info>
<PRODUCT_START_TIME>2023-08-23T09:55:59.024Z</PRODUCT_START_TIME>
<{uri}>{layout.safe}</{uri}><PROCESSING_LEVEL>Level-{level}</PROCESSING_LEVEL>
<PRODUCT_TYPE>{kind}</PRODUCT_TYPE>
<PROCESSING_BASELINE>{layout.baseline}</PROCESSING_BASELINE>
<Datatake><SPACECRAFT_NAME>Sentinel-2{layout.spacecraft}</SPACECRAFT_NAME></Datatake>
{_query(layout)}
<{pilot}Product_Organisation>
{_organisation(layout, images)}
</{pilot}Product_Organisation>
</{pilot}Product_Info>
<{pilot}Product_Image_Characteristics>
{_values(layout)}
<Spectral_Information_List>{_spectral()}</Spectral_Information_List>
</{pilot}Product_Image_Characteristics></n1:General_Info></{root}>
"""


def _query(layout: Layout) -> str:
    """Return what was ordered: the format, and in the old layout the bands."""
    bands = "".join(f"<BAND_NAME>{_short(name)}</BAND_NAME>" for name in NAMES)
    bands = f"<Band_List>{bands}</Band_List>" if layout.old else ""
    form = "SAFE" if layout.old else "SAFE_COMPACT"
    return f"<Query_Options>{bands}<PRODUCT_FORMAT>{form}</PRODUCT_FORMAT></Query_Options>"


def _organisation(layout: Layout, images: list[tuple[str, int]]) -> str:
    """Return the list of the granule's images; in the old layout without their folder."""
    tag = "IMAGE_ID" if layout.old else "IMAGE_FILE"
    tag += "_2A" if layout.level == "2A" and (layout.old or layout.pilot) else ""
    paths = [layout.image(*image) for image in images]
    texts = [
        path.rpartition("/")[2] if layout.old else f"GRANULE/{layout.granule}/{path}"
        for path in paths
    ]
    files = "".join(f"<{tag}>{text}</{tag}>" for text in texts)
    granule = "Granules" if layout.old else "Granule"
    head = f'{granule} granuleIdentifier="{layout.identifier}" imageFormat="JPEG2000"'
    return f"<Granule_List><{head}>{files}</{granule}></Granule_List>"


def _values(layout: Layout) -> str:
    """Return what digital numbers mean."""
    special = "".join(
        f"<Special_Values><SPECIAL_VALUE_TEXT>{text}</SPECIAL_VALUE_TEXT>"
        f"<SPECIAL_VALUE_INDEX>{index}</SPECIAL_VALUE_INDEX></Special_Values>"
        for text, index in (("NODATA", 0), ("SATURATED", 65535))
    )
    value, values = "QUANTIFICATION_VALUE", ""
    offset, offsets = "RADIO_ADD_OFFSET", "Radiometric_Offset_List"
    if layout.level == "2A":
        value, values = f"BOA_{value}", "QUANTIFICATION_VALUES_LIST"
        offset, offsets = "BOA_ADD_OFFSET", "BOA_ADD_OFFSET_VALUES_LIST"
    if layout.pilot:
        value, values = f"L2A_{value}", "L1C_L2A_Quantification_Values_List"
    divisor = f'<{value} unit="none">10000</{value}>'
    if values:
        others = "<AOT_QUANTIFICATION_VALUE>1000.0</AOT_QUANTIFICATION_VALUE>"
        divisor = f"<{values}>{divisor}{others}</{values}>"
    if layout.number < 4:
        return special + divisor
    added = "".join(f'<{offset} band_id="{i}">-1000</{offset}>' for i in range(len(NAMES)))
    return f"{special}{divisor}<{offsets}>{added}</{offsets}>"


def _spectral() -> str:
    """Return the wavelengths of all bands."""
    return "".join(
        f'<Spectral_Information bandId="{i}" physicalBand="{_short(name)}">'
        f"<RESOLUTION>{SIZES.get(name, 20)}</RESOLUTION>"
        f'<Wavelength><CENTRAL unit="nm">{wavelength}</CENTRAL></Wavelength>'
        "</Spectral_Information>"
        for i, (name, wavelength) in enumerate(zip(NAMES, WAVELENGTHS, strict=True))
    )


def _short(name: str) -> str:
    """Return the name of a band in the metadata: B1 for B01."""
    return name.replace("B0", "B")


def _granule(layout: Layout, side: int) -> str:
    """Return a granule's metadata."""
    sizes = "".join(
        f'<Size resolution="{size}"><NROWS>{side * 10 // size}</NROWS>'
        f"<NCOLS>{side * 10 // size}</NCOLS></Size>"
        for size in (10, 20, 60)
    )
    places = "".join(
        f'<Geoposition resolution="{size}"><ULX>{LEFT:.0f}</ULX><ULY>{TOP:.0f}</ULY>'
        f"<XDIM>{size}</XDIM><YDIM>-{size}</YDIM></Geoposition>"
        for size in (10, 20, 60)
    )
    root, tag = f"n1:Level-{layout.level}_Tile_ID", "TILE_ID_2A" if layout.pilot else "TILE_ID"
    schema = f"S2_PDI_Level-{layout.level}_Tile_Metadata.xsd"
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<{root} xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/{schema}">
<n1:General_Info><{tag} metadataLevel="Brief">{layout.identifier}</{tag}></n1:General_Info>
<n1:Geometric_Info><Tile_Geocoding metadataLevel="Brief">
<HORIZONTAL_CS_CODE>EPSG:32633</HORIZONTAL_CS_CODE>{sizes}{places}
</Tile_Geocoding></n1:Geometric_Info></{root}>
"""
