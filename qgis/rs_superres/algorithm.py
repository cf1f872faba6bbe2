"""What the four algorithms have in common: they run rs-sr and report what it says."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from processing.core.ProcessingConfig import ProcessingConfig
from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
)
from qgis.PyQt.QtGui import QIcon

from . import child, command, environment, output, program, sources
from .errors import PluginError

Values = Mapping[str, Any]
"""The values of an algorithm's parameters by name."""


class Algorithm(QgsProcessingAlgorithm):
    """An algorithm that runs a command of rs-sr. Subclasses set the texts and the parameters."""

    NAME = ""
    TITLE = ""
    TAGS: tuple[str, ...] = ()
    HELP = ""

    def createInstance(self) -> Algorithm:
        """Return a new algorithm of this kind."""
        return type(self)()

    def name(self) -> str:
        """Return the name in scripts."""
        return self.NAME

    def displayName(self) -> str:
        """Return the name in the toolbox."""
        return self.TITLE

    def tags(self) -> list[str]:
        """Return further words that the toolbox finds the algorithm by."""
        return ["rs-sr", "super-resolution", *self.TAGS]

    def shortHelpString(self) -> str:
        """Return the text next to the dialog."""
        return self.HELP

    def icon(self) -> QIcon:
        """Return the icon in the toolbox."""
        return QIcon(str(Path(__file__).parent / "icon.svg"))

    def call(
        self, words: Sequence[str], feedback: QgsProcessingFeedback, *, expected: Sequence[int] = ()
    ) -> child.Finished:
        """Run rs-sr to its end, and pass on its progress and its messages.

        Args:
            words: The arguments of rs-sr.
            feedback: Receives progress and messages, and says whether the user has cancelled.
            expected: Exit statuses besides 0 that are an answer, not a failure. The command must
                then have printed one.

        Raises:
            QgsProcessingException: rs-sr is not found, or failed. The text is what it says.
        """
        setting = ProcessingConfig.getSetting(program.KEY) or ""
        try:
            path = program.find(str(setting), os.environ, Path.home())
        except PluginError as error:
            raise QgsProcessingException(str(error)) from error
        feedback.pushInfo(f"Program: {path}")
        feedback.pushCommandInfo(command.shown(words))
        try:
            done = child.run(
                [str(path), *words],
                environment.cleaned(os.environ),
                on_line=lambda line: _report(line, feedback),
                cancelled=feedback.isCanceled,
            )
        except OSError as error:
            raise QgsProcessingException(f"{path} does not start: {error}") from error
        if done.cancelled:
            raise QgsProcessingException("cancelled; run it again with the same values to resume")
        answered = done.status in expected and bool(done.stdout.strip())
        if done.status != 0 and not answered:
            raise QgsProcessingException(output.failure(done.stderr, done.status))
        return done

    def raster(self, parameters: Values, name: str, context: QgsProcessingContext) -> str:
        """Return what rs-sr opens for a raster parameter; "" if it is not set.

        Raises:
            QgsProcessingException: The layer is not a file, or does not open.
        """
        layer = self.parameterAsRasterLayer(parameters, name, context)
        if layer is None:
            if parameters.get(name) in (None, ""):
                return ""
            raise QgsProcessingException(self.invalidRasterError(parameters, name))
        try:
            return sources.dataset(layer.source(), layer.providerType(), layer.name())
        except PluginError as error:
            raise QgsProcessingException(str(error)) from error


def _report(line: str, feedback: QgsProcessingFeedback) -> None:
    """Pass on a line of rs-sr as progress, or as a message of its kind."""
    share = output.percent(line)
    if share is not None:
        feedback.setProgress(share)
        feedback.setProgressText(line)
        return
    message = output.message(line)
    if message.kind == "warning":
        feedback.pushWarning(message.text)
    elif message.kind == "note":
        feedback.pushInfo(message.text)
    # Errors are raised at the end, which shows them.
