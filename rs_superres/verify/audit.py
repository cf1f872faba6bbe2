"""The audit: open both rasters, run every check, and gather the findings."""

from __future__ import annotations

import logging
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from rs_superres.config import ConsistencyConfig
from rs_superres.grid import Zoom
from rs_superres.raster import (
    SOURCE_BANDS_TAG,
    Band,
    Description,
    Paths,
    Selection,
    Source,
    bands_with_role,
    numbers_of,
    open_source,
)
from rs_superres.system.progress import ProgressOption, counted, shown_progress
from rs_superres.vector import Area, read_area
from rs_superres.verify.comparison import SourceResultPair
from rs_superres.verify.findings import Audit, Finding
from rs_superres.verify.masks import MaskCounts
from rs_superres.verify.placement import crs_finding, extent_finding, map_grids
from rs_superres.verify.radiometric import Radiometry
from rs_superres.verify.registration import registration
from rs_superres.verify.rules import RULES
from rs_superres.verify.seams import seams

logger = logging.getLogger(__name__)


def verify(
    out: str,
    source: Paths,
    *,
    bidx: tuple[int | str, ...] = (),
    aoi: Path | None = None,
    progress: ProgressOption = None,
) -> Audit:
    """Audit a result against its source, whichever tool made it.

    Both rasters are read in blocks, so they may be larger than memory.

    Args:
        out: path of the result.
        source: path of the source, or the paths of several sources that were stacked.
        bidx: the source's bands that the result holds, in the result's order: names, or numbers
            counted from 1; empty for all bands, or for those that a product's result names.
        aoi: the polygons that the result was cut to: a vector file. Pixels outside count as neither
            lost nor kept. None for a result that covers all it should.
        progress: called after each block, with the numbers of finished blocks and of all blocks; or
            whether to show a bar. None shows one in a Jupyter notebook.

    Returns:
        A finding for each check. If the grids do not fit, the checks that compare pixels are
        left out.

    Raises:
        InputError: a band does not exist, a raster is of a kind that is not super-resolved, or the
            polygons cannot be used.
        RasterError: a raster cannot be read.
    """
    with ExitStack() as open_files:
        result = open_files.enter_context(open_source(out))
        all_bands = open_files.enter_context(open_source(source))
        selected = matching_bands(all_bands, result, bidx)
        before, after = selected.description, result.description
        area = None if aoi is None else read_area(aoi, after.grid)
        zoom, fault = map_grids(before, after)
        findings = [
            crs_finding(before, after),
            Finding(
                name="placement",
                measured=int(bool(fault)),
                allowed=RULES["placement"].allowed,
                detail=fault,
            ),
            *([] if zoom is None else [extent_finding(zoom)]),
            _bands_finding(before, after),
            *_tag_findings(before, after),
        ]
        if zoom is not None:
            pairs = _pairs(selected, result, zoom)
            total = sum(len(list(pair.blocks())) for pair in pairs)
            with shown_progress(progress, "verify", unit="block", total=total) as shown:
                finished = counted(shown, total)
                findings += _worst([_pixel_findings(pair, area, finished) for pair in pairs])
        shape = after.grid.shape
        return Audit(
            out=out,
            source=before.path,
            size=(shape.width, shape.height),
            scale=None if zoom is None else zoom.scale,
            findings=tuple(findings),
        )


def _pixel_findings(
    pair: SourceResultPair, area: Area | None, finished: Callable[[], None]
) -> list[Finding]:
    """Run the checks that read pixels.

    Args:
        pair: the source and its result.
        area: the area of interest that the result was cut to; None if there is none, or the caller
            does not say.
        finished: called after each block.
    """
    masks, radiometry = MaskCounts(pair, area), Radiometry(pair)
    blocks = list(pair.blocks())
    logger.debug(
        "comparing bands %s in %d blocks of up to %d source pixels",
        [band + 1 for band in pair.bands],
        len(blocks),
        pair.block_side,
    )
    for window in blocks:
        block = pair.read(window)
        masks.add(block)
        radiometry.add(block)
        finished()
    masks.add_outside()
    return [
        *masks.findings(),
        registration(pair),
        *radiometry.findings(),
        seams(pair, radiometry.spans),
    ]


def matching_bands(source: Source, result: Source, bidx: tuple[int | str, ...]) -> Source:
    """Return the source with the bands that the result holds.

    Args:
        source: the source, with all its bands.
        result: the result.
        bidx: the bands that the caller chose; see :func:`verify`.

    Raises:
        InputError: a band does not exist.
    """
    bands, count = source.description.bands, len(source.description.bands)
    bidx = bidx or _bands_held(source.description, result.description)
    if bidx:
        numbers = numbers_of(bands, bidx, "bidx=", source.description.path)
        return source.selected(Selection(bands=numbers))
    is_palette = count == 1 and source.description.bands[0].is_palette
    if is_palette and len(result.description.bands) >= 3:
        return source.selected(Selection(bands=(1,), expand=True))
    return source


def _bands_held(source: Description, result: Description) -> tuple[int | str, ...]:
    """Return which bands of its source a result holds; empty if it does not say.

    A result of rs-sr says so in a tag, and others by the names of their bands.
    """
    names = Counter(band.description for band in source.bands)
    held = tuple(band.description or "" for band in result.bands)
    if len({*held}) == len(held) and all(name and names[name] == 1 for name in held):
        return held
    tag = result.tags.get(SOURCE_BANDS_TAG, "")
    if re.fullmatch(r"\d+(,\d+)*", tag):
        numbers = tuple(map(int, tag.split(",")))
        if len(numbers) == len(held) and all(1 <= n <= len(source.bands) for n in numbers):
            return numbers
    return () if source.product is None else source.default_bands


def _pairs(source: Source, result: Source, zoom: Zoom) -> list[SourceResultPair]:
    """Return what is compared: bands with larger pixels apart, each size on its own grid."""
    before, after = source.description, result.description
    both, kernels = before.bands[: len(after.bands)], stated_kernels(after.tags)
    pairs: list[SourceResultPair] = []
    for factor in sorted({band.factor for band in before.bands}):
        bands = _comparable_bands(before, after, factor)
        if bands:
            # Smaller pixels than those of this grid cannot be compared on it.
            classes = [i for i, b in enumerate(both) if b.nearest and b.factor >= factor]
            pairs.append(
                SourceResultPair(
                    source=source if factor == 1 else source.coarser(factor),
                    result=result,
                    zoom=zoom if factor == 1 else zoom.coarser(factor),
                    bands=bands,
                    classes=() if pairs else tuple(classes),
                    kernels=kernels,
                )
            )
    return pairs


def stated_kernels(tags: Mapping[str, str]) -> dict[int, ConsistencyConfig]:
    """Return the kernels that rs-sr corrected a result for, by the index of the band.

    The correction makes a result downsample to its source by these kernels. Bands are missing that
    were not corrected.

    Args:
        tags: those of the result.
    """
    joint = bands_with_role(tags, "joint")
    groups = [joint] if joint else []
    groups += [(band,) for band in bands_with_role(tags, "alone")]
    words = tags.get("SUPERRES_CONSISTENCY", "").split("; ")
    words = words * len(groups) if len(words) == 1 else words
    if len(words) != len(groups):
        return {}
    kernels = [ConsistencyConfig.from_words(text) for text in words]
    return {
        band: kernel
        for group, kernel in zip(groups, kernels, strict=True)
        if kernel is not None
        for band in group
    }


def _comparable_bands(before: Description, after: Description, factor: int = 1) -> tuple[int, ...]:
    """Return the indices of the bands that both rasters hold, without alpha and classes.

    Args:
        before: the source.
        after: the result.
        factor: the size of the bands' pixels in the source; see :attr:`Band.factor`.
    """
    pairs = zip(before.bands, after.bands, strict=False)
    return tuple(
        i
        for i, (a, b) in enumerate(pairs)
        if not (a.is_alpha or b.is_alpha or a.nearest) and a.factor == factor
    )


def _worst(findings: Sequence[Sequence[Finding]]) -> list[Finding]:
    """Return of each check the finding that exceeds what is allowed by most.

    Args:
        findings: the same checks, in the same order, of several groups of bands.
    """

    def excess(finding: Finding) -> float:
        return -math.inf if finding.measured is None else finding.measured / (finding.allowed or 1)

    return [max(same, key=excess) for same in zip(*findings, strict=True)]


def _bands_finding(before: Description, after: Description) -> Finding:
    """Check that each band has a counterpart; an additional alpha band is allowed."""
    added = len(after.bands) - len(before.bands)
    has_new_alpha = after.bands[-1].is_alpha and not any(b.is_alpha for b in before.bands)
    only_alpha_added = added == 1 and has_new_alpha
    detail = f"the result has {len(after.bands)}, the source {len(before.bands)}"
    return Finding(
        name="bands",
        measured=0 if only_alpha_added else abs(added),
        allowed=RULES["bands"].allowed,
        detail=detail + (", one is alpha" if only_alpha_added else ""),
    )


def _tag_findings(before: Description, after: Description) -> list[Finding]:
    """Check dtype, scale, offset and unit of each band."""
    pairs = list(zip(before.bands, after.bands, strict=False))
    dtypes = {f"{a.dtype} became {b.dtype}" for a, b in pairs if a.dtype != b.dtype}
    unit_changes = [_unit_change(a, b) for a, b in pairs]
    lost_units = {a.unit for a, b in pairs if a.unit and not b.unit}
    notes = [f"the unit {unit} is missing" for unit in sorted(lost_units)]
    return [
        Finding(
            name="dtype",
            measured=sum(a.dtype != b.dtype for a, b in pairs),
            allowed=RULES["dtype"].allowed,
            detail="; ".join(sorted(dtypes)) or before.dtype,
        ),
        Finding(
            name="units",
            measured=sum(bool(change) for change in unit_changes),
            allowed=RULES["units"].allowed,
            detail="; ".join([*sorted({change for change in unit_changes if change}), *notes]),
        ),
    ]


def _unit_change(before: Band, after: Band) -> str:
    """Describe the changes of a band's scale, offset and unit; empty if there are none."""
    changes = [
        f"{name} {old!r} became {new!r}"
        for name, old, new in (
            ("scale", before.scale, after.scale),
            ("offset", before.offset, after.offset),
        )
        if not np.isclose(old, new, rtol=1e-9, atol=0)
    ]
    # A missing unit is no failure: gdal_translate drops units, and the numbers keep their meaning.
    if after.unit and before.unit != after.unit:
        changes.append(f"unit {before.unit or 'none'} became {after.unit}")
    return ", ".join(changes)
