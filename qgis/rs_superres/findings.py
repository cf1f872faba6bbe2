"""Show what ``rs-sr verify`` found, as lines and as a page."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font-family: sans-serif; margin: 1em }}
td, th {{ border-bottom: 1px solid #ccc; padding: 0.3em 0.6em; text-align: left }}
td.number {{ text-align: right }}
tr.fail {{ background: #fdd }}
</style></head><body>
<h1>{title}</h1>
<p>{out}<br>against {source}</p>
<table><tr><th>check</th><th>measured</th><th>allowed</th><th>verdict</th><th>detail</th></tr>
{rows}
</table>
{failures}</body></html>
"""


def failed(facts: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the checks that failed."""
    return [check for check in facts["checks"] if check["verdict"] == "fail"]


def verdict(facts: dict[str, Any]) -> str:
    """Return the outcome of all checks in one line."""
    checks, missed = facts["checks"], failed(facts)
    skipped = sum(check["verdict"] == "not measured" for check in checks)
    if missed:
        names = ", ".join(check["check"] for check in missed)
        line = f"FAIL: {len(missed)} of {len(checks)} checks ({names})"
    else:
        line = f"PASS: {len(checks) - skipped} of {len(checks)} checks"
    return f"{line}, {skipped} not measured" if skipped else line


def lines(facts: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each check, and an explanation of those that failed."""
    for check in facts["checks"]:
        numbers = f"{_number(check['measured']):>10} of {_number(check['allowed']):<10}"
        yield f"{check['check']:15} {numbers} {check['verdict']:12} {check['detail']}".rstrip()
    for check in failed(facts):
        yield f"{check['check']}: {check['failure']}. To do: {check['remedy']}."


def page(facts: dict[str, Any]) -> str:
    """Return the findings as an HTML page. Names of files and bands are text in it."""
    return PAGE.format(
        title=escape(verdict(facts)),
        out=escape(str(facts["out"])),
        source=escape(str(facts["source"])),
        rows="\n".join(map(_row, facts["checks"])),
        failures="".join(map(_explanation, failed(facts))),
    )


def _row(check: dict[str, Any]) -> str:
    """Return the table's row for a check."""
    state = "fail" if check["verdict"] == "fail" else "other"
    return (
        f'<tr class="{state}" title="{escape(str(check["what"]))}">'
        f"<td>{escape(str(check['check']))}</td>"
        f'<td class="number">{_number(check["measured"])}</td>'
        f'<td class="number">{_number(check["allowed"])}</td>'
        f"<td>{escape(str(check['verdict']))}</td><td>{escape(str(check['detail']))}</td></tr>"
    )


def _explanation(check: dict[str, Any]) -> str:
    """Return what a failed check means, and what to do."""
    return (
        f"<h2>{escape(str(check['check']))}</h2><p>{escape(str(check['what']))}. "
        f"It means: {escape(str(check['failure']))}. To do: {escape(str(check['remedy']))}.</p>\n"
    )


def _number(value: float | None) -> str:
    """Format a number with three digits; "-" for None."""
    return "-" if value is None else f"{value:.3g}"
