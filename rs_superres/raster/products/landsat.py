"""Landsat 4 to 9 products, Collection 1 and 2, level 1 and 2: a folder, a tar, or their MTL file.

Source of names, values and bits: USGS, Landsat data format control books (LSDS-1822, LSDS-1328,
LSDS-1414, LSDS-1618) and the product guides of Collection 1.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from rs_superres.errors import RasterError
from rs_superres.raster.products.files import TAR, ProductFiles, missing, number, stated
from rs_superres.raster.products.product import Product, ProductBand

METADATA = re.compile(r"(?:.*/)?[^/]+_MTL\.(?:txt|json)", re.IGNORECASE)
"""The path of a product's metadata."""

LINE = re.compile(r"\s*(?P<key>\w+)\s*=\s*\"?(?P<value>[^\"]*?)\"?\s*")
"""A line of a metadata file in text form."""

COLOURS_OLI = {"2": "blue", "3": "green", "4": "red", "5": "nir"}
COLOURS_TM = {"1": "blue", "2": "green", "3": "red", "4": "nir"}
COLOURS = {8: COLOURS_OLI, 9: COLOURS_OLI}
"""The colours of bands by the number of the satellite; those of Landsat 4 to 7 otherwise."""

WAVELENGTHS_OLI = {
    "1": 442.96,
    "2": 482.04,
    "3": 561.41,
    "4": 654.59,
    "5": 864.67,
    "6": 1608.86,
    "7": 2200.73,
    "8": 589.5,
    "9": 1373.43,
    "10": 10895.0,
    "11": 12005.0,
}
WAVELENGTHS_TM = {
    "1": 485.0,
    "2": 560.0,
    "3": 660.0,
    "4": 830.0,
    "5": 1650.0,
    "7": 2215.0,
    "6": 11450.0,
    "6_VCID_1": 11450.0,
    "6_VCID_2": 11450.0,
    "8": 710.0,
}
"""Centre wavelengths of the bands, nm."""

PANCHROMATIC = "8"

ESPA_SCALE, ESPA_FILL, ESPA_SATURATED = 1e-4, -9999.0, 20000.0
"""The values of surface reflectance in Collection 1."""

AGAIN = "download the product again"


def find(path: Path) -> Product | None:
    """Return the product that a path names: a folder with one MTL file, a tar, or the MTL file.

    Raises:
        RasterError: it is a product, but cannot be read, or is not complete.
    """
    wanted = None
    if path.is_dir():
        if not _is_scene([entry.name for entry in path.iterdir()]):
            return None
        root = path
    elif path.name.lower().endswith(TAR):
        root = path
    elif METADATA.fullmatch(path.name):
        root, wanted = path.parent, path.name
    else:
        return None
    files = ProductFiles.of(root)
    if files is None:
        return None
    found = sorted(
        (name for name in files.names if METADATA.fullmatch(name)),
        key=lambda name: not name.lower().endswith(".txt"),
    )
    if wanted is not None:
        found = [wanted]
    elif path.is_dir():
        found = [name for name in found if "/" not in name]
    if not found or (wanted is None and len(_scenes(found)) > 1):
        return None
    return _product(path, files, found[0])


def _is_scene(names: list[str]) -> bool:
    """Return whether a folder holds the metadata of one scene, and images beside them."""
    scenes = _scenes(names)
    stem = next(iter(scenes)).removesuffix("mtl") if len(scenes) == 1 else ""
    images = [name for name in names if name.lower().endswith((".tif", ".tiff"))]
    return len(scenes) == 1 and any(name.lower().startswith(stem) for name in images)


def _scenes(names: list[str]) -> set[str]:
    """Return the scenes whose metadata are among some files."""
    return {name.rpartition(".")[0].lower() for name in names if METADATA.fullmatch(name)}


def _product(path: Path, files: ProductFiles, metadata: str) -> Product | None:
    """Read the metadata of a product and find its images."""
    groups = _read(files, metadata)
    every = {key: value for group in groups.values() for key, value in group.items()}
    satellite = re.fullmatch(r"LANDSAT_?([4-9])", every.get("SPACECRAFT_ID", ""), re.IGNORECASE)
    if satellite is None:
        return None  # not of a satellite whose bands are known here
    scene = _Scene(
        files=files,
        folder=str(PurePosixPath(metadata).parent).removeprefix("."),
        where=files.shown(metadata),
        satellite=int(satellite[1]),
        stem=PurePosixPath(metadata).name[: -len("_MTL.txt")].removesuffix("_"),
        groups=groups,
        every=every,
    )
    bands = list(scene.bands())
    held = {band.colour for band in bands}
    lacking = [c for c in ("blue", "green", "red", "nir") if c not in held]
    if lacking:
        names = {c: f"B{n}" for n, c in scene.colours.items()}
        raise missing(str(path), [f"band {names[c]} ({c})" for c in lacking], AGAIN)
    quality = scene.quality()
    identity = every.get("LANDSAT_PRODUCT_ID", scene.stem)
    level = every.get("PROCESSING_LEVEL") or every.get("DATA_TYPE") or "level 1"
    level = "L2" if scene.espa else level
    place = f"path {every.get('WRS_PATH', '?')} row {every.get('WRS_ROW', '?')}"
    collection = every.get("COLLECTION_NUMBER", "").lstrip("0") or "?"
    tags = {
        "PRODUCT_URI": identity,
        "SPACECRAFT_NAME": f"Landsat-{scene.satellite}",
        "PROCESSING_LEVEL": level,
        "PRODUCT_START_TIME": "T".join(
            filter(None, (every.get("DATE_ACQUIRED"), every.get("SCENE_CENTER_TIME")))
        ),
        "SUN_ELEVATION": every.get("SUN_ELEVATION", ""),
    }
    date = every.get("DATE_ACQUIRED", "")
    return Product(
        path=str(path),
        title=f"Landsat {scene.satellite} {level}, Collection {collection}, {place}, {date}",
        sensor="landsat-8" if scene.satellite >= 8 else None,
        bands=(*bands, *quality),
        apart=scene.panchromatic(),
        tags=stated(**tags),
        files=files.own(metadata),
        stem=scene.stem,
    )


def _read(files: ProductFiles, metadata: str) -> dict[str, dict[str, str]]:
    """Read the metadata: the values of each group by their keys.

    Raises:
        RasterError: the file cannot be read, or has no groups.
    """
    where, data = files.shown(metadata), files.read(metadata)
    text = data.decode("utf-8", "replace")
    groups: dict[str, dict[str, str]] = {}
    if metadata.lower().endswith(".json"):
        try:
            root: Any = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise RasterError(f"cannot read {where}: {error}") from error
        _flatten(root, groups)
    else:
        group: dict[str, str] = {}
        for line in text.splitlines():
            match = LINE.fullmatch(line)
            if match is None:
                continue
            if match["key"] == "GROUP":
                group = groups.setdefault(match["value"], {})
            elif match["key"] != "END_GROUP":
                group[match["key"]] = match["value"]
    if not any(groups.values()):
        raise RasterError(f"cannot read {where}: it holds no metadata of Landsat")
    return groups


def _flatten(node: Any, groups: dict[str, dict[str, str]], name: str = "") -> None:
    """Add the values of nested JSON objects to the group that they lie in."""
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if isinstance(value, dict):
            _flatten(value, groups, key)
        elif isinstance(value, str | int | float):
            groups.setdefault(name, {})[key] = str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """The metadata of a product, and where its files are."""

    files: ProductFiles
    folder: str
    """The folder of the metadata, relative to the root."""
    where: str
    """The metadata file, for messages."""
    satellite: int
    stem: str
    """What the names of all files begin with."""
    groups: Mapping[str, Mapping[str, str]]
    every: Mapping[str, str]
    """The values of all groups."""

    @property
    def colours(self) -> Mapping[str, str]:
        """The colours of bands by their number."""
        return COLOURS.get(self.satellite, COLOURS_TM)

    @property
    def espa(self) -> bool:
        """Whether the images are surface reflectance of Collection 1, which the MTL leaves out."""
        return any(self.held(f"{self.stem}_sr_band{n}.tif") for n in self.colours)

    def held(self, name: str) -> str | None:
        """Return the path of a file of the product, in any case; None if it lacks it."""
        wanted = f"{self.folder}/{name}".lstrip("/").lower()
        return next((held for held in self.files.names if held.lower() == wanted), None)

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield the number and the path of each image of a band that the product holds."""
        if self.espa:
            candidates = [(n, f"{self.stem}_sr_band{n}.tif") for n in "12345679"]
        else:
            candidates = [
                (key.removeprefix("FILE_NAME_BAND_"), value)
                for key, value in self.every.items()
                if re.fullmatch(r"FILE_NAME_BAND_(ST_B)?\d+(_VCID_\d)?", key)
            ]
        for band, name in candidates:
            held = self.held(name)
            if held is not None:
                yield band, held

    def bands(self) -> Iterator[ProductBand]:
        """Yield the bands in the order of their numbers, without the panchromatic one."""
        wavelengths = WAVELENGTHS_OLI if self.satellite >= 8 else WAVELENGTHS_TM
        for band, name in self.named():
            if band == PANCHROMATIC:
                continue
            plain = band.removeprefix("ST_B")
            scale, offset = self.rescaling(band)
            yield ProductBand(
                name=band if band.startswith("ST_") else f"B{band}",
                file=self.files.gdal(name),
                default=band in self.colours,
                colour=self.colours.get(band, ""),
                wavelength=wavelengths.get(plain),
                nodata=ESPA_FILL if self.espa else 0.0,
                scale=scale,
                offset=offset,
                unusable=(ESPA_SATURATED,) if self.espa else (),
            )

    def rescaling(self, band: str) -> tuple[float, float]:
        """Return scale and offset of a band's values; 1 and 0 if the metadata say nothing.

        Level 1: reflectance at the top of the atmosphere, not corrected for the sun's elevation,
        or radiance of a thermal band. Level 2: surface reflectance or temperature.
        """
        if self.espa:
            return ESPA_SCALE, 0.0
        # The metadata of level 2 hold those of level 1 too.
        surface = [name for name in self.groups if name.startswith("LEVEL2_SURFACE")]
        for group in [self.groups[name] for name in surface] or [self.every]:
            for quantity in ("REFLECTANCE", "TEMPERATURE", "RADIANCE"):
                keys = [f"{quantity}_{what}_BAND_{band}" for what in ("MULT", "ADD")]
                if all(key in group for key in keys):
                    scale, offset = (number(self.where, key, group[key]) for key in keys)
                    return scale, offset
        return 1.0, 0.0

    def quality(self) -> list[ProductBand]:
        """Return the band of quality bits, which is resampled by nearest neighbour."""
        names = [
            self.every.get("FILE_NAME_QUALITY_L1_PIXEL", ""),
            self.every.get("FILE_NAME_BAND_QUALITY", ""),
        ]
        if self.espa:
            names = [f"{self.stem}_pixel_qa.tif"]
        held = next((found for name in names if name and (found := self.held(name))), None)
        if held is None:
            return []
        return [
            ProductBand(
                name="QA_PIXEL",
                file=self.files.gdal(held),
                nearest=True,
                nodata=ESPA_FILL if self.espa else 0.0,
            )
        ]

    def panchromatic(self) -> dict[str, str]:
        """Return the panchromatic band: its pixels do not divide into those of the others."""
        return {
            f"B{band}": self.files.gdal(name) for band, name in self.named() if band == PANCHROMATIC
        }
