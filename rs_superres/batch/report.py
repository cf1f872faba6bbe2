"""Report what a batch did, as JSON and as a web page in one file."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

from rs_superres.batch.job import SceneOutcome
from rs_superres.system.files import write_file

STYLE = """
body { font: 15px/1.4 system-ui, sans-serif; margin: 2em }
table { border-collapse: collapse }
td, th { padding: .3em .8em; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top }
td.number { text-align: right } tr.failed td { background: #fbe9e7 }
"""
"""Style sheet of the page."""


def facts(outcomes: list[SceneOutcome], seconds: float) -> dict[str, Any]:
    """The report as plain values by name, without thumbnails, ready for JSON.

    Args:
        outcomes: the outcomes of all scenes.
        seconds: duration of the batch.
    """
    counts = Counter(o.status for o in outcomes)
    scenes = [
        {k: v for k, v in asdict(o).items() if k not in {"thumbnail", "transient"}}
        | {"pixels": o.pixels, "seconds": round(o.seconds, 2)}
        for o in outcomes
    ]
    return {
        **{status: counts[status] for status in ("done", "skipped", "failed")},
        "seconds": round(seconds, 2),
        "pixels": sum(o.pixels for o in outcomes if o.status == "done"),
        "scenes": scenes,
    }


def page(outcomes: list[SceneOutcome], seconds: float) -> str:
    """The report as HTML.

    Args:
        outcomes: the outcomes of all scenes.
        seconds: duration of the batch.
    """
    report = facts(outcomes, seconds)
    rows = "\n".join(_row(o) for o in outcomes)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>rs-sr batch</title>'
        f"<style>{STYLE}</style></head><body><h1>rs-sr batch</h1>"
        f"<p>{report['done']} done, {report['skipped']} skipped, {report['failed']} failed; "
        f"{report['pixels'] / 1e6:.1f} Mpx in {report['seconds']:.0f} s</p><table>"
        "<tr><th></th><th>scene</th><th>status</th><th>size</th><th>seconds</th><th>attempts</th>"
        f"<th>messages</th></tr>\n{rows}\n</table></body></html>\n"
    )


def _row(o: SceneOutcome) -> str:
    """The table row of a scene."""
    picture = (
        "" if o.thumbnail is None else f'<img alt="" src="data:image/png;base64,{o.thumbnail}">'
    )
    size = "" if o.size is None else f"{o.size[0]} × {o.size[1]}"
    messages = "<br>".join(escape(w) for w in [*([o.error] if o.error else []), *o.warnings])
    return (
        f'<tr class="{o.status}"><td>{picture}</td><td>{escape(o.name)}</td><td>{o.status}</td>'
        f'<td class="number">{size}</td><td class="number">{o.seconds:.1f}</td>'
        f'<td class="number">{o.attempts}</td><td>{messages}</td></tr>'
    )


def write(path: Path, outcomes: list[SceneOutcome], seconds: float) -> None:
    """Write the report as a page, and next to it as JSON.

    Args:
        path: the page; the JSON file has the same name with the ending ``.json``.
        outcomes: the outcomes of all scenes.
        seconds: duration of the batch.

    Raises:
        WriteError: a file cannot be written.
    """
    texts = {
        path: page(outcomes, seconds),
        path.with_suffix(".json"): json.dumps(facts(outcomes, seconds), indent=2),
    }
    for name, text in texts.items():
        write_file(name, text)
