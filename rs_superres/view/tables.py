"""The tables of a page: facts, tags, and the findings of the audit.

Names and tags come from files of strangers: all of them are escaped, and none is very long.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from html import escape

from rs_superres.raster import Description, crs_code, pixel_size
from rs_superres.verify import Audit, Finding
from rs_superres.view.pair import ViewedPair

MOST_TAGS, LONGEST_TEXT = 150, 1000
"""Tags that are shown, and characters of each, at most."""

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Characters that HTML does not allow, or that change the direction of the text around them."""


def plain(text: str) -> str:
    """Return a text from a file as HTML that shows it."""
    short = text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]} …"
    known = short.encode("utf-8", "replace").decode("utf-8")  # bytes of names that are not UTF-8
    return escape(_CONTROL.sub("\ufffd", known))


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
    return items if audit is None else f"<dt>audit</dt><dd>{_verdict(audit)}</dd>{items}"


def _verdict(audit: Audit) -> str:
    """Return PASS or FAIL, and the number of checks."""
    count, failed = len(audit.findings), len(audit.failed)
    skipped = sum(finding.verdict == "not measured" for finding in audit.findings)
    verdict = (
        f"<b class='fail'>FAIL</b>: {failed} of {count} checks"
        if failed
        else f"<b class='pass'>PASS</b>: {count - skipped} of {count} checks"
    )
    return f"{verdict}, {skipped} not measured" if skipped else verdict


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
    rows = "".join(_row(finding) for finding in audit.findings)
    return (
        f"<p id='verdict'>{_verdict(audit)}</p>"
        f"{''.join(_explained(finding, translate) for finding in audit.failed)}"
        "<div class='scroll'><table><thead><tr><th scope='col'>check</th><th scope='col'>verdict"
        "</th><th scope='col'>measured</th><th scope='col'>allowed</th><th scope='col'>detail</th>"
        f"</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(finding: Finding) -> str:
    """Return the table's row for a check."""
    kind = finding.verdict.split()[0]
    return (
        f"<tr><th scope='row' title='{plain(finding.rule.measured)}'>{plain(finding.name)}</th>"
        f"<td class='{kind}'>{finding.verdict}</td><td class='number'>{_number(finding.measured)}"
        f"</td><td class='number'>{_number(finding.allowed)}</td><td>{plain(finding.detail)}</td>"
        "</tr>"
    )


def _explained(finding: Finding, translate: Callable[[str], str]) -> str:
    """Return what a failed check means, and what to do."""
    rule = finding.rule
    return (
        f"<p class='fault'><b>{plain(finding.name)}</b>: {plain(rule.measured)}, "
        f"{_number(finding.measured)}; allowed is {_number(finding.allowed)}. It means: "
        f"{plain(rule.failure)}. To do: {plain(translate(rule.remedy))}.</p>"
    )


def _number(value: float | None) -> str:
    """Format a number with three digits; "–" for None."""
    return "–" if value is None else f"{value:.3g}"
