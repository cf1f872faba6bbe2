"""Write a report: a page for people, a table and a JSON file for programs."""

from __future__ import annotations

import csv
import json
import math
import os
from itertools import product
from pathlib import Path
from typing import Any

from rs_superres.errors import InputError, WriteError
from rs_superres.evaluation.metrics import METRICS
from rs_superres.evaluation.report import page
from rs_superres.evaluation.results import BICUBIC, Evaluation
from rs_superres.system.files import atomic_folder

PAGE, TABLE, FACTS = "report.html", "scores.csv", "scores.json"


def check_out(out: Path, *, overwrite: bool) -> None:
    """Check that a report can be written to a folder.

    Args:
        out: the report's folder.
        overwrite: whether an existing report may be replaced.

    Raises:
        InputError: the parent folder does not exist or is read-only, ``out`` holds files that
            are not a report's, or it is a report that may not be replaced.
    """
    parent = out.absolute().parent
    if not parent.is_dir():
        raise InputError(f"{parent} does not exist; create the report's parent folder first")
    if not os.access(parent, os.W_OK):
        raise InputError(f"{parent} is read-only, expected a folder for the report")
    if not out.exists():
        return
    if not out.is_dir():
        raise InputError(f"{out} is a file, expected a folder for the report")
    other_files = {path.name for path in out.iterdir()} - {PAGE, TABLE, FACTS}
    if other_files:
        raise InputError(
            f"{out} holds other files ({min(other_files)}); choose a folder of its own"
        )
    if not overwrite:
        raise InputError(f"{out} exists; overwrite=True replaces it")


def write(evaluation: Evaluation, out: Path) -> None:
    """Write a report; the folder appears complete or not at all.

    Args:
        evaluation: what the report shows.
        out: the report's folder; an existing one is replaced.

    Raises:
        WriteError: the report cannot be written; an earlier report is unchanged.
    """
    try:
        with atomic_folder(out) as folder:
            (folder / PAGE).write_text(page(evaluation), encoding="utf-8")
            (folder / FACTS).write_text(json.dumps(facts(evaluation), indent=1), encoding="utf-8")
            _write_table(evaluation, folder / TABLE)
    except OSError as error:
        raise WriteError(f"cannot write {out}: {error.strerror or error}") from error


def _write_table(evaluation: Evaluation, path: Path) -> None:
    """Write the scores as CSV, one row per result."""
    metrics = list(dict.fromkeys(name for row in evaluation.rows for name in row.scores))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "tile", "scale", "source", "method", "seed", *metrics])
        for row in evaluation.rows:
            scores = [row.scores.get(name, math.nan) for name in metrics]
            writer.writerow(
                [row.image, row.tile, f"{row.scale:g}", row.source, row.method, row.seed]
                + ["" if math.isnan(score) else f"{score:.7g}" for score in scores]
            )


def facts(evaluation: Evaluation) -> dict[str, Any]:
    """Return the report as plain values for JSON; None for NaN and infinity."""
    summaries = []
    for scale, source, method in product(evaluation.scales, evaluation.sources, evaluation.methods):
        metrics: dict[str, Any] = {}
        for metric in _metrics(evaluation):
            summary = evaluation.summary(method, scale, metric, source)
            if summary is None:
                metrics[metric] = None
                continue
            gain = None if method == BICUBIC else evaluation.gain(method, scale, metric, source)
            metrics[metric] = summary.as_dict() | {"gain": None if gain is None else gain.as_dict()}
        summaries.append({"scale": scale, "source": source, "method": method, "metrics": metrics})
    return {
        "settings": evaluation.settings,
        "summary": summaries,
        "reliability": [
            {"method": method, "scale": scale, "source": source}
            | _finite_or_none(reliability.as_dict())
            for (method, scale, source), reliability in evaluation.reliability.items()
        ],
        "skipped": [{"file": str(s.path), "reason": s.reason} for s in evaluation.skipped],
        "images": [
            {
                "image": row.image,
                "tile": row.tile,
                "scale": row.scale,
                "source": row.source,
                "method": row.method,
                "seed": row.seed,
                **_finite_or_none(row.scores),
            }
            for row in evaluation.rows
        ],
    }


def _metrics(evaluation: Evaluation) -> list[str]:
    """Return the names of all metrics, those of single bands last."""
    names = dict.fromkeys(name for row in evaluation.rows for name in row.scores)
    return [*METRICS, *(name for name in names if name not in METRICS)]


def _finite_or_none(values: dict[str, Any]) -> dict[str, Any]:
    """Replace NaN and infinity, which JSON does not have, by None."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
    }
