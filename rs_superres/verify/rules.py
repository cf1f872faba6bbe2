"""The checks of an audit: each threshold, the reason for it, and what a failure means.

Several checks take plain cubic interpolation as their reference: the source is interpolated onto
the result's grid and downsampled again like the result. Any sound method does at least as well.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One check: what it measures, how much it allows, and what to do if it fails."""

    measured: str
    """What is measured, with its unit in brackets."""
    allowed: float
    """The largest value that passes, before the tolerances that ``reason`` gives are added."""
    reason: str
    """Why the threshold has this value."""
    failure: str
    """What it means if the threshold is exceeded."""
    remedy: str
    """What to do if the threshold is exceeded."""


NOISE = 4.0
"""Standard errors of a mean that widen its threshold: chance alone exceeds them once in 16,000."""

RULES = {
    "crs": Rule(
        measured="CRS differences",
        allowed=0,
        reason="upscaling does not change the CRS; PROJ compares the two, so it does not matter "
        "how they are written",
        failure="a GIS shows the result in a different place from the source, or nowhere",
        remedy="assign the source's CRS (gdal_edit.py -a_srs), unless the pixels were reprojected",
    ),
    "placement": Rule(
        measured="grid faults",
        allowed=0,
        reason="by transforms, control points or RPCs, the result's pixels must be smaller than "
        "the source's and parallel to them",
        failure="the result's georeference does not fit its pixels",
        remedy="copy the source's transform, control points or RPCs, scaled to the new size",
    ),
    "extent": Rule(
        measured="sides that end just inside the source",
        allowed=0,
        reason="a side may end half an output pixel early, because sizes are rounded, or well "
        "inside the source, because the result is a window; a side that ends at most one source "
        "pixel plus one output pixel inside has lost a row or column",
        failure="the last row or column was dropped",
        remedy="upscale again, and round the size instead of cutting it to a multiple of the tile "
        "or the scale",
    ),
    "bands": Rule(
        measured="bands without a counterpart",
        allowed=0,
        reason="each source band is compared with one band of the result; the result may have an "
        "additional alpha band",
        failure="bands were lost or added",
        remedy="list the source's bands that the result holds, in the result's order: bidx=",
    ),
    "dtype": Rule(
        measured="bands with a different dtype",
        allowed=0,
        reason="other tools rely on the dtype, and 8 bits cannot hold 16-bit values",
        failure="the values were converted",
        remedy="upscale again with the source's dtype",
    ),
    "units": Rule(
        measured="bands with a different scale, offset or unit",
        allowed=0,
        reason="the same number must mean the same amount; a missing unit is reported but does "
        "not fail, because gdal_translate drops units",
        failure="software that applies the tags reads different amounts",
        remedy="copy scale, offset and unit from the source (gdal_edit.py -scale -offset)",
    ),
    "mask lost": Rule(
        measured="share of valid pixels made invalid",
        allowed=1e-4,
        reason="pixels more than 2 source pixels from a hole must stay valid; a few become "
        "invalid where interpolation overshoots onto the nodata value",
        failure="measured ground is marked as missing",
        remedy="resample the mask by nearest neighbour, and keep values off the nodata value",
    ),
    "mask invented": Rule(
        measured="share of invalid pixels made valid",
        allowed=1e-4,
        reason="nothing is known more than 2 source pixels inside a hole or outside the source",
        failure="nodata became a number, often 0, and statistics and mosaics will count it",
        remedy="declare the nodata value or write a mask, and fill with nodata where the source "
        "is invalid",
    ),
    "non-finite": Rule(
        measured="share of valid pixels that are NaN or infinite",
        allowed=0,
        reason="the source is finite at these pixels",
        failure="a computation failed, or values leaked out of a hole",
        remedy="upscale again in full precision, and fill holes before any convolution",
    ),
    "classes": Rule(
        measured="share of pixels with another class than the source pixel under them",
        allowed=0.001,
        reason="classes and quality bits of a product are resampled by nearest neighbour; methods "
        "round differently where a centre lies on the edge of two source pixels",
        failure="classes were interpolated: values between two classes mean a third one",
        remedy="resample the band by nearest neighbour (nearest=)",
    ),
    "registration": Rule(
        measured="shift (source pixels)",
        allowed=0.05,
        reason="the median over windows is accurate to 0.01 on textured scenes and to 0.03 where "
        "edges dominate, as in surface models; half an output pixel is 0.05 at x10 and more at "
        f"smaller scales; the threshold is widened by {NOISE:g} standard errors",
        failure="the result is shifted against its source: pixel centres were taken for corners, "
        "or the grid is stretched",
        remedy="resample with aligned pixel areas (align_corners=False), or correct the transform",
    ),
    "bias": Rule(
        measured="mean difference from the source (steps of the dtype)",
        allowed=0.25,
        reason="rounding leaves 0 and truncation 0.5; for floats, a step is a thousandth of the "
        f"range; the threshold is widened by {NOISE:g} standard errors and by 10 % of the "
        "result's deviation from cubic interpolation, because methods that add detail shift the "
        "mean slightly",
        failure="values were truncated instead of rounded, or all of them were shifted",
        remedy="round to the nearest integer before converting to an integer dtype",
    ),
    "rms": Rule(
        measured="RMS difference from the source (digital numbers; allowed in multiples of "
        "cubic's)",
        allowed=2.0,
        reason="downsampled cubic differs from the source by the contrast that it blurs; Lanczos "
        "differs less, and bilinear about twice as much; half a step is added for rounding, and "
        "0.2 % of the range",
        failure="the result does not show what the source measured",
        remedy="check for a wrong source, a contrast stretch, or large amounts of invented detail",
    ),
    "spectral angle": Rule(
        measured="mean spectral angle to the source (degrees; allowed in multiples of cubic's)",
        allowed=2.0,
        reason="as for the RMS; 0.2 degrees are added for rounding",
        failure="ratios between bands changed, so indices and classifiers will change too",
        remedy="process the bands jointly, or keep the low frequencies of each band",
    ),
    "border": Rule(
        measured="difference along a side, or from the source's local range at the edges of holes "
        "(share of the range)",
        allowed=0.02,
        reason="this is the mean over the outermost source pixels of a side; borders that fade "
        f"lose 10 % or more; the threshold is widened by one step and {2 * NOISE:g} standard "
        "errors; next to holes and transparent pixels it is the RMS by which pixels, weighed by "
        "their alpha, lie outside the values of valid source pixels within 2 pixels; there the "
        "threshold is widened by one step and twice the same figure away from holes",
        failure="the scene's border, or the edge of a hole, is too dark or too bright: tiles were "
        "blended with empty space, or the colours hidden in a hole were mixed in",
        remedy="divide by the weights that were accumulated, mirror the scene at its border, and "
        "fill holes and transparent pixels before any convolution",
    ),
    "tiles": Rule(
        measured="share of patches with a different offset or gain",
        allowed=0.01,
        reason="a patch is 16 x 16 source pixels; its mean may differ from the source's by 3 % of "
        "the range plus 1.5 steps, and its contrast by a third",
        failure="tiles were stretched or matched to a histogram one by one",
        remedy="choose the value range once for the scene",
    ),
    "seams": Rule(
        measured="additional gradient on tile lines (share; 0 if no lines stand out)",
        allowed=0.15,
        reason="the check judges the period and phase whose lines stand out most, or those that "
        "the tags give; lines count if they exceed others by more than 8 standard errors, which "
        "scenes without tiles do not reach; a smaller excess is invisible",
        failure="the borders of tiles are visible",
        remedy="overlap the tiles more and drop the margins, and normalise over the scene",
    ),
}
"""The checks by the name that reports use, in the order of reports."""
