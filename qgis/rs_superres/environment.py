"""The environment variables of rs-sr, which must not be those of QGIS."""

from __future__ import annotations

from collections.abc import Mapping

NAMES = frozenset(
    {
        # Another Python would load the modules of QGIS's.
        "PYTHONHOME",
        "PYTHONPATH",
        "PYTHONSTARTUP",
        "PYTHONEXECUTABLE",
        "PYTHONNOUSERSITE",
        "PYTHONPLATLIBDIR",
        "__PYVENV_LAUNCHER__",
        # The files and drivers of another GDAL or PROJ.
        "GDAL_DATA",
        "GDAL_DRIVER_PATH",
        "GDAL_PYTHON_DRIVER_PATH",
        "GEOTIFF_CSV",
        "PROJ_LIB",
        "PROJ_DATA",
        # Certificates in the folder of QGIS, which its installer for Windows names.
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
    }
)
"""Variables that QGIS sets for its own Python, GDAL and PROJ."""


def cleaned(environ: Mapping[str, str]) -> dict[str, str]:
    """Return QGIS's environment variables without those that would break another Python.

    Variables that you set yourself, such as ``RS_SR_MEMORY`` or ``CUDA_VISIBLE_DEVICES``, remain.
    Output is UTF-8 on every system.
    """
    # Windows does not distinguish cases, and os.environ has upper case there.
    kept = {name: value for name, value in environ.items() if name.upper() not in NAMES}
    return {**kept, "PYTHONUTF8": "1"}
