"""The provider of rs-sr's algorithms, and its setting."""

from __future__ import annotations

from pathlib import Path

from processing.core.ProcessingConfig import ProcessingConfig, Setting
from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from . import program
from .batch import Batch
from .info import Info
from .upscale import Upscale
from .verify import Verify

ICON = Path(__file__).parent / "icon.svg"


class Provider(QgsProcessingProvider):
    """Upscale, Batch, Verify and Info."""

    def id(self) -> str:
        """Return what the algorithms' names begin with."""
        return "rs_superres"

    def name(self) -> str:
        """Return the name in the toolbox."""
        return "rs-sr"

    def longName(self) -> str:
        """Return the name in full."""
        return "rs-sr super-resolution"

    def icon(self) -> QIcon:
        """Return the icon in the toolbox."""
        return QIcon(str(ICON))

    def svgIconPath(self) -> str:
        """Return the icon's file."""
        return str(ICON)

    def load(self) -> bool:
        """Add the setting to Processing's options, and the algorithms to the toolbox."""
        ProcessingConfig.settingIcons[self.name()] = self.icon()
        ProcessingConfig.addSetting(
            Setting(self.name(), program.KEY, "Path of rs-sr", "", valuetype=Setting.FILE)
        )
        ProcessingConfig.readSettings()
        self.refreshAlgorithms()
        return True

    def unload(self) -> None:
        """Remove the setting."""
        ProcessingConfig.removeSetting(program.KEY)

    def loadAlgorithms(self) -> None:
        """Add the algorithms."""
        for algorithm in (Upscale, Batch, Verify, Info):
            self.addAlgorithm(algorithm())

    def supportedOutputRasterLayerExtensions(self) -> list[str]:
        """Return the suffixes of the rasters that rs-sr writes."""
        return ["tif", "tiff"]

    def defaultRasterFileExtension(self) -> str:
        """Return the suffix of temporary results, whatever Processing's own setting is."""
        return "tif"
