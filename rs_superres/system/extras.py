"""Optional packages: those that upscaling does without, and the extras that install them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rs_superres.errors import MissingPackageError

OPTIONAL = {
    "cryptography": ("cryptography", "cluster"),
    "distributed": ("distributed", "cluster"),
    "matplotlib": ("matplotlib", "eval"),
    "skimage": ("scikit-image", "eval"),
}
"""The package of each optional module, and the extra of rs-superres that installs it."""


def install_command(extra: str) -> str:
    """Return the command that adds the packages of an extra to an installation.

    Args:
        extra: its name in ``pyproject.toml``.
    """
    return f"pip install 'rs-superres[{extra}]'"


@contextmanager
def needed_for(purpose: str) -> Iterator[None]:
    """Import optional modules in a block, and say in one line how to install what is missing.

    Args:
        purpose: what needs them, as a noun: "an evaluation".

    Raises:
        MissingPackageError: a module of :data:`OPTIONAL` is not installed. Any other missing module
            is not expected, so its error is not changed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        top = (error.name or "").partition(".")[0]
        if top not in OPTIONAL:
            raise
        package, extra = OPTIONAL[top]
        raise MissingPackageError(
            f"{purpose} needs {package}, which is not installed: {install_command(extra)}",
            name=top,
        ) from error
