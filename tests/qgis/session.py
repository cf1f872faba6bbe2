"""What a user does in QGIS's window, without a window; QGIS's own Python runs this script.

Usage: ``python3 session.py SCENARIO ARGUMENTS.json``. The result is printed as JSON, in the last
line. The keys of the arguments are the keyword arguments of the scenario.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsApplication,
    QgsContrastEnhancement,
    QgsMapRendererSequentialJob,
    QgsMapSettings,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProject,
    QgsRasterLayer,
)
from qgis.PyQt.QtCore import QSize

Scenario = Callable[..., dict[str, Any]]

SIDE = 200
"""Width and height of a picture."""


class Feedback(QgsProcessingFeedback):
    """Keeps what an algorithm says, and cancels it once it has said a word."""

    def __init__(self, cancel_at: str = "") -> None:
        super().__init__()
        self.lines: list[str] = []
        self._cancel_at = cancel_at

    def _keep(self, text: str) -> None:
        self.lines.append(text)
        if self._cancel_at and self._cancel_at in text:
            self.cancel()

    def pushInfo(self, info: str) -> None:
        """Keep an information."""
        self._keep(info)

    def pushCommandInfo(self, info: str) -> None:
        """Keep a command line."""
        self._keep(info)

    def pushWarning(self, warning: str) -> None:
        """Keep a warning."""
        self._keep(warning)

    def setProgressText(self, text: str) -> None:
        """Keep a line of progress."""
        self._keep(text)


def styled(source: str, values: dict[str, Any], picture: str) -> dict[str, Any]:
    """Upscale a layer whose style was changed, load the result, and draw both."""
    import processing  # noqa: PLC0415 (QGIS must have started)

    layer = _layer(source)
    renderer = layer.renderer().clone()
    renderer.setRedBand(3)
    renderer.setBlueBand(1)
    stretch = QgsContrastEnhancement(layer.dataProvider().dataType(3))
    stretch.setMinimumValue(10)
    stretch.setMaximumValue(150)
    stretch.setContrastEnhancementAlgorithm(QgsContrastEnhancement.StretchToMinimumMaximum)
    renderer.setRedContrastEnhancement(stretch)
    layer.setRenderer(renderer)
    feedback = Feedback()
    given = {"INPUT": layer, "OUTPUT": "TEMPORARY_OUTPUT", **values}
    processing.runAndLoadResults("rs_superres:upscale", given, feedback=feedback)
    [result] = [loaded for loaded in QgsProject.instance().mapLayers().values() if loaded != layer]
    for drawn, name in ((layer, "source"), (result, "result")):
        _draw(drawn, layer, f"{picture}-{name}.png")
    shown = result.renderer()
    return {
        "bands": [shown.redBand(), shown.greenBand(), shown.blueBand()],
        "stretch": [
            shown.redContrastEnhancement().minimumValue(),
            shown.redContrastEnhancement().maximumValue(),
        ],
        "path": result.source(),
        "progress": feedback.progress(),
        "lines": feedback.lines,
    }


def cancelled(values: dict[str, Any], word: str) -> dict[str, Any]:
    """Cancel an algorithm once it has said a word."""
    import processing  # noqa: PLC0415 (as above)

    feedback = Feedback(cancel_at=word)
    reason = ""
    try:
        processing.run("rs_superres:upscale", values, feedback=feedback)
    except QgsProcessingException as error:
        reason = str(error)
    return {"reason": reason, "lines": feedback.lines}


def refused(source: str, provider: str, values: dict[str, Any]) -> dict[str, Any]:
    """Upscale a layer that is not a file."""
    import processing  # noqa: PLC0415 (as above)

    reason = ""
    try:
        processing.run("rs_superres:upscale", {"INPUT": _layer(source, provider), **values})
    except QgsProcessingException as error:
        reason = str(error)
    return {"reason": reason}


def _layer(source: str, provider: str = "gdal") -> Any:
    """Add a raster layer to the project."""
    layer = QgsRasterLayer(source, "the source", provider)
    assert layer.isValid(), source
    QgsProject.instance().addMapLayer(layer)
    return layer


def _draw(layer: Any, frame: Any, path: str) -> None:
    """Draw a layer in the extent of another one."""
    settings = QgsMapSettings()
    settings.setLayers([layer])
    settings.setDestinationCrs(frame.crs())
    settings.setExtent(frame.extent())
    settings.setOutputSize(QSize(SIDE, SIDE))
    job = QgsMapRendererSequentialJob(settings)
    job.start()
    job.waitForFinished()
    job.renderedImage().save(path)


def main() -> None:
    """Start QGIS with the plugin, as its window does, and run the scenario."""
    scenario, arguments, *folders = sys.argv[1:]
    application = QgsApplication([], False)
    application.initQgis()
    sys.path[:0] = [*folders, str(Path(application.pkgDataPath()) / "python" / "plugins")]
    from processing.core.Processing import Processing  # noqa: PLC0415 (as above)

    Processing.initialize()
    # The plugin, which is in the first of the folders; the library is not installed here.
    plugin = importlib.import_module("rs_superres").classFactory(None)
    plugin.initGui()
    scenarios: dict[str, Scenario] = {"styled": styled, "cancelled": cancelled, "refused": refused}
    answer = scenarios[scenario](**json.loads(Path(arguments).read_text("utf-8")))
    QgsProject.instance().clear()
    plugin.unload()
    sys.stdout.write(f"{json.dumps(answer)}\n")


if __name__ == "__main__":
    main()
