"""The algorithm Info: what rs-sr sees in a raster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputBoolean,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterRasterLayer,
)

from . import command, output
from .algorithm import Algorithm, Values


class Info(Algorithm):
    """Describes a raster, and how Upscale would process it."""

    NAME = "info"
    TITLE = "Info"
    TAGS = ("describe", "metadata")
    HELP = (
        "Lists the bands, masks and value range of a raster, and how Upscale would process it by "
        "default. If the raster cannot be upscaled as it is, the log says why."
    )

    def initAlgorithm(self, configuration: Any = None) -> None:
        """Define the parameters and outputs."""
        del configuration
        self.addParameter(QgsProcessingParameterRasterLayer("INPUT", "Raster"))
        self.addParameter(
            QgsProcessingParameterFileDestination(
                "FACTS", "Facts", "JSON files (*.json)", optional=True, createByDefault=False
            )
        )
        self.addOutput(
            QgsProcessingOutputBoolean("ACCEPTED", "Whether it can be upscaled as it is")
        )

    def processAlgorithm(
        self, values: Values, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Run ``rs-sr info``."""
        source = self.raster(values, "INPUT", context)
        done = self.call(command.info(source, as_json=False), feedback, expected=[1])
        for line in done.stdout.splitlines():
            feedback.pushConsoleInfo(line)
        if done.status != 0:
            feedback.pushWarning(output.failure(done.stderr, done.status))
        results: dict[str, Any] = {"ACCEPTED": done.status == 0}
        path = self.parameterAsFileOutput(values, "FACTS", context)
        if path:
            facts = self.call(command.info(source, as_json=True), feedback, expected=[1])
            Path(path).write_text(facts.stdout, encoding="utf-8")
            results["FACTS"] = path
        return results
