"""Build a page: open the rasters, choose what is shown, audit the result, and write the HTML."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rs_superres.errors import InputError
from rs_superres.raster import Bounds, Paths, block_cache, names_host
from rs_superres.system.names import check_folder, check_replaced
from rs_superres.system.progress import ProgressOption
from rs_superres.verify import Audit, verify
from rs_superres.view.layers import full_layers, reduced_layers
from rs_superres.view.page import Picture, page
from rs_superres.view.pair import ViewedPair, opened
from rs_superres.view.parts import RESERVED, Part, choose_parts

DEFAULT_SIZE = 32_000_000
"""Bytes of a page, at most, unless the caller sets another limit."""

SIZES = (3_000_000, 256_000_000)
"""The least and the greatest limit: browsers hold no much longer texts."""

AUDITED = 32
"""Megapixels of the largest result that is audited unless the caller asks for it."""

BLOCK_CACHE = 64 * 2**20
"""Bytes of GDAL's block cache."""

SUFFIXES = (".html", ".htm")
"""File name extensions of a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewOptions:
    """What a page shows."""

    uncertainty: str | None = None
    """Path of a raster on the result's grid: the error that the model expects."""
    bounds: tuple[Bounds, ...] = ()
    """Bounds of the parts at full resolution; empty to choose parts with much detail."""
    bidx: tuple[int | str, ...] = ()
    """The source's bands that the result holds; see :func:`rs_superres.verify.verify`."""
    rgb: tuple[int, ...] = ()
    """Numbers of the result's bands that are shown as red, green and blue at first."""
    max_size: int = DEFAULT_SIZE
    """Limit of the page, bytes."""
    verify: bool | None = None
    """Whether to audit the result; None audits results of up to :data:`AUDITED` megapixels."""

    def check(self) -> None:
        """Refuse values that no page can have.

        Raises:
            InputError: one of them.
        """
        least, most = SIZES
        if not least <= self.max_size <= most:
            raise InputError(
                f"max_size={self.max_size / 1e6:g}MB, expected {least / 1e6:g}MB to "
                f"{most / 1e6:g}MB"
            )
        if len(self.rgb) not in (0, 3):
            raise InputError(f"rgb= names {len(self.rgb)} bands, expected 3")


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A page."""

    html: str
    parts: tuple[Part, ...]
    """The windows that it shows."""
    audit: Audit | None
    """The findings of the audit; None if there was none."""
    notes: tuple[str, ...]
    """Sentences about what the page leaves out."""


def page_path(out: str, page: Path | None, sources: Sequence[str], *, overwrite: bool) -> Path:
    """Return the name of a page, and check that it can be written.

    Args:
        out: the name of the result.
        page: the name that the caller chose; None for that of the result with the ending .html.
        sources: the other rasters of the page.
        overwrite: whether an existing page may be replaced.

    Raises:
        InputError: the file has another ending, exists, or cannot be written.
    """
    if page is None:
        if names_host(out) or out.startswith("/vsi"):
            raise InputError(f"{out} is not a local file; choose a name for the page with page=")
        page = Path(out).with_suffix(SUFFIXES[0])
    if page.suffix.lower() not in SUFFIXES:
        raise InputError(f"the page {page}, expected a name that ends in {', '.join(SUFFIXES)}")
    check_folder(page)
    check_replaced(page, (out, *sources), overwrite=overwrite)
    return page


def view(
    out: str,
    source: Paths,
    options: ViewOptions | None = None,
    *,
    progress: ProgressOption = None,
    translate: Callable[[str], str] = str,
) -> View:
    """Build a page to look at a result next to its source.

    The rasters are read in windows, so they may be larger than memory.

    Args:
        out: path of the result, whichever tool made it.
        source: path of the source, or the paths of several sources that were stacked.
        options: what the page shows.
        progress: called after each block of the audit, or whether to show a bar.
        translate: turns the keywords in a text into the words of the caller's interface.

    Raises:
        InputError: the rasters do not belong together, or the options do not fit them.
        RasterError: a raster cannot be read.
    """
    options = options or ViewOptions()
    options.check()
    with (
        block_cache(BLOCK_CACHE),
        opened(
            out, source, uncertainty=options.uncertainty, bidx=options.bidx, rgb=options.rgb
        ) as pair,
    ):
        pictures = _pictures(pair, options)
        shape = pair.zoom.output.shape
        megapixels = shape.height * shape.width / 1e6
        audited = options.verify if options.verify is not None else megapixels <= AUDITED
        audit = verify(out, source, bidx=options.bidx, progress=progress) if audited else None
        notes = _notes(pair, megapixels, skipped=options.verify is None and not audited)
        html = page(pair, pictures, audit, notes, translate)
    assert len(html.encode()) <= options.max_size  # noqa: S101 (parts and tables promise it)
    parts = tuple(picture.part for picture in pictures)
    return View(html=html, parts=parts, audit=audit, notes=notes)


def _pictures(pair: ViewedPair, options: ViewOptions) -> list[Picture]:
    """Read and encode the parts of a page."""
    bounds, limit = options.bounds, options.max_size
    pictures = [_picture(pair, part) for part in choose_parts(pair, bounds, max_size=limit)]
    if sum(picture.size for picture in pictures) > limit - RESERVED:
        parts = choose_parts(pair, bounds, max_size=limit, sure=True)
        pictures = [_picture(pair, part) for part in parts]
    return pictures


def _picture(pair: ViewedPair, part: Part) -> Picture:
    """Read a part."""
    if part.overview is None:
        return Picture.of(part, full_layers(pair, part.window))
    return Picture.of(part, reduced_layers(pair, part.overview))


def _notes(pair: ViewedPair, megapixels: float, *, skipped: bool) -> tuple[str, ...]:
    """Return sentences about what a page leaves out.

    Args:
        pair: the rasters.
        megapixels: the size of the result.
        skipped: whether the result is too large for an audit that nobody asked for.
    """
    notes = []
    if pair.left_out:
        shown = ", ".join(map(str, pair.numbers))
        notes.append(f"{pair.left_out} bands are left out; the page shows bands {shown}")
    if skipped:
        notes.append(
            f"the result has {megapixels:.0f} megapixels, so it was not audited; verify=True does "
            "that"
        )
    return tuple(notes)
