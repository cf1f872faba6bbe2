"""The tables of a page: facts, tags, and the findings of the audit.

Names and tags come from files of strangers: all of them are escaped, and none is very long.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rs_superres.raster import Description, crs_code, pixel_size
from rs_superres.system.markup import plain
from rs_superres.verify import Audit
from rs_superres.verify.findings import findings_html, verdict_html
from rs_superres.view.pair import ViewedPair

MOST_TAGS = 150
"""Tags that are shown, at most."""


def facts_table(pair: ViewedPair, audit: Audit | None) -> str:
    """Return sizes, pixel sizes and CRS of source and result, and the verdict, as a list."""
    before, after = pair.source.description, pair.result.description
    tags = after.tags
    model = tags.get("SUPERRES_MODEL", "")
    steps = tags.get("SUPERRES_STEPS", "")
    facts = {
        "scale": f"x{pair.zoom.scale:.6g}",
        "result": _size(after),
        "source": _size(before),
        "CRS": crs_code(after.grid.crs) or ("none" if after.grid.crs is None else "without a code"),
        "model": model and f"{model}, {_steps(steps)}",
        "method": tags.get("SUPERRES_METHOD", ""),
    }
    items = "".join(f"<dt>{k}</dt><dd>{plain(v)}</dd>" for k, v in facts.items() if v)
    return items if audit is None else f"<dt>audit</dt><dd>{verdict_html(audit)}</dd>{items}"


def _steps(steps: str) -> str:
    """Return in words how a result was computed."""
    return "the operator alone" if steps == "0" else f"{steps or '?'} steps"


def _size(description: Description) -> str:
    """Return the size of a raster, and of its pixels."""
    shape, metres = description.grid.shape, pixel_size(description.grid)
    size = "" if metres is None else f", pixels of {metres:.4g} m"
    return f"{shape.width} x {shape.height} pixels of {description.dtype}{size}"


def tags_table(tags: Mapping[str, str]) -> str:
    """Return the tags of a result as a table, those of rs-sr first."""
    if not tags:
        return "<p>The result has no tags.</p>"
    names = sorted(tags, key=lambda name: (not name.startswith("SUPERRES_"), name))
    rows = [
        f"<tr><th scope='row'>{plain(name)}</th><td><bdi>{plain(tags[name])}</bdi></td></tr>"
        for name in names[:MOST_TAGS]
    ]
    more = len(names) - len(rows)
    rest = f"<p>{more} more tags are not shown.</p>" if more > 0 else ""
    return f"<table><tbody>{''.join(rows)}</tbody></table>{rest}"


def findings_section(audit: Audit | None, translate: Callable[[str], str]) -> str:
    """Return the findings of an audit: the verdict, failed checks, and a table of all."""
    if audit is None:
        return "<p>The result was not audited. <code>rs-sr verify OUT SOURCE</code> does that.</p>"
    return f"<p id='verdict'>{verdict_html(audit)}</p>{findings_html(audit, translate)}"
