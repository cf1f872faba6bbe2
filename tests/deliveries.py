"""Small products of Landsat and of commercial sensors, with the names and metadata of real ones."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine

from tests.products import LEFT, TOP, UTM, ground

OLI = ("1", "2", "3", "4", "5", "6", "7")
TM = ("1", "2", "3", "4", "5", "7")


def write_tif(path: Path, image: npt.NDArray[np.generic], size: float, **profile: object) -> None:
    """Write a GeoTIFF, (y, x) or (band, y, x), with pixels of a size in metres."""
    image = image if image.ndim == 3 else image[None]
    path.parent.mkdir(parents=True, exist_ok=True)
    settings = {"transform": Affine(size, 0, LEFT, 0, -size, TOP), "crs": UTM, **profile}
    with rasterio.open(
        path, "w", driver="GTiff", count=len(image), height=image.shape[1],
        width=image.shape[2], dtype=image.dtype, **settings,
    ) as file:  # fmt: skip
        file.write(image)


def landsat(
    folder: Path,
    *,
    satellite: int = 8,
    collection: int = 2,
    level: int = 2,
    side: int = 60,
    as_json: bool = False,
) -> Path:
    """Write a Landsat product, with a border of fill, and return its folder."""
    sensor = {4: "T", 5: "T", 7: "E"}.get(satellite, "C")
    kind = "L2SP" if level == 2 and collection == 2 else "L1TP"
    name = f"L{sensor}0{satellite}_{kind}_193024_20200531_20200820_0{collection}_T1"
    espa = collection == 1 and level == 2
    inside = folder / name
    oli = satellite >= 8
    fields: dict[str, str] = {}
    for band in OLI if oli else TM:
        values = ground(side, int(band), low=7000, high=30000)
        if espa:
            values = (values // 10).astype(np.int16)
        elif not oli and level == 1:
            values = (values // 128).astype(np.uint8)
        values[:2] = -9999 if espa else 0
        file = f"{name}_{'SR_' if level == 2 else ''}B{band}.TIF"
        fields[f"FILE_NAME_BAND_{band}"] = f"{name}_B{band}.TIF" if espa else file
        write_tif(inside / (f"{name}_sr_band{band}.tif" if espa else file), values, 30)
    quality = np.full((side, side), 21824, np.uint16)
    quality[:2] = 1
    quality[10:20, 10:20] = 22280
    key = "FILE_NAME_QUALITY_L1_PIXEL" if collection == 2 else "FILE_NAME_BAND_QUALITY"
    file = f"{name}_{'QA_PIXEL' if collection == 2 else 'BQA'}.TIF"
    fields[key] = file
    write_tif(
        inside / (f"{name}_pixel_qa.tif" if espa else file), quality // (16 if espa else 1), 30
    )
    if level == 1 and satellite >= 7:
        fields["FILE_NAME_BAND_8"] = f"{name}_B8.TIF"
        pan = ground(2 * side + 1, 8, low=7000, high=30000)
        shifted = Affine(15, 0, LEFT - 7.5, 0, -15, TOP + 7.5)
        write_tif(inside / f"{name}_B8.TIF", pan, 15, transform=shifted)
    groups = _groups(name, satellite, collection, level, fields)
    (inside / f"{name}_MTL.{'json' if as_json else 'txt'}").write_text(
        _as_json(groups) if as_json else _as_text(groups), encoding="utf-8"
    )
    return inside


def tarred(folder: Path, *, gz: bool = False) -> Path:
    """Put the files of a folder into a tar beside it, without the folder, as USGS does."""
    path = folder.with_name(folder.name + (".tar.gz" if gz else ".tar"))
    with tarfile.open(path, "w:gz" if gz else "w") as tar:
        for file in sorted(folder.iterdir()):
            tar.add(file, file.name)
    return path


def _groups(
    name: str, satellite: int, collection: int, level: int, files: dict[str, str]
) -> dict[str, dict[str, str]]:
    """Return the groups of an MTL file."""
    bands = [key.removeprefix("FILE_NAME_BAND_") for key in files if key[-1].isdigit()]

    def scaling(scale: str, offset: str) -> dict[str, str]:
        multiplied = {f"REFLECTANCE_MULT_BAND_{band}": scale for band in bands}
        return multiplied | {f"REFLECTANCE_ADD_BAND_{band}": offset for band in bands}

    kind = "L2SP" if level == 2 and collection == 2 else "L1TP"
    contents = {
        "LANDSAT_PRODUCT_ID": name,
        "PROCESSING_LEVEL" if collection == 2 else "DATA_TYPE": kind,
        "COLLECTION_NUMBER": f"0{collection}",
        **files,
    }
    image = {
        "SPACECRAFT_ID": f"LANDSAT_{satellite}",
        "WRS_PATH": "193",
        "WRS_ROW": "24",
        "DATE_ACQUIRED": "2020-05-31",
        "SCENE_CENTER_TIME": "09:55:59.0240000Z",
        "SUN_ELEVATION": "57.1",
    }
    if collection == 1:
        return {
            "METADATA_FILE_INFO": contents,
            "PRODUCT_METADATA": image,
            "RADIOMETRIC_RESCALING": scaling("2.0000E-05", "-0.100000"),
        }
    groups = {"PRODUCT_CONTENTS": contents, "IMAGE_ATTRIBUTES": image}
    if level == 2:
        groups["LEVEL2_SURFACE_REFLECTANCE_PARAMETERS"] = scaling("2.75e-05", "-0.2")
    groups["LEVEL1_RADIOMETRIC_RESCALING"] = scaling("2.0000E-05", "-0.100000")
    return groups


def _as_text(groups: dict[str, dict[str, str]]) -> str:
    """Return an MTL file in text form."""
    lines = ["GROUP = LANDSAT_METADATA_FILE"]
    for group, values in groups.items():
        lines.append(f"  GROUP = {group}")
        lines += [f'    {key} = "{value}"' for key, value in values.items()]
        lines.append(f"  END_GROUP = {group}")
    return "\n".join([*lines, "END_GROUP = LANDSAT_METADATA_FILE", "END", ""])


def _as_json(groups: dict[str, dict[str, str]]) -> str:
    """Return an MTL file in JSON form."""
    return json.dumps({"LANDSAT_METADATA_FILE": groups}, indent=2)


def pleiades(folder: Path, *, side: int = 60, panchromatic: bool = False) -> Path:
    """Write an order of a Pléiades ortho image, with pan if wanted, and return its folder."""
    order = folder / "PHR_ORDER"
    parts: list[tuple[str, tuple[str, ...], int, float]] = [
        ("MS", ("B2", "B1", "B0", "B3"), side, 2.0)
    ]
    if panchromatic:
        parts.append(("P", ("P",), 4 * side, 0.5))
    for kind, names, pixels, size in parts:
        inside = order / f"IMG_PHR1A_{kind}_001"
        image = f"IMG_PHR1A_{kind}_202005311030_ORT_R1C1.TIF"
        values = np.stack([ground(pixels, i, low=300, high=3000) for i in range(len(names))])
        values[:, :2] = 0
        write_tif(inside / image, values, size)
        text = _dimap(image, names, pixels, kind)
        (inside / f"DIM_PHR1A_{kind}_202005311030_ORT.XML").write_text(text, encoding="utf-8")
    return order


def _dimap(image: str, names: tuple[str, ...], side: int, kind: str) -> str:
    """Return the metadata of a Pléiades image: the fields that GDAL and rs-sr read."""
    indices = "".join(
        f"<Raster_Index><BAND_ID>{name}</BAND_ID><BAND_INDEX>{i}</BAND_INDEX></Raster_Index>"
        for i, name in enumerate(names, start=1)
    )
    red, green, blue = names[:3] if len(names) >= 3 else names * 3
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Dimap_Document>
<Metadata_Identification><METADATA_FORMAT version="2.0">DIMAP</METADATA_FORMAT>
<METADATA_PROFILE>PHR_ORTHO</METADATA_PROFILE></Metadata_Identification>
<Dataset_Sources><Source_Identification><Strip_Source><MISSION>PHR</MISSION>
<MISSION_INDEX>1A</MISSION_INDEX><IMAGING_DATE>2020-05-31</IMAGING_DATE>
</Strip_Source></Source_Identification></Dataset_Sources>
<Processing_Information><Product_Settings><SPECTRAL_PROCESSING>{kind}</SPECTRAL_PROCESSING>
</Product_Settings></Processing_Information>
<Raster_Data><Data_Access><DATA_FILE_ORGANISATION>BAND_COMPOSITE</DATA_FILE_ORGANISATION>
<DATA_FILE_FORMAT>image/tiff</DATA_FILE_FORMAT><DATA_FILE_TILES>true</DATA_FILE_TILES>
<Data_Files><Data_File tile_R="1" tile_C="1"><DATA_FILE_PATH href="{image}"/></Data_File>
</Data_Files></Data_Access>
<Raster_Dimensions><NROWS>{side}</NROWS><NCOLS>{side}</NCOLS><NBANDS>{len(names)}</NBANDS>
<Tile_Set><NTILES>1</NTILES><Regular_Tiling><NTILES_SIZE nrows="{side}" ncols="{side}"/>
<NTILES_COUNT ntiles_R="1" ntiles_C="1"/><OVERLAP_ROW>0</OVERLAP_ROW><OVERLAP_COL>0</OVERLAP_COL>
</Regular_Tiling></Tile_Set></Raster_Dimensions>
<Raster_Encoding><DATA_TYPE>INTEGER</DATA_TYPE><NBITS>16</NBITS><SIGN>UNSIGNED</SIGN>
</Raster_Encoding>
<Raster_Display><Band_Display_Order><RED_CHANNEL>{red}</RED_CHANNEL>
<GREEN_CHANNEL>{green}</GREEN_CHANNEL><BLUE_CHANNEL>{blue}</BLUE_CHANNEL></Band_Display_Order>
<Special_Value><SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT>
<SPECIAL_VALUE_COUNT>0</SPECIAL_VALUE_COUNT></Special_Value>
<Raster_Index_List>{indices}</Raster_Index_List></Raster_Display></Raster_Data>
</Dimap_Document>
"""


def maxar(
    folder: Path, *, side: int = 60, satellite: str = "WV02", sharpened: bool = False
) -> Path:
    """Write an order of a Maxar image in two tiles, with pan, and return its folder."""
    order = folder / "014880_01_003"
    names: tuple[str, ...] = ("B", "G", "R", "N")
    if satellite == "WV02":
        names = ("C", "B", "G", "Y", "R", "RE", "N", "N2")
    parts = [("MUL", names, "Multi", side, 2.0), ("PAN", ("P",), "P", 4 * side, 0.5)]
    for part, bands, kind, pixels, size in parts:
        stem = f"20MAY31103000-{part[0]}2AS-014880_01_P001"
        inside = order / f"014880_01_P001_{part}"
        values = np.stack([ground(pixels, i, low=100, high=1500) for i in range(len(bands))])
        half, tiles = pixels // 2, []
        for i in range(2):
            name = f"{stem.replace('_P001', f'_R{i + 1}C1_P001')}.TIF"
            moved = Affine(size, 0, LEFT, 0, -size, TOP - i * half * size)
            write_tif(inside / name, values[:, i * half : (i + 1) * half], size, transform=moved)
            tiles.append((name, i * half, (i + 1) * half - 1))
        (inside / f"{stem}.TIL").write_text(_til(kind, tiles, pixels), encoding="utf-8")
        text = _imd(bands, kind, pixels, satellite, size=size, sharpened=sharpened)
        (inside / f"{stem}.IMD").write_text(text, encoding="utf-8")
    return order


def _til(kind: str, tiles: list[tuple[str, int, int]], side: int) -> str:
    """Return the list of an image's tiles."""
    lines = [f'bandId = "{kind}";', f"numTiles = {len(tiles)};", "tileSizeX = 0;", "tileSizeY = 0;"]
    for i, (name, first, last) in enumerate(tiles, start=1):
        lines += [
            f"BEGIN_GROUP = TILE_{i}", f'\tfilename = "{name}";',
            "\tULColOffset = 0;", f"\tULRowOffset = {first};",
            f"\tURColOffset = {side - 1};", f"\tURRowOffset = {first};",
            f"\tLRColOffset = {side - 1};", f"\tLRRowOffset = {last};",
            "\tLLColOffset = 0;", f"\tLLRowOffset = {last};", f"END_GROUP = TILE_{i}",
        ]  # fmt: skip
    return "\n".join([*lines, "END;", ""])


def _imd(
    bands: tuple[str, ...], kind: str, side: int, satellite: str, *, size: float, sharpened: bool
) -> str:
    """Return the metadata of a Maxar image with pixels of a size in metres."""
    text = f"""version = "28.4";
numRows = {side};
numColumns = {side};
productLevel = "LV2A";
bandId = "{kind}";
bitsPerPixel = 16;
panSharpenAlgorithm = "{"UNB" if sharpened else "None"}";
"""
    for band in bands:
        text += f"BEGIN_GROUP = BAND_{band}\n\tabsCalFactor = 9.3e-03;\nEND_GROUP = BAND_{band}\n"
    return f"""{text}BEGIN_GROUP = IMAGE_1
\tsatId = "{satellite}";
\tfirstLineTime = 2020-05-31T10:30:00.000000Z;
END_GROUP = IMAGE_1
BEGIN_GROUP = MAP_PROJECTED_PRODUCT
\tULX = {LEFT + size / 2};
\tULY = {TOP - size / 2};
\tcolSpacing = {size};
\trowSpacing = {size};
END_GROUP = MAP_PROJECTED_PRODUCT
END;
"""


def planet(folder: Path, *, side: int = 60, bands: int = 4, surface: bool = True) -> Path:
    """Write a PlanetScope scene with its mask and metadata, and return the image."""
    folder.mkdir(parents=True, exist_ok=True)
    scene = "20200531_103000_42_2414_3B"
    kind = f"AnalyticMS{'_SR' if surface else ''}{'_8b' if bands == 8 else ''}"
    values = np.stack([ground(side, i, low=300, high=6000) for i in range(bands)])
    values[:, :2] = 0
    image = folder / f"{scene}_{kind}.tif"
    write_tif(image, values, 3.0)
    mask = np.zeros((8, side, side), np.uint8)
    mask[0, 2:] = 1
    mask[7, :2] = 1
    mask[7, 30:34, 30:34] = 4
    mask[7, 40:44, 40:44] = 2
    write_tif(folder / f"{scene}_udm2.tif", mask, 3.0)
    coefficients = "".join(
        f"<ps:bandSpecificMetadata><ps:bandNumber>{i}</ps:bandNumber>"
        f"<ps:reflectanceCoefficient>{2e-5 + i * 1e-6}</ps:reflectanceCoefficient>"
        "</ps:bandSpecificMetadata>"
        for i in range(1, bands + 1)
    )
    (folder / f"{scene}_{kind.removesuffix('_8b')}_metadata.xml").write_text(
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<ps:EarthObservation xmlns:ps="http://schemas.planet.com/ps/v1" '
        'xmlns:eop="http://earth.esa.int/eop"><eop:shortName>PlanetScope</eop:shortName>'
        f"{coefficients}</ps:EarthObservation>",
        encoding="utf-8",
    )
    return image
