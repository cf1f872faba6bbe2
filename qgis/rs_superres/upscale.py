"""The algorithm Upscale: one raster layer."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingParameterBand,
    QgsProcessingParameterDistance,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingUtils,
)

from . import command, parameters, sources
from .algorithm import Algorithm, Values
from .errors import PluginError
from .style import Style

VECTORS = ["gpkg", "shp", "geojson", "fgb", "kml"]
"""Suffixes of vector files that rs-sr reads; other layers are exported to the first."""

AREAS = ("LIKE", "EXTENT", "AOI")
"""Parameters that may be empty, and that say where the result lies."""


class Upscale(Algorithm):
    """Super-resolves a raster layer, or the part of it in an extent or in polygons."""

    NAME = "upscale"
    TITLE = "Upscale"
    TAGS = ("resample", "sharpen", "resolution")
    HELP = (
        "Makes a raster finer by any factor, to a pixel size, or on the grid of another raster. "
        "The result has the location, units, mask and data type of its source, and QGIS shows it "
        "with the source's style.\n\n"
        "Choose the mode for measuring if you compute indices or compare dates: it adds no "
        "texture. The mode for looking adds texture, part of which is plausible rather than "
        "measured.\n\n"
        "A cancelled run resumes if you run it again with the same values."
    )

    def initAlgorithm(self, configuration: Any = None) -> None:
        """Define the parameters."""
        del configuration
        size = QgsProcessingParameterDistance(
            "RESOLUTION", "Pixel size", None, "INPUT", optional=True, minValue=0.0
        )
        scale, size, *others = parameters.target(size, "a pixel size or a reference raster")
        for parameter in (
            QgsProcessingParameterRasterLayer("INPUT", "Raster"),
            scale,
            size,
            QgsProcessingParameterRasterLayer("LIKE", "Reference raster", optional=True),
            *others,
            QgsProcessingParameterExtent("EXTENT", "Extent", optional=True),
            QgsProcessingParameterFeatureSource(
                "AOI",
                "Polygons outside which the result is masked",
                [QgsProcessing.TypeVectorPolygon],
                optional=True,
            ),
            QgsProcessingParameterRasterDestination("OUTPUT", "Upscaled"),
            *parameters.advanced(
                [
                    QgsProcessingParameterBand(
                        "BANDS", "Bands to write", None, "INPUT", optional=True, allowMultiple=True
                    ),
                    QgsProcessingParameterRasterDestination(
                        "UNCERTAINTY", "Expected error", optional=True, createByDefault=False
                    ),
                ]
            ),
            *parameters.machine(),
        ):
            self.addParameter(parameter)

    def checkParameterValues(
        self, values: Values, context: QgsProcessingContext
    ) -> tuple[bool, str]:
        """Refuse, before the run, values that contradict each other."""
        like, extent, aoi = (values.get(name) not in (None, "") for name in AREAS)
        if extent and aoi:
            return False, "an extent and polygons are given, and rs-sr takes one area: clear one"
        try:
            parameters.options(self, values, context, like="given" if like else "").check()
        except PluginError as error:
            return False, str(error)
        good, reason = super().checkParameterValues(values, context)
        return good, reason

    def prepareAlgorithm(
        self, values: Values, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        """Copy the style of the source, in the thread that owns the layer."""
        del feedback
        self._bands: list[int] = self.parameterAsInts(values, "BANDS", context)
        layer = self.parameterAsRasterLayer(values, "INPUT", context)
        self._style = None if layer is None else Style.of(layer, self._bands)
        return True

    def processAlgorithm(
        self, values: Values, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Run ``rs-sr upscale``."""
        source = self.raster(values, "INPUT", context)
        like = self.raster(values, "LIKE", context)
        out = self.parameterAsOutputLayer(values, "OUTPUT", context)
        uncertainty = self.parameterAsOutputLayer(values, "UNCERTAINTY", context)
        words = command.upscale(
            parameters.options(self, values, context, like=like, temporary=_is_temporary(out)),
            source,
            out,
            bounds=self._bounds(values, context),
            aoi=self._polygons(values, context, feedback),
            uncertainty=uncertainty,
        )
        done = self.call(words, feedback)
        for line in done.stdout.splitlines():
            feedback.pushInfo(line)
        if self._style is not None:
            self._style.follow(out, context)
        return {"OUTPUT": out, **({"UNCERTAINTY": uncertainty} if uncertainty else {})}

    def _bounds(self, values: Values, context: QgsProcessingContext) -> list[float] | None:
        """Return the extent in the CRS of the source; None for all of it."""
        if values.get("EXTENT") in (None, ""):
            return None
        layer = self.parameterAsRasterLayer(values, "INPUT", context)
        if not layer.crs().isValid():
            raise QgsProcessingException(
                f"the layer {layer.name()} has no CRS, so an extent cannot be found in it: clear "
                "the extent, or add --bounds LEFT BOTTOM RIGHT TOP in source pixels to more options"
            )
        box = self.parameterAsExtent(values, "EXTENT", context, layer.crs())
        if box.isNull() or box.isEmpty():
            raise QgsProcessingException(
                f"the extent {values['EXTENT']} has no area in the CRS of {layer.name()}: "
                "choose another"
            )
        return [box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()]

    def _polygons(
        self, values: Values, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> str:
        """Return the file of the polygons, which is temporary if the layer is not a file."""
        if values.get("AOI") in (None, ""):
            return ""
        path, layer = self.parameterAsCompatibleSourceLayerPathAndLayerName(
            values, "AOI", context, VECTORS, VECTORS[0], feedback
        )
        return sources.polygons(path, layer)


def _is_temporary(path: str) -> bool:
    """Return whether QGIS chose a path for a result that the user does not keep."""
    return path.startswith(QgsProcessingUtils.tempFolder())
