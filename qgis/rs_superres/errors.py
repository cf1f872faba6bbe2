"""The failures that the plugin reports."""

from __future__ import annotations


class PluginError(Exception):
    """A failure that a user can act on; its text is one line."""
