"""The plugin: it adds the provider to Processing while it is loaded."""

from __future__ import annotations

from qgis.core import QgsApplication

from .provider import Provider


class Plugin:
    """Adds the algorithms of rs-sr to the Processing toolbox."""

    def __init__(self) -> None:
        self._provider: Provider | None = None

    def initProcessing(self) -> None:
        """Add the provider. ``qgis_process`` calls this alone."""
        self._provider = Provider()
        QgsApplication.processingRegistry().addProvider(self._provider)

    def initGui(self) -> None:
        """Add the provider to QGIS with its windows."""
        self.initProcessing()

    def unload(self) -> None:
        """Remove the provider."""
        if self._provider is not None:
            QgsApplication.processingRegistry().removeProvider(self._provider)
            self._provider = None
