"""What an audit asks of a result: each threshold once, with its reason and what a failure means.

The reference of several is plain cubic interpolation of the source onto the result's grid, brought
back like the result itself: what any sane method does at least as well.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One thing that is asked."""

    measured: str
    """What the number is, its unit in brackets."""
    allowed: float
    """The most that passes, what the reason adds apart."""
    reason: str
    """Why this much."""
    failure: str
    """What it means to exceed it."""
    remedy: str
    """What to do then."""


NOISE = 4.0
"""Standard errors of a mean that are allowed beside its threshold: chance, once in 16,000 times."""

RULES = {
    "crs": Rule(
        measured="differences of the CRS",
        allowed=0,
        reason="upscaling moves nothing on the map; PROJ compares, however the CRS is written",
        failure="a GIS places the result elsewhere than the source, or nowhere",
        remedy="assign the source's CRS (gdal_edit.py -a_srs), if the pixels were not reprojected",
    ),
    "placement": Rule(
        measured="faults of the grid",
        allowed=0,
        reason="the pixels must be finer and run parallel to the source's, as their transforms, "
        "control points or RPCs say",
        failure="the result's georeference does not fit its pixels",
        remedy="copy transform, control points or RPCs from the source, scaled to the new size",
    ),
    "extent": Rule(
        measured="sides that end just inside the source",
        allowed=0,
        reason="a side may end half a result pixel early (sides are rounded), or well inside (a "
        "window); ending up to a source pixel and a result pixel inside is a lost row or column",
        failure="the last row or column was dropped",
        remedy="upscale again with the size rounded, not cut to a multiple of tiles or scale",
    ),
    "bands": Rule(
        measured="bands without counterpart",
        allowed=0,
        reason="every band is compared with its own; an alpha band may be added",
        failure="bands were lost or added",
        remedy="name the source's bands that the result holds: --bidx N,N",
    ),
    "dtype": Rule(
        measured="bands of another dtype",
        allowed=0,
        reason="tools downstream rely on the dtype, and 8 bits do not hold what 16 did",
        failure="the values were converted",
        remedy="upscale again in the source's dtype",
    ),
    "units": Rule(
        measured="bands of another scale, offset or unit",
        allowed=0,
        reason="the same number must mean the same amount; a unit that is no longer named is told, "
        "not held against the result, for gdal_translate loses it",
        failure="readers that honour the tags see other amounts",
        remedy="copy scale, offset and unit from the source (gdal_edit.py -scale -offset)",
    ),
    "mask lost": Rule(
        measured="share of valid pixels made invalid",
        allowed=1e-4,
        reason="more than 2 source pixels from any hole nothing may be lost; single pixels are, "
        "where interpolation overshoots onto the nodata value",
        failure="measured ground is marked as missing",
        remedy="carry the mask by nearest neighbour; keep values off the nodata value",
    ),
    "mask invented": Rule(
        measured="share of invalid pixels made valid",
        allowed=1e-4,
        reason="more than 2 source pixels inside a hole, or outside the source, nothing is known",
        failure="nodata became a number, often 0: statistics and mosaics will count it",
        remedy="declare the nodata value or write the mask, and fill with it where the source is "
        "invalid",
    ),
    "non-finite": Rule(
        measured="share of valid pixels that are NaN or infinite",
        allowed=0,
        reason="the source is finite there",
        failure="arithmetic went wrong, or a hole leaked",
        remedy="upscale again in full precision; fill holes before any convolution",
    ),
    "registration": Rule(
        measured="shift (source pixels)",
        allowed=0.05,
        reason="the median over windows is good to 0.01 on textured scenes (0.03 where edges "
        "rule, as in surface models); half a result pixel is 0.05 at x10 and more below that; "
        f"{NOISE:g} standard errors are allowed beside it",
        failure="the result lies beside its source: pixel centres taken for corners, or a grid "
        "that is stretched",
        remedy="resample with pixel areas aligned (align_corners=False), or move the transform",
    ),
    "bias": Rule(
        measured="mean difference from the source (steps of the dtype)",
        allowed=0.25,
        reason="rounding leaves 0, truncation 0.5; a float's step is taken as a thousandth of "
        f"the range; beside it {NOISE:g} standard errors and a tenth of the deviation from plain "
        "cubic, for what adds much moves means a little: nothing for plain interpolation",
        failure="values were truncated instead of rounded, or shifted as a whole",
        remedy="round to the nearest before converting to integers",
    ),
    "rms": Rule(
        measured="RMS difference from the source, of cubic's",
        allowed=2.0,
        reason="brought back, plain cubic misses the source by the contrast that it blurs; "
        "Lanczos by less, bilinear by about twice as much; rounding (half a step) is free",
        failure="the result does not show what the source measured",
        remedy="look for another source, a stretch of contrast, or heavy invention",
    ),
    "spectral angle": Rule(
        measured="mean spectral angle to the source, of cubic's",
        allowed=2.0,
        reason="as for the RMS; 0.2 degrees beside it for rounding",
        failure="ratios between bands changed: indices and classifiers will differ",
        remedy="treat bands jointly or keep each band's low frequencies",
    ),
    "border": Rule(
        measured="difference along a side (share of the range)",
        allowed=0.02,
        reason="the outermost source pixel of a side, as a mean; borders that fade lose 10 % and "
        f"more; one step and {NOISE:g} standard errors beside it",
        failure="the scene's border is dimmed or brightened: tiles were blended with nothing",
        remedy="divide by the weights that were really accumulated; mirror the scene beyond it",
    ),
    "tiles": Rule(
        measured="share of places with another offset or gain",
        allowed=0.01,
        reason="a place is 16 x 16 source pixels; its mean may differ from the source's by 3 % of "
        "the range and a step and a half, its contrast by a third of what it should be",
        failure="tiles were stretched or matched to a histogram one by one",
        remedy="decide the value range once for the scene",
    ),
    "seams": Rule(
        measured="excess of gradients on tile lines (share; 0 where no lines stand out)",
        allowed=0.15,
        reason="of the period and phase, of all or by the tags, that stand out most, by 8 standard "
        "errors at least, which scenes without tiles do not reach; less cannot be seen",
        failure="the tiles' borders show",
        remedy="overlap tiles by more and drop the margins; normalise over the scene",
    ),
}
"""By the name that reports use."""
