"""Report what a batch did, as JSON and as a web page in one file."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rs_superres.batch.job import SceneOutcome
from rs_superres.raster import SkippedFile
from rs_superres.system.files import write_file

STYLE = """
body { font: 15px/1.4 system-ui, sans-serif; margin: 2em }
table { border-collapse: collapse }
td, th { padding: .3em .6em; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top }
pre { white-space: pre-wrap; max-height: 8em; overflow: auto; background: #f5f5f5; padding: .5em }
td.number { text-align: right; white-space: nowrap } tr.failed td { background: #fbe9e7 }
td.name { overflow-wrap: anywhere; min-width: 9em } td.messages { min-width: 14em }
"""
"""Style sheet of the page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReport:
    """What a batch did."""

    outcomes: Sequence[SceneOutcome]
    """The outcomes of all scenes."""
    seconds: float
    """Duration of the batch."""
    model: str
    """Name or folder of the model."""
    command: str
    """The command line."""
    passed_over: Sequence[SkippedFile] = ()
    """Files that are no scenes."""
    results: Sequence[Path] = ()
    """Results of earlier runs, which are no scenes."""

    def facts(self) -> dict[str, Any]:
        """Return the report as plain values by name, without pictures, ready for JSON."""
        counts = Counter(o.status for o in self.outcomes)
        scenes = [
            {k: v for k, v in asdict(o).items() if k not in {"before", "after", "transient"}}
            | {"pixels": o.pixels, "seconds": round(o.seconds, 2)}
            for o in self.outcomes
        ]
        return {
            **{status: counts[status] for status in ("done", "skipped", "failed")},
            "seconds": round(self.seconds, 2),
            "pixels": sum(o.pixels for o in self.outcomes if o.status == "done"),
            "model": self.model,
            "command": self.command,
            "scenes": scenes,
            "passed_over": [
                *({"file": str(s.path), "reason": s.reason} for s in self.passed_over),
                *({"file": str(p), "reason": "a result of rs-sr"} for p in self.results),
            ],
        }

    def page(self, folder: Path) -> str:
        """Return the report as HTML.

        Args:
            folder: the folder of the page, from which its links start.
        """
        facts = self.facts()
        rows = "\n".join(_row(o, folder) for o in self.outcomes)
        others = "".join(f"<li>{escape(s.reason)}</li>" for s in self.passed_over)
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            f"<title>rs-sr batch</title><style>{STYLE}</style></head><body><h1>rs-sr batch</h1>"
            f"<p>{facts['done']} done, {facts['skipped']} skipped, {facts['failed']} failed; "
            f"{facts['pixels'] / 1e6:.2f} Mpx in {facts['seconds']:.0f} s</p>"
            f"<p>model {escape(self.model)}{self._scales()}</p>"
            f"<pre>{escape(self.command)}</pre><table>"
            "<tr><th>before</th><th>after</th><th>result</th><th>status</th><th>scale</th>"
            "<th>size</th><th>seconds</th><th>attempts</th><th>messages</th></tr>"
            f"\n{rows}\n</table>"
            + (f"<h2>Passed over: not rasters</h2><ul>{others}</ul>" if others else "")
            + "</body></html>\n"
        )

    def _scales(self) -> str:
        """Return the scales of the scenes in words, with a comma before them."""
        scales = sorted({o.scale for o in self.outcomes if o.scale is not None})
        if not scales:
            return ""
        if len(scales) == 1:
            return f", scale {scales[0]:.6g}"
        return f", scales {scales[0]:.6g} to {scales[-1]:.6g}"


def _row(o: SceneOutcome, folder: Path) -> str:
    """Return the table row of a scene."""
    pictures = "".join(
        "<td></td>"
        if picture is None
        else f'<td><img alt="{name}" src="data:image/png;base64,{picture}"></td>'
        for name, picture in (("before", o.before), ("after", o.after))
    )
    size = "" if o.size is None else f"{o.size[0]} × {o.size[1]}"
    scale = "" if o.scale is None else f"{o.scale:.6g}"
    name = escape(o.name)
    if o.status != "failed":
        name = f'<a href="{escape(_link(o.out, folder))}">{name}</a>'
    messages = "<br>".join(escape(w) for w in [*([o.error] if o.error else []), *o.warnings])
    return (
        f'<tr class="{o.status}">{pictures}<td class="name">{name}</td><td>{o.status}</td>'
        f'<td class="number">{scale}</td><td class="number">{size}</td>'
        f'<td class="number">{o.seconds:.1f}</td><td class="number">{o.attempts}</td>'
        f'<td class="messages">{messages}</td></tr>'
    )


def _link(path: str, folder: Path) -> str:
    """Return the address of a file as seen from a folder."""
    try:
        relative = os.path.relpath(path, folder.absolute())
    except ValueError:  # another drive of Windows
        return Path(path).as_uri()
    return quote(os.fsencode(relative.replace(os.sep, "/")))


def write(path: Path, report: BatchReport) -> None:
    """Write the report as a page, and next to it as JSON.

    Args:
        path: the page; the JSON file has the same name with the ending ``.json``.
        report: what the batch did.

    Raises:
        WriteError: a file cannot be written.
    """
    # Names of files need not be UTF-8, the page must be.
    page = report.page(path.parent).encode("utf-8", "replace")
    write_file(path, page)
    write_file(path.with_suffix(".json"), json.dumps(report.facts(), indent=2))
