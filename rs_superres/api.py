"""The function that Python calls: files to files, arrays to arrays."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack, overload

import numpy as np
import numpy.typing as npt

from rs_superres.engine import Options, Progress, Report, plan, run
from rs_superres.engine.options import Format
from rs_superres.errors import CardWarning, InputError
from rs_superres.raster import Paths
from rs_superres.scene.bands import BandOptions, Classes
from rs_superres.system.devices import Precision
from rs_superres.zoo import Model

if TYPE_CHECKING:
    import dask.array
    import xarray as xr

Arrays = TypeVar("Arrays", "xr.DataArray", "xr.Dataset", "dask.array.Array", npt.NDArray[Any])

DIMENSIONS = {2: ("y", "x"), 3: ("band", "y", "x"), 4: ("time", "band", "y", "x")}
"""What the axes of an array without names are, by their number."""


class Asked(TypedDict, total=False):
    """What may be asked for; one of ``scale``, ``resolution`` and ``like``."""

    scale: str | float
    """Magnification, as the decimal that is written."""
    resolution: float | tuple[float, float]
    """Pixel size, or (x, y), in units of the CRS."""
    like: str | Path
    """A raster file whose grid is taken."""
    bounds: tuple[float, float, float, float]
    """Left, bottom, right, top of the part that is wanted."""
    aoi: str | Path
    """A GeoJSON file; only what lies inside its polygons is wanted."""
    model: str | Path | Model
    """A shipped model's name, a model folder, or a model as it was loaded."""
    steps: int
    """Evaluations of the denoiser; 0 for the prior alone."""
    seed: int
    """Names the noise field."""
    samples: int
    """Results that are drawn and averaged."""
    consistency: bool
    """Whether the result, brought back to the source's grid, shall equal the source."""
    bidx: Sequence[int]
    """Bands that are written, from 1, in this order."""
    rgb: Sequence[int] | Sequence[str]
    """Three bands that go through the network together; of datasets, variables' names."""
    nearest: Sequence[int] | Sequence[str]
    """Bands that are carried by nearest neighbour; of datasets, variables' names."""
    classes: Classes
    """What becomes of bands with a colour table or of one bit."""
    nodata: float
    """The value that is nodata, whatever the source says."""
    value_range: tuple[float, float]
    """Digital numbers that map to the network's -1 and 1."""
    device: str
    """``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``."""
    precision: Precision
    """What the networks compute in."""


class AskedOfFile(Asked, total=False):
    """What may be asked for beside, where the result is a file."""

    format: Format
    creation: Sequence[str]
    """Further GDAL creation options, KEY=VALUE."""
    overwrite: bool
    """Whether a file under the result's name may be replaced."""
    resume: bool
    """Whether finished cells of an earlier run are used."""
    uncertainty: str | Path
    """Where the samples' standard deviation is written."""
    preview: str | Path
    """Where a picture of before and after is written."""
    scratch: str | Path
    """Folder for finished cells; beside the result without it."""
    memory: int
    """Bytes that the process may take; half of the machine's without it."""
    progress: Progress
    """Told how many cells are done, of how many."""


@overload
def upscale(src: Paths, out: str | Path, **asked: Unpack[AskedOfFile]) -> Report: ...


@overload
def upscale(src: Arrays, **asked: Unpack[Asked]) -> Arrays: ...


def upscale(src: Any, out: str | Path | None = None, **asked: Any) -> Any:
    """Super-resolve a raster file into another, or an array into an array.

    Args:
        src: a path, several paths on one grid, or an array: an ``xarray.DataArray`` or ``Dataset``
            by rioxarray's conventions, or a NumPy or dask array of (y, x), (band, y, x) or
            (time, band, y, x). Dimensions beside band, y and x are stacks of scenes.
        out: the result's name, where ``src`` is files.
        asked: see ``Asked`` and ``AskedOfFile``.

    Returns:
        A report for files; else an array of the kind that was given: computed if it was in memory,
        lazy if it was dask's.

    Raises:
        InputError: an option or a source that cannot be used.
        RasterError: a file cannot be read or written.
        ModelError: the model cannot be used.

    Warns:
        CardWarning: the source or the scale lies outside what the model was trained on.
    """
    several = isinstance(src, list | tuple) and all(isinstance(s, str | Path) for s in src)
    if isinstance(src, str | Path) or (several and src):
        return _file(src, out, asked)
    if out is not None:
        raise InputError("an output name goes with files; an array's result is returned")
    import xarray as xr  # noqa: PLC0415 (files need none)

    from rs_superres.arrays import dataarray, dataset  # noqa: PLC0415

    _check_names(asked, Asked)
    if isinstance(src, xr.Dataset):
        roles = {k: asked.pop(k) for k in ("rgb", "nearest") if _are_names(asked.get(k, ()))}
        return dataset.upscale_dataset(src, options(asked), roles)
    if isinstance(src, xr.DataArray):
        return dataarray.upscale_array(src, options(asked))
    if not isinstance(src, np.ndarray) and not hasattr(src, "dask"):
        raise InputError(
            f"the source is of type {type(src).__name__}, expected a path, an xarray.DataArray or "
            "Dataset, a NumPy or a dask array"
        )
    if src.ndim not in DIMENSIONS:
        raise InputError(
            f"the array has {src.ndim} dimensions, expected (y, x), (band, y, x) or (time, band, "
            "y, x); name others in an xarray.DataArray"
        )
    named = xr.DataArray(src, dims=DIMENSIONS[src.ndim])
    return dataarray.upscale_array(named, options(asked)).data


def _file(src: Paths, out: str | Path | None, asked: dict[str, Any]) -> Report:
    """Files to a file."""
    if out is None:
        raise InputError(
            f"{src} is a file, so a name for the result is needed: upscale(src, out, ...); for a "
            "lazy array open it first, with rioxarray.open_rasterio(path, chunks={})"
        )
    _check_names(asked, AskedOfFile)
    progress = asked.pop("progress", None)
    decided = plan(src, out, options(asked))
    for told in decided.warnings():
        warnings.warn(told, CardWarning, stacklevel=3)
    return run(decided, progress=progress)


def options(asked: dict[str, Any]) -> Options:
    """What was asked for, as one value."""
    plain = dict(asked)
    wish = BandOptions(
        bands=tuple(plain.pop("bidx", ())),
        rgb=tuple(plain.pop("rgb", ())),
        nearest=tuple(plain.pop("nearest", ())),
        classes=plain.pop("classes", None),
        nodata=plain.pop("nodata", None),
    )
    for name in ("like", "aoi", "scratch", "uncertainty", "preview"):
        if plain.get(name) is not None:
            plain[name] = Path(plain[name])
    if isinstance(plain.get("model"), Path):
        plain["model"] = str(plain["model"])
    for name, count in (("value_range", 2), ("bounds", 4)):
        if plain.get(name) is not None:
            plain[name] = _numbers(name, plain[name], count)
    size = plain.get("resolution")
    if isinstance(size, int | float):
        plain["resolution"] = (size, size)
    return Options(bands=wish, **plain)


def _numbers(name: str, given: Any, count: int) -> tuple[float, ...]:
    """So many numbers.

    Raises:
        InputError: it is something else.
    """
    try:
        made = () if isinstance(given, str) else tuple(float(value) for value in given)
    except (TypeError, ValueError):
        made = ()
    if len(made) != count:
        raise InputError(f"{name} is {given!r}, expected {count} numbers")
    return made


def _are_names(members: Sequence[Any]) -> bool:
    """Whether bands are named rather than numbered."""
    return any(isinstance(member, str) for member in members)


def _check_names(asked: dict[str, Any], known: Any) -> None:
    """Refuse options that are not there, as Python refuses keywords."""
    for name in asked:
        if name not in known.__annotations__ | Asked.__annotations__:
            raise TypeError(
                f"upscale() got an unexpected keyword argument {name!r}; known are "
                f"{', '.join(sorted(known.__annotations__))}"
            )
