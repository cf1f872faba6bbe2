"""The audit of a result against its source: what must hold of any upscaled raster."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import numpy as np

from rs_superres.errors import InputError
from rs_superres.raster import Band, Description, Paths, Selection, Source, open_source
from rs_superres.verify.comparison import SourceResultPair
from rs_superres.verify.findings import Audit, Finding
from rs_superres.verify.masks import Masks
from rs_superres.verify.placement import crs_finding, extent_finding, placed
from rs_superres.verify.radiometric import Radiometry
from rs_superres.verify.registration import registration
from rs_superres.verify.rules import RULES
from rs_superres.verify.seams import seams

Progress = Callable[[int, int], None]
"""Called with how many blocks are done, and how many there are."""


def verify(
    out: str,
    source: Paths,
    *,
    bands: tuple[int, ...] = (),
    progress: Progress | None = None,
) -> Audit:
    """Audit a result, ours or another's.

    Args:
        out: the result.
        source: what it was made from: one raster, or several that were stacked.
        bands: the source's bands that the result holds, from 1, in its order; empty for all.
        progress: told of every block.

    Raises:
        InputError: bands that are not there, or a raster of a kind that is not super-resolved.
        RasterError: one of them cannot be read.
    """
    with ExitStack() as open_files:
        made = open_files.enter_context(open_source(out))
        whole = open_files.enter_context(open_source(source))
        chosen = _chosen(whole, made, bands)
        here, there = chosen.description, made.description
        zoom, fault = placed(here, there)
        findings = [
            crs_finding(here, there),
            Finding(
                name="placement",
                measured=int(bool(fault)),
                allowed=RULES["placement"].allowed,
                detail=fault,
            ),
            *([] if zoom is None else [extent_finding(zoom)]),
            _bands_finding(here, there),
            *_tag_findings(here, there),
        ]
        if zoom is not None:
            shared = _compared(here, there)
            if shared:
                pair = SourceResultPair(source=chosen, out=made, zoom=zoom, bands=shared)
                findings += _measured(pair, progress)
        shape = there.grid.shape
        return Audit(
            out=out,
            source=here.path,
            size=(shape.width, shape.height),
            scale=None if zoom is None else zoom.scale,
            findings=tuple(findings),
        )


def _measured(pair: SourceResultPair, progress: Progress | None) -> list[Finding]:
    """What takes the pixels."""
    masks, radiometry = Masks(pair), Radiometry(pair)
    blocks = list(pair.blocks())
    for done, window in enumerate(blocks, start=1):
        block = pair.read(window)
        masks.add(block)
        radiometry.add(block)
        if progress is not None:
            progress(done, len(blocks))
    masks.add_outside()
    return [
        *masks.findings(),
        registration(pair),
        *radiometry.findings(),
        seams(pair, radiometry.spans),
    ]


def _chosen(source: Source, out: Source, bands: tuple[int, ...]) -> Source:
    """The source with the bands that the result holds."""
    count = len(source.description.bands)
    for number in bands:
        if not 1 <= number <= count:
            raise InputError(
                f"--bidx names band {number}, {source.description.path} has bands 1 to {count}"
            )
    if bands:
        return source.selected(Selection(bands=bands))
    if count == 1 and source.description.bands[0].is_palette and len(out.description.bands) >= 3:
        return source.selected(Selection(bands=(1,), expand=True))
    return source


def _compared(here: Description, there: Description) -> tuple[int, ...]:
    """Indices of the bands that are compared: not alpha, and in both."""
    pairs = zip(here.bands, there.bands, strict=False)
    return tuple(i for i, (a, b) in enumerate(pairs) if not (a.is_alpha or b.is_alpha))


def _bands_finding(here: Description, there: Description) -> Finding:
    """Whether each band has its counterpart."""
    added = len(there.bands) - len(here.bands)
    alpha = there.bands[-1].is_alpha and not any(b.is_alpha for b in here.bands)
    fine = added == 0 or (added == 1 and alpha)
    return Finding(
        name="bands",
        measured=0 if fine else abs(added),
        allowed=RULES["bands"].allowed,
        detail=f"{len(there.bands)} of the source's {len(here.bands)}"
        + (", one is alpha" if added == 1 and alpha else ""),
    )


def _tag_findings(here: Description, there: Description) -> list[Finding]:
    """Dtype, scale, offset and unit, band by band."""
    pairs = list(zip(here.bands, there.bands, strict=False))
    dtypes = {f"{a.dtype} became {b.dtype}" for a, b in pairs if a.dtype != b.dtype}
    units = [_unit_fault(a, b) for a, b in pairs]
    lost = {a.unit for a, b in pairs if a.unit and not b.unit}
    notes = [f"the unit {unit} is no longer named" for unit in sorted(lost)]
    return [
        Finding(
            name="dtype",
            measured=sum(a.dtype != b.dtype for a, b in pairs),
            allowed=RULES["dtype"].allowed,
            detail="; ".join(sorted(dtypes)) or here.dtype,
        ),
        Finding(
            name="units",
            measured=sum(bool(u) for u in units),
            allowed=RULES["units"].allowed,
            detail="; ".join([*sorted({u for u in units if u}), *notes]),
        ),
    ]


def _unit_fault(here: Band, there: Band) -> str:
    """What of a band's meaning changed, in words; empty where nothing did."""
    told = [
        f"{name} {before!r} became {after!r}"
        for name, before, after in (
            ("scale", here.scale, there.scale),
            ("offset", here.offset, there.offset),
        )
        if not np.isclose(before, after, rtol=1e-9, atol=0)
    ]
    # gdal_translate drops units: that loses a word, and changes no amount.
    if there.unit and here.unit != there.unit:
        told.append(f"unit {here.unit or 'none'} became {there.unit}")
    return ", ".join(told)
