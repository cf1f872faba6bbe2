"""The algorithm Batch: all rasters of a folder."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterNumber,
)

from . import command, output, parameters
from .algorithm import Algorithm, Values
from .errors import PluginError

COUNTS = ("done", "skipped")
"""The states of rasters that are counted. If one failed, the algorithm fails."""


class Batch(Algorithm):
    """Super-resolves all rasters of a folder."""

    NAME = "batch"
    TITLE = "Batch"
    TAGS = ("folder",)
    HELP = (
        "Upscales all rasters of a folder and its subfolders. The results get the names and "
        "subfolders of their sources.\n\n"
        "A raster that fails does not stop the others, and is listed at the end. To continue after "
        "an interruption, run it again and skip the results that exist."
    )

    def initAlgorithm(self, configuration: Any = None) -> None:
        """Define the parameters and outputs."""
        del configuration
        size = QgsProcessingParameterNumber(
            "RESOLUTION",
            "Pixel size, in units of the CRS of each raster",
            QgsProcessingParameterNumber.Double,
            None,
            optional=True,
            minValue=0.0,
        )
        for parameter in (
            QgsProcessingParameterFile(
                "INPUT", "Folder of rasters", QgsProcessingParameterFile.Folder
            ),
            *parameters.target(size, "a pixel size"),
            QgsProcessingParameterBoolean(
                "SKIP_EXISTING", "Skip results that exist (--skip-existing)", False
            ),
            QgsProcessingParameterFolderDestination("OUTPUT", "Folder of results"),
            QgsProcessingParameterFileDestination(
                "REPORT", "Report", "HTML files (*.html)", optional=True, createByDefault=False
            ),
            *parameters.advanced([parameters.text("BANDS", "Bands to write (4,3,2 or B04,B8A)")]),
            *parameters.machine(),
        ):
            self.addParameter(parameter)
        for name in COUNTS:
            self.addOutput(QgsProcessingOutputNumber(name.upper(), f"Number of rasters {name}"))

    def checkParameterValues(
        self, values: Values, context: QgsProcessingContext
    ) -> tuple[bool, str]:
        """Refuse, before the run, values that contradict each other."""
        try:
            parameters.options(self, values, context).check()
        except PluginError as error:
            return False, str(error)
        good, reason = super().checkParameterValues(values, context)
        return good, reason

    def processAlgorithm(
        self, values: Values, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Run ``rs-sr batch``."""
        out = self.parameterAsString(values, "OUTPUT", context)
        report = self.parameterAsFileOutput(values, "REPORT", context)
        skip = self.parameterAsBoolean(values, "SKIP_EXISTING", context)
        words = command.batch(
            parameters.options(self, values, context, switches={"--skip-existing": skip}),
            self.parameterAsFile(values, "INPUT", context),
            out,
            report=report,
        )
        done = self.call(words, feedback, expected=[1])
        facts = output.facts(done.stdout)
        for scene in facts["scenes"]:
            line = f"{scene['status']}: {scene['name']}"
            if scene["status"] == "failed":
                feedback.reportError(f"{line}: {scene['error']}")
            else:
                feedback.pushInfo(line)
        if done.status != 0:
            raise QgsProcessingException(output.failure(done.stderr, done.status))
        results = {name.upper(): facts[name] for name in COUNTS}
        return {"OUTPUT": out, **results, **({"REPORT": report} if report else {})}
