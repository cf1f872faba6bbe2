"""Show a result as its source is shown: the same bands with the same stretch."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsMultiBandColorRenderer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsRasterLayer,
    QgsRasterRenderer,
    QgsSingleBandGrayRenderer,
)

from . import sources


class Style(QgsProcessingLayerPostProcessorInterface):
    """Gives a loaded result the renderer of its source.

    QGIS holds no reference to a post-processor that Python made, so :meth:`follow` keeps it until
    it has run.
    """

    _waiting: list[Style] = []  # noqa: RUF012 (shared on purpose, as above)

    def __init__(self, renderer: QgsRasterRenderer, count: int, chosen: list[int]) -> None:
        """Keep a copy of the source's renderer.

        Args:
            renderer: The source's renderer, which this object owns.
            count: The number of the source's bands.
            chosen: Numbers of the source's bands that the result holds; empty for all.
        """
        super().__init__()
        self._renderer, self._count, self._chosen = renderer, count, chosen

    @classmethod
    def of(cls, layer: QgsRasterLayer, chosen: list[int]) -> Style | None:
        """Return the style of a source; None if it has none."""
        renderer = layer.renderer()
        return None if renderer is None else cls(renderer.clone(), layer.bandCount(), chosen)

    def follow(self, path: str, context: QgsProcessingContext) -> None:
        """Apply the style when QGIS loads a result, if it does."""
        if context.willLoadLayerOnCompletion(path):
            self._waiting.append(self)
            context.layerToLoadOnCompletionDetails(path).setPostProcessor(self)

    def postProcessLayer(
        self, layer: Any, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        """Give a loaded layer the renderer, if it has the bands that the renderer shows."""
        del context, feedback
        if self in self._waiting:
            self._waiting.remove(self)
        count = len(self._chosen) or self._count
        if isinstance(layer, QgsRasterLayer) and layer.bandCount() == count:
            renderer = self._renderer.clone()
            if not self._chosen or _moved(renderer, self._chosen):
                layer.setRenderer(renderer)
                layer.triggerRepaint()


def _moved(renderer: QgsRasterRenderer, chosen: list[int]) -> bool:
    """Let a renderer show the same bands among the chosen ones; return whether it can."""
    if isinstance(renderer, QgsMultiBandColorRenderer):
        shown = [renderer.redBand(), renderer.greenBand(), renderer.blueBand()]
        bands = sources.positions(shown, chosen)
        if bands:
            renderer.setRedBand(bands[0])
            renderer.setGreenBand(bands[1])
            renderer.setBlueBand(bands[2])
        return bool(bands)
    if isinstance(renderer, QgsSingleBandGrayRenderer):
        bands = sources.positions(renderer.usesBands(), chosen)
        if bands:
            # Its name since QGIS 3.38, which deprecates the other.
            move = getattr(renderer, "setInputBand", None) or renderer.setGrayBand
            move(bands[0])
        return bool(bands)
    return False
