"""Small products with the names, folders and metadata of real ones, written by code."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine

UTM = "EPSG:32633"
LEFT, TOP = 399960.0, 5800020.0
NAMES = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
SIZES = {"B02": 10, "B03": 10, "B04": 10, "B08": 10, "B01": 60, "B09": 60, "B10": 60}
WAVELENGTHS = (442, 492, 559, 665, 704, 740, 780, 833, 864, 943, 1377, 1610, 2186)


def ground(side: int, band: int, *, low: int = 1200, high: int = 5000) -> npt.NDArray[np.uint16]:
    """Return smooth ground with edges, (side, side), other for each band."""
    y, x = np.mgrid[0:side, 0:side] / side
    roofs = (np.floor(6 * x) + np.floor(5 * y)) % 2
    waves = np.sin(9 * x + band) + np.cos(7 * y - band) + roofs
    scaled = (waves - waves.min()) / np.ptp(waves)
    return (low + scaled * (high - low)).astype(np.uint16)


def write_jp2(path: Path, image: npt.NDArray[np.generic], size: float) -> None:
    """Write a lossless JPEG 2000 file, (y, x) or (band, y, x), with pixels of a size in metres."""
    image = image if image.ndim == 3 else image[None]
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="JP2OpenJPEG", count=len(image), height=image.shape[1],
        width=image.shape[2], dtype=image.dtype, crs=UTM, QUALITY=100, REVERSIBLE="YES",
        transform=Affine(size, 0, LEFT, 0, -size, TOP),
    ) as file:  # fmt: skip
        file.write(image)


def sentinel2(
    folder: Path,
    *,
    level: str = "2A",
    baseline: str = "05.10",
    side: int = 120,
    old: bool = False,
    pixels: Mapping[str, npt.NDArray[np.generic]] | None = None,
) -> Path:
    """Write a Sentinel-2 product of one granule.

    Args:
        folder: where the product is written.
        level: 1C or 2A.
        baseline: the processing baseline; since 04.00 there are offsets and quality masks.
        side: side of the 10 m bands in pixels, a multiple of 6.
        old: whether the layout is that of before December 2016.
        pixels: images of some bands, instead of :func:`ground`.

    Returns:
        The ``.SAFE`` folder.
    """
    number, new = baseline.replace(".", ""), not old
    offsets = float(baseline) >= 4
    name = f"S2B_MSIL{level}_20230823T095559_N{number}_R122_T33UUB_20230823T120234.SAFE"
    granule = f"L{level}_T33UUB_A033753_20230823T095553"
    image = "T33UUB_20230823T095559_{band}"
    metadata, tile = f"MTD_MSIL{level}.xml", "MTD_TL.xml"
    if old:
        stamp = "PDMC_20160101T120000_R022_V20160101T100000_20160101T100000"
        name = f"S2A_OPER_PRD_MSIL{level}_{stamp}.SAFE"
        granule = f"S2A_OPER_MSI_L{level}_TL_SGS__20160101T120000_A002792_T33UUB_N{baseline}"
        image = f"S2A_OPER_MSI_L{level}_TL_SGS__20160101T120000_A002792_T33UUB_{{band}}"
        metadata = f"S2A_OPER_MTD_SAFL{level}_{stamp}.xml"
        tile = granule.replace("MSI", "MTD").replace(f"_N{baseline}", "") + ".xml"
    safe = folder / name
    inside = safe / "GRANULE" / granule
    for i, band in enumerate(NAMES):
        if band == "B10" and level == "2A":
            continue
        size = SIZES.get(band, 20)
        values = (pixels or {}).get(band)
        if values is None:
            values = ground(side * 10 // size, i)
        stem = image.format(band=band)
        if level == "2A" and new:
            path = inside / "IMG_DATA" / f"R{size}m" / f"{stem}_{size}m.jp2"
        else:
            path = inside / "IMG_DATA" / f"{stem}.jp2"
        write_jp2(path, values, size)
        if offsets:
            masks = (pixels or {}).get(f"MSK_{band}")
            masks = np.zeros((8, *values.shape), np.uint8) if masks is None else masks
            write_jp2(inside / "QI_DATA" / f"MSK_QUALIT_{band}.jp2", masks, size)
    if level == "2A":
        classes = (ground(side // 2, 3, low=3, high=7) // 1).astype(np.uint8)
        classes = (pixels or {}).get("SCL", classes)
        scl = inside / "IMG_DATA" / "R20m" / f"{image.format(band='SCL')}_20m.jp2"
        write_jp2(scl, classes, 20)
    (inside / tile).write_text(_granule(granule, side), encoding="utf-8")
    (safe / metadata).write_text(_product(name, level, baseline, old), encoding="utf-8")
    return safe


def zipped(folder: Path) -> Path:
    """Put a product's folder into an archive beside it, as the data hubs do."""
    path = folder.with_name(folder.name + ".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, f"{folder.name}/{file.relative_to(folder).as_posix()}")
    return path


def _product(name: str, level: str, baseline: str, old: bool) -> str:
    """Return a product's metadata: the fields that are read, where real ones have them."""
    offset, value = ("RADIO_ADD_OFFSET", "QUANTIFICATION_VALUE")
    if level == "2A":
        offset, value = "BOA_ADD_OFFSET", "BOA_QUANTIFICATION_VALUE"
    offsets = ""
    if float(baseline) >= 4:
        offsets = "".join(f'<{offset} band_id="{i}">-1000</{offset}>' for i in range(len(NAMES)))
    spectral = "".join(
        f'<Spectral_Information bandId="{i}" physicalBand="{band}"><RESOLUTION>'
        f'{SIZES.get(band, 20)}</RESOLUTION><Wavelength><CENTRAL unit="nm">{wavelength}'
        "</CENTRAL></Wavelength></Spectral_Information>"
        for i, (band, wavelength) in enumerate(zip(NAMES, WAVELENGTHS, strict=True))
    )
    special = "".join(
        f"<Special_Values><SPECIAL_VALUE_TEXT>{text}</SPECIAL_VALUE_TEXT>"
        f"<SPECIAL_VALUE_INDEX>{index}</SPECIAL_VALUE_INDEX></Special_Values>"
        for text, index in (("NODATA", 0), ("SATURATED", 65535))
    )
    root = f"n1:Level-{level}_User_Product"
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<{root} xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-{level}.xsd">
<n1:General_Info><Product_Info>
<PRODUCT_START_TIME>2023-08-23T09:55:59.024Z</PRODUCT_START_TIME>
<PRODUCT_URI>{name}</PRODUCT_URI><PROCESSING_LEVEL>Level-{level}</PROCESSING_LEVEL>
<PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE>
<Datatake><SPACECRAFT_NAME>Sentinel-2{"A" if old else "B"}</SPACECRAFT_NAME></Datatake>
</Product_Info><Product_Image_Characteristics>{special}
<{value} unit="none">10000</{value}>{offsets}
<Spectral_Information_List>{spectral}</Spectral_Information_List>
</Product_Image_Characteristics></n1:General_Info></{root}>
"""


def _granule(name: str, side: int) -> str:
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
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-1C_Tile_ID xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/S2_PDI_Tile.xsd">
<n1:General_Info><TILE_ID metadataLevel="Brief">{name}</TILE_ID></n1:General_Info>
<n1:Geometric_Info><Tile_Geocoding metadataLevel="Brief">
<HORIZONTAL_CS_CODE>EPSG:32633</HORIZONTAL_CS_CODE>{sizes}{places}
</Tile_Geocoding></n1:Geometric_Info></n1:Level-1C_Tile_ID>
"""
