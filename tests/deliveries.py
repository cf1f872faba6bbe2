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
