"""``rs_superres.upscale``: the function that super-resolves files and arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack, overload

import numpy as np
import numpy.typing as npt

from rs_superres.engine import ProgressOption, Report, plan, run
from rs_superres.errors import CardWarning, ColourWarning, InputError
from rs_superres.options import (
    Classes,
    Format,
    LimitsOption,
    NoColours,
    Options,
    PixelOptions,
    Precision,
)
from rs_superres.raster import Paths
from rs_superres.system.caller import warn_caller
from rs_superres.zoo import Model

if TYPE_CHECKING:
    import dask.array
    import xarray as xr

Arrays = TypeVar("Arrays", "xr.DataArray", "xr.Dataset", "dask.array.Array", npt.NDArray[Any])

DIMENSIONS = {2: ("y", "x"), 3: ("band", "y", "x"), 4: ("time", "band", "y", "x")}
"""Dimension names for arrays that have none, by the number of dimensions."""


class PixelKeywords(TypedDict, total=False):
    """Types of the keywords that :func:`upscale` takes for arrays and files."""

    scale: str | float | None
    resolution: float | Sequence[float] | None
    like: str | Path | None
    bounds: Sequence[float] | None
    aoi: str | Path | None
    model: str | Path | Model
    steps: int | None
    texture: float | None
    seed: int
    samples: int
    ensemble: int
    consistency: bool
    sensor: str | None
    mtf: float | None
    noise: float | None
    limits: LimitsOption
    bidx: int | str | Sequence[int | str]
    rgb: NoColours | Sequence[int | str]
    nearest: int | str | Sequence[int | str]
    classes: Classes | None
    nodata: float | None
    value_range: Sequence[float] | None
    device: str
    precision: Precision


class FileKeywords(PixelKeywords, total=False):
    """Types of the keywords that :func:`upscale` takes for files."""

    uncertainty: str | Path | None
    preview: str | Path | None
    stac: bool
    memory: int | str | None
    format: Format
    creation: str | Sequence[str]
    overwrite: bool
    resume: bool
    scratch: str | Path | None
    progress: ProgressOption


@overload
def upscale(src: Paths, out: str | Path, **keywords: Unpack[FileKeywords]) -> Report: ...


@overload
def upscale(
    src: Arrays, *, progress: ProgressOption = None, **keywords: Unpack[PixelKeywords]
) -> Arrays: ...


def upscale(  # noqa: PLR0913 (its keywords are the options of a run)
    src: Any,
    out: str | Path | None = None,
    *,
    scale: str | float | None = None,
    resolution: float | Sequence[float] | None = None,
    like: str | Path | None = None,
    bounds: Sequence[float] | None = None,
    aoi: str | Path | None = None,
    model: str | Path | Model = "aerial",
    steps: int | None = None,
    texture: float | None = None,
    seed: int = 0,
    samples: int = 1,
    ensemble: int = 1,
    consistency: bool = True,
    sensor: str | None = None,
    mtf: float | None = None,
    noise: float | None = None,
    limits: LimitsOption = "local",
    bidx: int | str | Sequence[int | str] = (),
    rgb: NoColours | Sequence[int | str] = (),
    nearest: int | str | Sequence[int | str] = (),
    classes: Classes | None = None,
    nodata: float | None = None,
    value_range: Sequence[float] | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    uncertainty: str | Path | None = None,
    preview: str | Path | None = None,
    stac: bool = False,
    memory: int | str | None = None,
    format: Format = "cog",  # noqa: A002 (as the option of the command line)
    creation: str | Sequence[str] = (),
    overwrite: bool = False,
    resume: bool = True,
    scratch: str | Path | None = None,
    progress: ProgressOption = None,
) -> Any:
    """Super-resolve raster files into a file, or an array into an array.

    Exactly one of ``scale``, ``resolution`` and ``like`` sets the size of the result.

    Args:
        src: A path, several paths on one grid (their bands are stacked), or an array: an
            ``xarray.DataArray`` or ``Dataset`` by rioxarray's conventions, or a NumPy or dask array
            of (y, x), (band, y, x) or (time, band, y, x). Any other dimension
            stacks scenes.
        out: Path of the result; required for files. In a folder, the result gets the source's name.
        scale: Scale factor between source and result pixels, any number above 1; rounded so that
            whole pixels fill the extent exactly.
        resolution: Target pixel size in CRS units (degrees for EPSG:4326).
            One number, or X and Y.
        like: Use the grid of this raster: its origin, pixel size and extent.
        bounds: Write only this part: left, bottom, right, top in the CRS (source pixels without
            one).
        aoi: Write only what lies inside the polygons of this vector file, in any CRS.
            ``FILE|layer=NAME`` chooses a layer.
        model: Name of a model, or a model folder.
            A model that :func:`rs_superres.load_model` returned is accepted too.
        steps: Diffusion steps; 0 is the neural operator alone.
            None for the model's default.
        texture: Strength of the drawn texture, from 0 (the neural operator alone) to 1 (as strong
            as on the ground). None for the model's default.
        seed: Random seed; the same seed gives the same pixels.
        samples: Number of random results to average (more = smoother, slower).
        ensemble: Orientations of the source that the neural operator sees and averages: 1, 2, 4 or
            8 (more = about 0.1 dB closer to the truth, that many times slower).
        consistency: Correct the result so that it downsamples to its source.
        sensor: Sensor of the source, such as sentinel-2, which sets the blur and says what bands
            such as B4 are. The result should look as if the sensor had finer pixels.
        mtf: Blur of the source against the result: its MTF at the source's Nyquist frequency, such
            as 0.3 for a satellite; above 1 if it was sharpened, such as 4 by a strong unsharp mask.
            None estimates it, if the model can.
        noise: Noise of the source: its standard deviation, in source units. It is not put back.
            None estimates it, if the model can.
        limits: Keep results near the range of the source pixels around them (local), and between
            two numbers (LO,HI); or do not (none).
        bidx: Bands of the source to write, in this order: numbers, names such as B8A, or all.
            Numbers counted from 1, as in ``rgb`` and ``nearest``; empty for all bands, or for the
            main ones of a product.
        rgb: Bands of the source to sharpen together, as red, green and blue; or no such bands
            (none).
            Three numbers or names, or "none"; empty for those that the colour interpretation,
            names or wavelengths say; variable names for a Dataset.
        nearest: Bands of the source to resample by nearest neighbour: quality, classes, bit masks.
            Numbers or names; variable names for a Dataset.
        classes: Turn a palette into colours, or resample classes and 1-bit masks by nearest
            neighbour.
            "expand" or "nearest"; None refuses such bands.
        nodata: Nodata value of the source; replaces the one in the file.
        value_range: Black and white point for the network, in source units (set it for mosaics).
            Low and high; None to choose it once for the scene, from its dtype or its pixels.
        device: Device to compute on: auto, cpu, cuda, cuda:1 or mps.
        precision: Number format of the networks; auto is bf16 where the device computes in it.
            "auto", "fp32", "bf16" or "fp16".
        uncertainty: Write the expected error, per band and in source units, to this file.
            This keyword and those below, except ``progress``, are for files only.
        preview: Write the middle of source, cubic and result, side by side, to a PNG file.
        stac: Also write a STAC item that describes the result: out.json for out.tif.
        memory: Memory that a process may use, as in 2GB; it does not change the pixels.
            Bytes, or a text such as "2GB"; None for half of the machine's memory.
        format: Cloud-optimised or plain GeoTIFF.
            "cog" or "gtiff".
        creation: GDAL creation option, KEY=VALUE.
            One text or several.
        overwrite: Replace existing output files.
        resume: Continue an interrupted run from its finished cells.
            False discards them and starts over.
        scratch: Folder for unfinished work.
            None for a hidden folder next to the result.
        progress: Show a bar (True) or none (False), or call a function after each cell.
            The function takes two numbers, finished cells and all cells, and is not for a Dataset.
            None shows a bar if the call is in a Jupyter notebook. A lazy array shows no progress:
            compute its result within ``dask.diagnostics.ProgressBar()``.

    Returns:
        A report for files. For an array, an array of the same kind: computed if ``src`` is in
        memory, lazy if it is a dask array.

    Raises:
        InputError: An option or the source cannot be used.
        RasterError: A file cannot be read or written.
        ModelError: The model cannot be used.

    Warns:
        CardWarning: The source or the scale lies outside what the model was trained on.
        ColourWarning: Several bands of the files are marked as red, green or blue.
    """
    given = locals()  # the keywords by name, before any other variable is set
    keywords = {entry.name: given[entry.name] for entry in fields(Options)}
    several = isinstance(src, list | tuple) and all(isinstance(s, str | Path) for s in src)
    if isinstance(src, str | Path) or (several and src):
        return _upscale_file(src, out, Options(**keywords), progress)
    _check_array_keywords({"out": out, **keywords})
    pixel_keywords = {entry.name: given[entry.name] for entry in fields(PixelOptions)}
    return _upscale_array(src, pixel_keywords, progress)


def _upscale_file(
    src: Paths, out: str | Path | None, options: Options, progress: ProgressOption
) -> Report:
    """Super-resolve files into a file."""
    if out is None:
        raise InputError(
            f"{src} is a file and the result needs a name: upscale(src, out, ...); for a lazy "
            "array, open the file first with rioxarray.open_rasterio(path, chunks={})"
        )
    run_plan = plan(src, out, options)
    for warning in run_plan.pixels.warnings():
        warn_caller(warning, CardWarning)
    for warning in run_plan.colour_warnings():
        warn_caller(warning, ColourWarning)
    return run(run_plan, progress=progress)


def _check_array_keywords(given: dict[str, Any]) -> None:
    """Refuse keywords that only files take.

    Raises:
        InputError: one of them is given.
    """
    defaults = {entry.name: entry.default for entry in fields(Options)}
    for name in [n for n in given if n not in PixelOptions.__dataclass_fields__]:
        if given[name] != defaults.get(name):
            raise InputError(f"{name}= applies to files only; the result of an array is returned")


def _upscale_array(src: Any, keywords: dict[str, Any], progress: ProgressOption) -> Any:
    """Super-resolve an array of any supported kind."""
    import xarray as xr  # noqa: PLC0415 (slow to load, and not needed for files)

    from rs_superres.arrays import dataarray, dataset  # noqa: PLC0415

    if isinstance(src, xr.Dataset):
        if callable(progress):
            raise InputError(
                "progress= of a Dataset is True, False or None; for a function, upscale its "
                "variables one by one"
            )
        names = {
            role: keywords.pop(role) for role in ("rgb", "nearest") if _are_names(keywords[role])
        }
        return dataset.upscale_dataset(src, PixelOptions(**keywords), names, progress)
    options = PixelOptions(**keywords)
    if isinstance(src, xr.DataArray):
        return dataarray.upscale_array(src, options, progress)
    if not isinstance(src, np.ndarray) and not hasattr(src, "dask"):
        raise InputError(
            f"the source is of type {type(src).__name__}, expected a path, an xarray.DataArray or "
            "Dataset, a NumPy array or a dask array"
        )
    if src.ndim not in DIMENSIONS:
        raise InputError(
            f"the array has {src.ndim} dimensions, expected (y, x), (band, y, x) or (time, band, "
            "y, x); for other dimensions pass an xarray.DataArray that names them"
        )
    named = xr.DataArray(src, dims=DIMENSIONS[src.ndim])
    return dataarray.upscale_array(named, options, progress).data


def _are_names(members: Any) -> bool:
    """Return whether bands are given by name instead of by number, or by the word none."""
    several = isinstance(members, Sequence) and not isinstance(members, str)
    return several and any(isinstance(member, str) for member in members)
