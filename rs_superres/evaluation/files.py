"""A report on disk: a page for people, a table and JSON for machines."""

from __future__ import annotations

import csv
import json
import math
import os
from pathlib import Path
from typing import Any

from rs_superres.errors import InputError, RasterError
from rs_superres.evaluation.figures import FIGURES
from rs_superres.evaluation.report import page
from rs_superres.evaluation.results import BICUBIC, Evaluation
from rs_superres.system.files import atomic_folder

PAGE, TABLE, FACTS = "report.html", "scores.csv", "scores.json"


def check_out(out: Path, *, overwrite: bool) -> None:
    """Refuse a folder that is no report, or one that may not be replaced.

    Raises:
        InputError: it is, or its parent is not there.
    """
    if not out.absolute().parent.is_dir():
        raise InputError(f"the report's folder {out.absolute().parent} does not exist")
    if not os.access(out.absolute().parent, os.W_OK):
        raise InputError(f"the report's folder {out.absolute().parent} cannot be written to")
    if not out.exists():
        return
    if not out.is_dir():
        raise InputError(f"{out} is a file, expected a folder's name for the report")
    strange = {p.name for p in out.iterdir()} - {PAGE, TABLE, FACTS}
    if strange:
        raise InputError(f"{out} holds other files ({min(strange)}), choose a name of its own")
    if not overwrite:
        raise InputError(f"{out} exists already; use --overwrite to replace it")


def write(found: Evaluation, out: Path) -> None:
    """Write all files, the folder whole or not at all.

    Raises:
        RasterError: they cannot be written.
    """
    try:
        with atomic_folder(out) as folder:
            (folder / PAGE).write_text(page(found), encoding="utf-8")
            (folder / FACTS).write_text(json.dumps(facts(found), indent=1), encoding="utf-8")
            _table(found, folder / TABLE)
    except OSError as error:
        raise RasterError(f"cannot write {out}: {error.strerror or error}") from error


def _table(found: Evaluation, path: Path) -> None:
    """A line a result."""
    names = list(dict.fromkeys(name for row in found.rows for name in row.scores))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "tile", "scale", "method", "seed", *names])
        for row in found.rows:
            figures = [row.scores.get(name, math.nan) for name in names]
            writer.writerow(
                [row.image, row.tile, f"{row.scale:g}", row.method, row.seed]
                + ["" if math.isnan(f) else f"{f:.7g}" for f in figures]
            )


def facts(found: Evaluation) -> dict[str, Any]:
    """The report as plain values; None for what has no number."""
    scores = []
    for scale in found.scales:
        for method in found.methods:
            figures: dict[str, Any] = {}
            for metric in _metrics(found):
                summary = found.summary(method, scale, metric)
                gain = None if method == BICUBIC else found.gain(method, scale, metric)
                figures[metric] = (
                    None
                    if summary is None
                    else summary.as_dict() | {"gain": None if gain is None else gain.as_dict()}
                )
            scores.append({"scale": scale, "method": method, "metrics": figures})
    return {
        "settings": found.settings,
        "summary": scores,
        "reliability": [
            {"method": method, "scale": scale} | _plain(r.as_dict())
            for (method, scale), r in found.reliability.items()
        ],
        "skipped": [{"file": str(s.path), "reason": s.reason} for s in found.skipped],
        "images": [
            {
                "image": row.image,
                "tile": row.tile,
                "scale": row.scale,
                "method": row.method,
                "seed": row.seed,
                **_plain(row.scores),
            }
            for row in found.rows
        ],
    }


def _metrics(found: Evaluation) -> list[str]:
    """Those that some result has, single bands' last."""
    names = dict.fromkeys(name for row in found.rows for name in row.scores)
    return [*FIGURES, *(n for n in names if n not in FIGURES)]


def _plain(figures: dict[str, Any]) -> dict[str, Any]:
    """Without what JSON does not know."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in figures.items()
    }
