"""The algorithm Verify: a result against its source."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputBoolean,
    QgsProcessingOutputNumber,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterRasterLayer,
)

from . import command, findings, output, parameters
from .algorithm import Algorithm, Values


class Verify(Algorithm):
    """Audits an upscaled raster against its source."""

    NAME = "verify"
    TITLE = "Verify"
    TAGS = ("audit", "quality", "check")
    HELP = (
        "Measures whether an upscaled raster, made by rs-sr or by another tool, kept the location, "
        "mask, units and radiometry of its source, and whether it has seams.\n\n"
        "The log lists every check. A failed check says what the failure means and what to do."
    )

    def initAlgorithm(self, configuration: Any = None) -> None:
        """Define the parameters and outputs."""
        del configuration
        for parameter in (
            QgsProcessingParameterRasterLayer("INPUT", "Result to audit"),
            QgsProcessingParameterRasterLayer("SOURCE", "Source that it was made from"),
            parameters.text("BANDS", "Bands of the source that the result holds (4,3,2)"),
            QgsProcessingParameterFileDestination(
                "REPORT", "Report", "HTML files (*.html)", optional=True, createByDefault=True
            ),
            QgsProcessingParameterFileDestination(
                "FINDINGS", "Findings", "JSON files (*.json)", optional=True, createByDefault=False
            ),
        ):
            self.addParameter(parameter)
        self.addOutput(QgsProcessingOutputBoolean("PASSED", "Whether no check failed"))
        self.addOutput(QgsProcessingOutputNumber("FAILED", "Number of failed checks"))

    def processAlgorithm(
        self, values: Values, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Run ``rs-sr verify``."""
        words = command.verify(
            self.raster(values, "INPUT", context),
            self.raster(values, "SOURCE", context),
            bands=self.parameterAsString(values, "BANDS", context),
        )
        done = self.call(words, feedback, expected=[1])
        facts = output.facts(done.stdout)
        for line in findings.lines(facts):
            feedback.pushConsoleInfo(line)
        if facts["passed"]:
            feedback.pushInfo(findings.verdict(facts))
        else:
            feedback.pushWarning(findings.verdict(facts))
        results: dict[str, Any] = {
            "PASSED": facts["passed"],
            "FAILED": len(findings.failed(facts)),
        }
        for name, text in (
            ("REPORT", findings.page(facts)),
            ("FINDINGS", json.dumps(facts, indent=2)),
        ):
            path = self.parameterAsFileOutput(values, name, context)
            if path:
                Path(path).write_text(text, encoding="utf-8")
                results[name] = path
        return results
