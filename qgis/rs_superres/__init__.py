"""A QGIS plugin that runs rs-sr: a provider of algorithms for the Processing toolbox.

Only the modules that the plugin manager loads import QGIS. What finds rs-sr, builds its command
line and reads its output works without QGIS, so that tests can check it alone. QGIS brings its own
Python, which may be as old as 3.9.
"""

from __future__ import annotations

from typing import Any


def classFactory(iface: Any) -> Any:
    """Return the plugin. QGIS calls this when it loads the plugin.

    Args:
        iface: QGIS's main window; None in ``qgis_process``.
    """
    del iface
    from .plugin import Plugin  # noqa: PLC0415 (tests import this package without QGIS)

    return Plugin()
