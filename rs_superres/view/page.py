"""The HTML of a page: one file with its pixels, styles and script."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import PurePath
from string import Template
from typing import Any

import numpy as np

from rs_superres.raster import Band, crs_code
from rs_superres.system.markup import plain
from rs_superres.types import Doubles
from rs_superres.verify import Audit
from rs_superres.view.encoding import LARGEST, encode_mask, encode_pixels, page_dtype
from rs_superres.view.layers import CUBIC, RESULT, SOURCE, UNCERTAINTY, Layer
from rs_superres.view.pair import ViewedPair
from rs_superres.view.parts import Part
from rs_superres.view.tables import facts_table, findings_section, tags_table

PERCENTILES = (0.0, 1.0, 99.0, 100.0)
"""Percentiles of a layer's values from which the page offers contrast stretches."""

NEARLY_ALL = 99.5
"""Percentile of the distance between result and cubic that is shown as black or white."""

MOST_COLOURS = 1024
"""Colours of a table, at most; classes of larger tables are shown as grey."""

SCRIPTS = ("pixels.js", "map.js", "controls.js")
"""The parts of the page's script, in their order."""

TITLES = {
    SOURCE: "source",
    CUBIC: "cubic",
    RESULT: "result",
    UNCERTAINTY: "uncertainty",
}
"""The names of layers on the page, in the order of its lists."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A part of the map, encoded for the page."""

    part: Part
    facts: Mapping[str, Any]
    """What the script needs of it."""
    percentiles: Mapping[str, Doubles]
    """(band, percentile) of the layers' valid values, see :data:`PERCENTILES`."""
    difference: Doubles | None
    """(band,) what nearly all differences between result and cubic lie below; None without it."""

    @classmethod
    def of(cls, part: Part, layers: Mapping[str, Layer]) -> Picture:
        """Encode the layers of a part."""
        window = part.window
        facts = {
            "name": part.name,
            "overview": part.overview is not None,
            "box": [
                window.column,
                window.row,
                window.column + window.width,
                window.row + window.height,
            ],
            "layers": {name: _encoded(layer) for name, layer in layers.items()},
        }
        names = {SOURCE, UNCERTAINTY} & layers.keys()
        percentiles = {name: _percentiles(layers[name]) for name in names}
        return cls(part, facts, percentiles, _difference(layers) if CUBIC in layers else None)

    @property
    def size(self) -> int:
        """The number of characters that the pixels take."""
        layers = self.facts["layers"].values()
        texts = (text for layer in layers for text in (*layer["bands"], *layer["masks"]))
        return sum(len(text) for text in texts if text is not None)


def page(
    pair: ViewedPair,
    pictures: Sequence[Picture],
    audit: Audit | None,
    notes: Sequence[str],
    translate: Callable[[str], str],
) -> str:
    """Return the page as HTML.

    Args:
        pair: the rasters.
        pictures: the parts of the map; the first covers the entire result.
        audit: the findings of the audit; None without one.
        notes: sentences about what the page leaves out.
        translate: turns the keywords in a text into the words of the caller's interface.
    """
    style = _file("page.css")
    script = "\n".join(_file(name) for name in SCRIPTS)
    before, after = pair.source.description, pair.result.description
    names = [PurePath(one.path).name or one.path for one in (after, before)]
    data = json.dumps(_data(pair, pictures)).replace("<", "\\u003c")
    return Template(_file("template.html")).substitute(
        policy=policy(style, script),
        title=plain(names[0]),
        source=plain(names[1]),
        facts=facts_table(pair, audit),
        notes="".join(f"<p class='note'>{plain(translate(note))}</p>" for note in notes),
        findings=findings_section(audit, translate),
        tags=tags_table(after.tags),
        style=style,
        data=data,
        script=script,
    )


def policy(style: str, script: str) -> str:
    """Return the page's Content-Security-Policy: its own style and script run, and nothing else."""
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    """Return the hash of an inline style or script as a policy names it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _file(name: str) -> str:
    """Read a file of this package."""
    return resources.files("rs_superres.view").joinpath(name).read_text(encoding="utf-8").strip()


def _data(pair: ViewedPair, pictures: Sequence[Picture]) -> dict[str, Any]:
    """Return what the script needs."""
    grid = pair.result.description.grid
    percentiles = pictures[0].percentiles
    layers = [name for name in TITLES if any(name in p.facts["layers"] for p in pictures)]
    return {
        "width": grid.shape.width,
        "height": grid.shape.height,
        "transform": None if grid.transform is None else list(grid.transform)[:6],
        "crs": crs_code(grid.crs),
        "scale": pair.zoom.scale,
        "bands": [
            _band(pair, band, number) for band, number in zip(pair.bands, pair.numbers, strict=True)
        ],
        "rgb": list(pair.rgb),
        "bytes": pair.source.description.dtype == "uint8",
        "limits": percentiles[SOURCE].tolist(),
        "uncertainty": percentiles[UNCERTAINTY].tolist() if UNCERTAINTY in percentiles else None,
        "difference": np.max(
            [p.difference for p in pictures if p.difference is not None], axis=0
        ).tolist(),
        "layers": [{"key": name, "title": TITLES[name]} for name in layers],
        "parts": [dict(picture.facts) for picture in pictures],
    }


def _band(pair: ViewedPair, band: Band, number: int) -> dict[str, Any]:
    """Return what the script needs of a band."""
    source = pair.source.description.bands[pair.numbers.index(number)]
    name = band.description or source.description or ""
    if not name and band.interpretation not in {"undefined", "gray", "grey", "palette"}:
        name = band.interpretation
    label = f"{number} {name}".strip()
    table = band.colours or source.colours
    used = max((n + 1 for n, colour in enumerate(table) if any(colour[:3])), default=0)
    colours = table[:used] if used <= MOST_COLOURS else ()
    return {"label": label[:60], "unit": band.unit or "", "colours": [list(c) for c in colours]}


def _encoded(layer: Layer) -> dict[str, Any]:
    """Encode a layer."""
    height, width = layer.values.shape[1:]
    pairs = list(zip(layer.values, layer.valid, strict=True))
    return {
        "dtype": page_dtype(layer.values.dtype.name),
        "width": width,
        "height": height,
        "box": list(layer.box),
        "bands": [encode_pixels(values, valid) for values, valid in pairs],
        "masks": [encode_mask(valid) for _, valid in pairs],
    }


def _difference(layers: Mapping[str, Layer]) -> Doubles:
    """Return the percentile :data:`NEARLY_ALL` of each band's distance from cubic, (band,)."""
    cubic, result = layers[CUBIC], layers[RESULT]
    out = np.zeros(len(result.values))
    for i, both in enumerate(cubic.valid & result.valid):
        if both.any():
            one, other = (layer.values[i][both].astype(np.float64) for layer in (result, cubic))
            with np.errstate(over="ignore"):
                out[i] = np.percentile(np.abs(one - other), NEARLY_ALL).clip(max=LARGEST)
    return out


def _percentiles(layer: Layer) -> Doubles:
    """Return the percentiles of each band's valid values; 0 and 1 where there are none."""
    out = np.tile((0.0, 0.0, 1.0, 1.0), (len(layer.values), 1))
    for row, values, valid in zip(out, layer.values, layer.valid, strict=True):
        chosen = values[valid].astype(np.float64)
        if chosen.size:
            row[:] = np.percentile(chosen, PERCENTILES).clip(-LARGEST, LARGEST)
    return out
