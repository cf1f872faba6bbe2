"""The outcome of an audit: one finding per check."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rs_superres.system.markup import plain
from rs_superres.verify.rules import RULES, Rule

Verdict = Literal["pass", "fail", "not measured"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The outcome of one check."""

    name: str
    """The name of the rule in :data:`~rs_superres.verify.rules.RULES`."""
    measured: float | None
    """The measured value; None if the rasters hold nothing to measure."""
    allowed: float
    """The largest value that passes for these rasters, tolerances included."""
    detail: str = ""
    """Details for people, in words."""
    bands: Mapping[str, list[float]] = field(default_factory=dict)
    """Lists of values by band, keyed by what they are; empty for checks of the entire raster."""

    @property
    def rule(self) -> Rule:
        """The rule that was checked."""
        return RULES[self.name]

    @property
    def verdict(self) -> Verdict:
        """The comparison of ``measured`` with ``allowed``."""
        if self.measured is None:
            return "not measured"
        return "pass" if self.measured <= self.allowed else "fail"

    def facts(self) -> dict[str, Any]:
        """Return the finding and its rule as plain values for JSON."""
        rule = self.rule
        return {
            "check": self.name,
            "measured": _json_number(self.measured),
            "allowed": _json_number(self.allowed),
            "verdict": self.verdict,
            "what": rule.measured,
            "detail": self.detail,
            "bands": {k: [_json_number(v) for v in values] for k, values in self.bands.items()},
            "reason": rule.reason,
            "failure": rule.failure,
            "remedy": rule.remedy,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The findings of all checks on one result."""

    out: str
    """The path of the result."""
    source: str
    """The path of the source."""
    size: tuple[int, int]
    """Width and height of the result, pixels."""
    scale: float | None
    """The factor between source and output pixels; None if the grids do not fit."""
    findings: tuple[Finding, ...]
    """One finding per check, in the order of the rules."""

    @property
    def failed(self) -> tuple[Finding, ...]:
        """The findings that exceed their thresholds."""
        return tuple(f for f in self.findings if f.verdict == "fail")

    def _repr_html_(self) -> str:
        """Return what was compared, the verdict and a table of the checks, for notebooks."""
        width, height = self.size
        scale = "" if self.scale is None else f", x{self.scale:.4g}"
        about = f"{self.out}: {width} x {height} pixels{scale}, against {self.source}"
        return f"<p>{plain(about)}</p><p>{verdict_html(self)}</p>{findings_html(self)}"

    def facts(self) -> dict[str, Any]:
        """Return the audit as plain values for JSON."""
        return {
            "out": self.out,
            "source": self.source,
            "size": list(self.size),
            "scale": self.scale,
            "passed": not self.failed,
            "checks": [f.facts() for f in self.findings],
        }


def verdict_html(audit: Audit) -> str:
    """Return PASS or FAIL, and the number of checks."""
    count, failed = len(audit.findings), len(audit.failed)
    skipped = sum(finding.verdict == "not measured" for finding in audit.findings)
    verdict = (
        f"<b class='fail'>FAIL</b>: {failed} of {count} checks"
        if failed
        else f"<b class='pass'>PASS</b>: {count - skipped} of {count} checks"
    )
    return f"{verdict}, {skipped} not measured" if skipped else verdict


def findings_html(audit: Audit, translate: Callable[[str], str] = str) -> str:
    """Return what each failed check means, and a table of all checks.

    Args:
        audit: the audit.
        translate: turns the keywords in a text into the words of the caller's interface.
    """
    rows = "".join(_row(finding) for finding in audit.findings)
    return (
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


def _json_number(value: float | None) -> float | None:
    """Round to six digits; None for NaN and infinity, which JSON does not have."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")
